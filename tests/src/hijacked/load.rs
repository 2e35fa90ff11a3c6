//! Load: many connections of one run, each with one honest call after the other, all in the same
//! stretch of time. Each call has other arguments, so that no answer can be kept.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::identity;
use super::kept::{Endpoint, Kept, Url};
use super::mcp::{self, Ask};

/// How the load is to be.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Connections, each with one call at a time.
    pub connections: usize,
    /// When it begins, milliseconds of the boot clock: the same for all runs of a measurement.
    pub from_boot_ms: u64,
    /// How long it lasts, in milliseconds.
    pub for_ms: u64,
    /// How long each connection has from one call to the next, in microseconds. Zero: the next call is
    /// made when the last is answered.
    pub every_us: u64,
    /// Who is asked instead of the run's gateway: an MCP endpoint that wants a handshake.
    pub url: Option<Url>,
}

/// What came of it: one JSON line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loaded {
    /// What each call took, in nanoseconds. With a fixed rate it counts from when the call was due: a
    /// call that waited for the one before has waited.
    pub times_ns: Vec<u64>,
}

/// Loads the gateway, or whoever it names, as `plan` says.
///
/// # Errors
/// Outside of a run, when the time to begin is over, or when a call is refused.
pub fn load(call: &Ask, plan: &Plan) -> Result<Loaded> {
    let token = identity::token()?;
    let endpoint = match &plan.url {
        Some(url) => Endpoint::Url(url.clone()),
        None => Endpoint::Socket(identity::socket()?),
    };
    let bearer = format!("Bearer {token}");
    let next = AtomicUsize::new(0);
    let wait_ms = plan.from_boot_ms.checked_sub(mcp::boot_ns() / 1_000_000);
    let wait = Duration::from_millis(wait_ms.context("this run is late for its load")?);
    let began = Instant::now() + wait;
    let one = || -> Result<Vec<u64>> {
        // Not before: the gateway closes a connection that says nothing for long.
        thread::sleep(began.saturating_duration_since(Instant::now()));
        let mut connection = Kept::open(&endpoint)?;
        if plan.url.is_some() {
            shake_hands(&mut connection, call, &bearer)?;
        }
        let mut times = Vec::new();
        let mut due = began;
        let until = began + Duration::from_millis(plan.for_ms);
        loop {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let since = if plan.every_us == 0 { Instant::now() } else { due };
            if since >= until {
                return Ok(times);
            }
            let sql = mcp::query(next.fetch_add(1, Ordering::Relaxed));
            let call = Ask { arguments: json!({"sql": sql}), ..call.clone() };
            let answer =
                connection.post(&mcp::headers(&bearer), &mcp::message(&call).to_string())?;
            let text = String::from_utf8_lossy(&answer.body);
            // One that says nothing of errors has none, as others than ours do.
            let is_done = text.contains("\"result\":") && !text.contains("\"isError\":true");
            ensure!(answer.status == 200 && is_done, "refused: {text}");
            times.push(mcp::elapsed_ns(since));
            due += Duration::from_micros(plan.every_us);
        }
    };
    let times: Vec<Result<Vec<u64>>> = thread::scope(|scope| {
        let all: Vec<_> = (0..plan.connections).map(|_| scope.spawn(one)).collect();
        all.into_iter()
            .map(|one| one.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a connection panicked"))))
            .collect()
    });
    let times: Result<Vec<Vec<u64>>> = times.into_iter().collect();
    Ok(Loaded { times_ns: times?.concat() })
}

/// Begins a session as a client of MCP does.
fn shake_hands(connection: &mut Kept, call: &Ask, bearer: &str) -> Result<()> {
    let initialize = Ask { method: "initialize".to_owned(), ..call.clone() };
    let answer = connection.post(&mcp::headers(bearer), &mcp::message(&initialize).to_string())?;
    let text = String::from_utf8_lossy(&answer.body);
    ensure!(answer.status == 200 && text.contains("\"result\""), "no handshake: {text}");
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    // Whoever knows no notification may say so; a call that is not answered ends the load.
    let _taken = connection.post(&mcp::headers(bearer), &initialized.to_string())?;
    Ok(())
}
