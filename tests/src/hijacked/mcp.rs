//! The agent's MCP client (revision 2025-11-25), and the modes in which the demo uses it.

use std::io::{Read as _, Write as _};
use std::net::IpAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::kept::Kept;
use super::{Said, http, identity};

const REVISION: &str = "2025-11-25";

/// One request of ours.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    /// `initialize`, `tools/list` or `tools/call`.
    pub method: String,
    /// The tool, for `tools/call`.
    pub tool: String,
    /// Its arguments, as JSON.
    pub arguments: Value,
    /// The prompt digest to claim.
    pub prompt: Option<String>,
    /// A token to use instead of the run's own.
    pub token: Option<String>,
    /// The address at which to find the run's bridge, instead of its socket.
    pub address: Option<IpAddr>,
}

/// What came of one request: one JSON line.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answered {
    /// The run's id, from its own token.
    pub run: Option<String>,
    /// The HTTP status; absent when there was no answer.
    pub status: Option<u16>,
    /// The JSON-RPC message.
    pub answer: Option<Value>,
    /// Why there was no answer.
    pub error: Option<String>,
    /// Boot clock, nanoseconds, when the answer was there.
    pub boot_ns: u64,
}

/// What `steady` saw in one round: one JSON line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Round {
    /// The honest call.
    pub call: Answered,
    /// A way out, tried right after it.
    pub attempt: Said,
}

/// What `hammer` saw: one JSON line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hammered {
    /// The run's id.
    pub run: Option<String>,
    /// Refused calls until the run was sealed.
    pub calls: u32,
    /// Connections that succeeded before the first that the kernel refused.
    pub connected: u64,
    /// Boot clock, nanoseconds, of the first connection that the kernel refused.
    pub first_failure_boot_ns: Option<u64>,
    /// Its error.
    pub errno: Option<String>,
    /// What some of the connections took that succeeded, in nanoseconds.
    pub allowed_ns: Vec<u64>,
}

impl Answered {
    /// Whether a tool gave a result that is no error.
    pub fn is_result(&self) -> bool {
        let result = self.answer.as_ref().map(|answer| &answer["result"]);
        self.status == Some(200)
            && result.is_some_and(|result| result.is_object() && result["isError"] != json!(true))
    }
}

/// Makes one request.
pub fn ask(ask: &Ask) -> Answered {
    let done = try_ask(ask);
    let mut answered =
        Answered { run: identity::run_id(), boot_ns: boot_ns(), ..Answered::default() };
    match done {
        Ok((status, answer)) => (answered.status, answered.answer) = (Some(status), answer),
        Err(error) => answered.error = Some(format!("{error:#}")),
    }
    answered
}

/// Repeats a call and a way out every 100 ms and prints what came of both, until standard input ends or
/// for ever.
///
/// # Errors
/// When standard output is gone.
pub fn steady(call: &Ask, endless: bool) -> Result<()> {
    const PAUSE: Duration = Duration::from_millis(100);
    let over = if endless { Arc::default() } else { until_stdin_ends() };
    while !over.load(Ordering::SeqCst) {
        let call = ask(call);
        let attempt = super::attempt("tcp4", &super::Around::default())?;
        print(&Round { call, attempt })?;
        thread::sleep(PAUSE);
    }
    Ok(())
}

/// Prints the run's token, as a careless agent's log does, and stays alive until standard input
/// ends, so that the token stays good.
///
/// # Errors
/// Outside of a run.
pub fn lend() -> Result<()> {
    print(&identity::token()?)?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Repeats a call that is refused until the run is sealed, while another thread connects to the
/// gateway over and over: an operation that has just succeeded, and then fails in the kernel.
///
/// # Errors
/// Outside of a run.
pub fn hammer(call: &Ask) -> Result<Hammered> {
    /// Far more than any policy's threshold.
    const CALLS_MAX: u32 = 50;
    /// Enough for a median.
    const ALLOWED_TIMED: usize = 20;
    /// Long for a seal.
    const HOLDS_WITHIN: Duration = Duration::from_secs(1);
    let (socket, run) = (identity::socket()?, identity::run_id());
    let (mut connected, mut allowed_ns) = (0, Vec::new());
    UnixStream::connect(&socket).context("the operation that shall fail must succeed first")?;
    for _ in 0..ALLOWED_TIMED {
        let began = Instant::now();
        let connection = UnixStream::connect(&socket);
        allowed_ns.push(elapsed_ns(began));
        drop(connection);
        thread::sleep(Duration::from_millis(1));
    }
    let over = AtomicBool::new(false);
    let (calls, failed) = thread::scope(|scope| {
        let connecting = scope.spawn(|| first_failure(&socket, &over, &mut connected));
        let mut calls = 0;
        while calls < CALLS_MAX && !connecting.is_finished() {
            calls += 1;
            if sealed(&ask(call)) {
                break;
            }
        }
        // The seal is in the kernel before the answer; this is for a seal that does not hold.
        let answered = Instant::now();
        while !connecting.is_finished() && answered.elapsed() < HOLDS_WITHIN {
            thread::sleep(Duration::from_millis(1));
        }
        over.store(true, Ordering::SeqCst);
        (calls, connecting.join().ok().flatten())
    });
    Ok(Hammered {
        run,
        calls,
        connected,
        first_failure_boot_ns: failed.as_ref().map(|(at, _)| *at),
        errno: failed.map(|(_, errno)| errno),
        allowed_ns,
    })
}

/// The query of call `i` of `repeat`: each has other arguments.
pub fn query(i: usize) -> String {
    let id = i % 200 + 1;
    format!("SELECT id, amount_cents, status FROM ledger_entries WHERE id = {id} LIMIT 5")
}

/// Makes honest queries, one after the other on one connection, each with other arguments, and says
/// what each took in nanoseconds.
///
/// # Errors
/// Outside of a run, or when a query is refused.
pub fn repeat(call: &Ask, calls: usize) -> Result<Vec<u64>> {
    const WARM_UP: usize = 50;
    let (token, mut connection) = (identity::token()?, Kept::at(&identity::socket()?)?);
    let mut times = Vec::with_capacity(calls);
    for i in 0..WARM_UP + calls {
        let call = Ask { arguments: json!({"sql": query(i)}), ..call.clone() };
        let body = message(&call).to_string();
        let began = Instant::now();
        let answer = connection.post(&headers(&format!("Bearer {token}")), &body)?;
        let took = elapsed_ns(began);
        let text = String::from_utf8_lossy(&answer.body);
        ensure!(answer.status == 200 && text.contains("\"isError\":false"), "refused: {text}");
        if i >= WARM_UP {
            times.push(took);
        }
    }
    Ok(times)
}

/// Prints a value as one line.
///
/// # Errors
/// When standard output is gone.
pub fn print(value: &impl Serialize) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(value)?)?;
    Ok(out.flush()?)
}

/// Connects until the kernel says no (`EPERM`, `EACCES`). It never waits in a connect: one that waits
/// in a full backlog was judged before the seal, and would be timed with the gateway's work. Between
/// two it rests: a thread that never does loses its processor for a whole slice of the scheduler, above
/// a millisecond, which would be timed too.
fn first_failure(socket: &Path, over: &AtomicBool, connected: &mut u64) -> Option<(u64, String)> {
    /// Short beside what is measured; the kernel adds its timer slack, 50 us.
    const REST: Duration = Duration::from_micros(20);
    let address = SocketAddrUnix::new(socket).ok()?;
    while !over.load(Ordering::SeqCst) {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let tried = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
            .and_then(|socket| connect(&socket, &address));
        match tried {
            Ok(()) => *connected += 1,
            Err(errno @ (Errno::PERM | Errno::ACCESS)) => {
                return Some((boot_ns(), super::trial::errno_name(errno)));
            }
            Err(_) => {}
        }
        thread::sleep(REST);
    }
    None
}

/// Whether the answer says that the run is sealed, or there is none any more.
fn sealed(answered: &Answered) -> bool {
    let says = |answer: &Value| answer.to_string().contains("run.sealed");
    answered.answer.as_ref().is_none_or(says)
}

pub(super) fn headers(bearer: &str) -> [(&'static str, &str); 2] {
    [("Authorization", bearer), ("MCP-Protocol-Version", REVISION)]
}

pub(super) fn elapsed_ns(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// The JSON-RPC message of a request.
pub(super) fn message(ask: &Ask) -> Value {
    let mut params = match ask.method.as_str() {
        "initialize" => json!({
            "protocolVersion": REVISION,
            "capabilities": {},
            "clientInfo": {"name": "hijacked", "version": env!("CARGO_PKG_VERSION")},
        }),
        "tools/call" => json!({"name": ask.tool, "arguments": ask.arguments}),
        _ => json!({}),
    };
    if let Some(prompt) = &ask.prompt {
        params["_meta"] = json!({"io.atf/promptSha256": prompt});
    }
    json!({"jsonrpc": "2.0", "id": 1, "method": ask.method, "params": params})
}

fn try_ask(ask: &Ask) -> Result<(u16, Option<Value>)> {
    let token = ask.token.clone().map_or_else(identity::token, Ok)?;
    let (bearer, body) = (format!("Bearer {token}"), message(ask).to_string());
    let answer = match ask.address {
        None => http::post(&identity::socket()?, &headers(&bearer), &body)?,
        Some(address) => {
            let port = identity::bridge_port()?;
            http::post_to((address, port).into(), &headers(&bearer), &body)?
        }
    };
    let message = if answer.body.is_empty() {
        None
    } else {
        Some(serde_json::from_slice(&answer.body).context("the answer's body is not JSON")?)
    };
    Ok((answer.status, message))
}

fn until_stdin_ends() -> Arc<AtomicBool> {
    let over = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&over);
    thread::spawn(move || {
        drop(std::io::stdin().read_to_end(&mut Vec::new()));
        told.store(true, Ordering::SeqCst);
    });
    over
}

/// The boot clock in nanoseconds: the gate's decisions carry the same.
pub(super) fn boot_ns() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}
