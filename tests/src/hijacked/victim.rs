//! The victim: a process beside the agent, of the same user in the control, that has what an attacker
//! wants. It says on its standard output what is done to it.

use std::env;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::lab::address;
use crate::sys::memory::{self, Exposed};

/// What it says when its memory has been changed, and when a signal has come.
pub(crate) const CHANGED: &str = "changed";
pub(crate) const SIGNALLED: &str = "signalled";

/// How often it looks at its memory.
const TURN: Duration = Duration::from_millis(5);

/// Says where its memory is, then what happens to it, until standard input ends.
///
/// # Errors
/// When it was not started as the lab starts it.
pub fn run() -> anyhow::Result<()> {
    let nonce = env::var(address::NONCE)?;
    memory::let_anybody_trace_us();
    let signals = memory::count_signals()?;
    let exposed = Exposed::new(nonce.as_bytes());
    let _connection = TcpStream::connect(address::INHERITED)?;
    say(&exposed.address().to_string())?;
    let ended = standard_input_ends();
    let mut seen = 0;
    while ended.recv_timeout(TURN) == Err(mpsc::RecvTimeoutError::Timeout) {
        if exposed.restore() {
            say(CHANGED)?;
        }
        let now = signals.load(std::sync::atomic::Ordering::SeqCst);
        if now != seen {
            seen = now;
            say(SIGNALLED)?;
        }
    }
    Ok(())
}

fn standard_input_ends() -> mpsc::Receiver<()> {
    let (ends, ended) = mpsc::channel();
    thread::spawn(move || {
        let mut nothing = String::new();
        while BufReader::new(io::stdin()).read_line(&mut nothing).is_ok_and(|length| length > 0) {}
        drop(ends);
    });
    ended
}

fn say(what: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{what}")?;
    out.flush()
}
