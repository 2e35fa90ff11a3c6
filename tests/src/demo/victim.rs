//! The victim beside the agent: started once, by the lab, and heard by the oracle.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;

use anyhow::{Context, Result};

use crate::hijacked::victim::{CHANGED, SIGNALLED};
use crate::lab::{Oracle, World, address};

/// A running victim.
pub(crate) struct Victim {
    child: Child,
    /// Where its memory is.
    pub(crate) memory: u64,
    /// What nobody else knows.
    pub(crate) nonce: String,
}

impl Victim {
    /// Starts it as `user`, in the namespace of the internet. `offer` and `hijacked` are programs.
    pub(crate) fn start(
        world: &World,
        oracle: &Oracle,
        offer: &std::path::Path,
        hijacked: &std::path::Path,
        user: &str,
    ) -> Result<Self> {
        let nonce = nonce()?;
        let mut command = Command::new(offer);
        command.args(["offer", "--uid", user, "--"]).arg(hijacked).arg("victim");
        command.env(address::NONCE, &nonce).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = world.internet().within(|| command.spawn())?;
        let mut said = BufReader::new(child.stdout.take().context("the victim has no output")?);
        let mut line = String::new();
        said.read_line(&mut line)?;
        let memory = line.trim().parse().context("the victim does not say where its memory is")?;
        let changed = oracle.canary("victim_memory").context("no such canary")?;
        let signalled = oracle.canary("victim_signal").context("no such canary")?;
        thread::spawn(move || {
            for line in said.lines().map_while(Result::ok) {
                match line.as_str() {
                    CHANGED => changed.arrived(address::SECRET.len()),
                    SIGNALLED => signalled.arrived(1),
                    _ => {}
                }
            }
        });
        Ok(Self { child, memory, nonce })
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // It ends with its standard input.
        drop(self.child.stdin.take());
        drop(self.child.wait());
    }
}

/// As long as the attacker expects it.
fn nonce() -> Result<String> {
    let mut bytes = [0_u8; address::NONCE_BYTES / 2];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
