//! Builds by cargo, with a sign of life from those that take minutes.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// How long a build says nothing.
const SILENT_FOR: Duration = Duration::from_secs(20);

/// Runs a build to its end, and says meanwhile how far it has come. Returns what cargo says that it made
/// (its messages of the reason `compiler-artifact`).
///
/// # Errors
/// When cargo cannot be started, or what is to be built does not build.
pub(crate) fn build(command: &mut Command) -> Result<Vec<Value>> {
    command.args(["--message-format", "json-render-diagnostics"]).stdout(Stdio::piped());
    let mut child = command.spawn().context("cannot start cargo")?;
    let artifacts = heard(&messages(&mut child)?, SILENT_FOR, |so_far| {
        eprintln!("xtask: ... {so_far}");
    });
    let status = child.wait().context("cargo does not end")?;
    ensure!(status.success(), "it does not build: cargo ended with {status}");
    Ok(artifacts)
}

/// What cargo says, line by line, from a thread of its own: between two lines can be minutes.
fn messages(child: &mut Child) -> Result<Receiver<Value>> {
    let output = child.stdout.take().context("cargo has no output")?;
    let (say, said) = mpsc::channel();
    thread::spawn(move || {
        let lines = BufReader::new(output).lines().map_while(Result::ok);
        let messages = lines.filter_map(|line| serde_json::from_str(&line).ok());
        // Nobody hears any more when the build was given up.
        messages.map(|message| say.send(message)).take_while(Result::is_ok).for_each(drop);
    });
    Ok(said)
}

/// The artifacts among `messages`, up to their end. `tell` is told each `silent_for` how many were made.
fn heard(
    messages: &Receiver<Value>,
    silent_for: Duration,
    mut tell: impl FnMut(&str),
) -> Vec<Value> {
    let began = Instant::now();
    let (mut artifacts, mut made, mut last) = (Vec::new(), 0, String::new());
    let mut next = began + silent_for;
    loop {
        match messages.recv_timeout(next.saturating_duration_since(Instant::now())) {
            Ok(message) if message["reason"] == "compiler-artifact" => {
                if message["fresh"] == false {
                    made += 1;
                    last = message["target"]["name"].as_str().unwrap_or_default().to_owned();
                }
                artifacts.push(message);
            }
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout) => {
                let seconds = began.elapsed().as_secs();
                tell(&match made {
                    0 => format!("{seconds} s"),
                    _ => format!("{seconds} s, {made} crates built, the last one {last}"),
                });
                next += silent_for;
            }
            Err(RecvTimeoutError::Disconnected) => return artifacts,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_long_build_says_how_far_it_has_come_and_what_it_made() {
        let (say, said) = mpsc::channel();
        let made = |name: &str, fresh: bool| json!({"reason": "compiler-artifact", "target": {"name": name}, "fresh": fresh});
        let builder = thread::spawn(move || {
            thread::sleep(Duration::from_millis(60));
            for message in [made("kept", true), made("new", false), json!({"reason": "other"})] {
                say.send(message).unwrap();
            }
            thread::sleep(Duration::from_millis(60));
        });
        let mut told = Vec::new();
        let artifacts = heard(&said, Duration::from_millis(25), |line| told.push(line.to_owned()));
        builder.join().unwrap();
        assert_eq!(artifacts, [made("kept", true), made("new", false)]);
        assert_eq!(told.first().unwrap(), "0 s");
        assert_eq!(told.last().unwrap(), "0 s, 1 crates built, the last one new");
    }
}
