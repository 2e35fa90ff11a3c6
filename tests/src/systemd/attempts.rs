//! What a hijacked agent tries inside an agent's unit, beside the same in a unit without ATF.

use std::fs;
use std::net::{IpAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::Path;

use anyhow::{Context, Result};

use crate::hijacked::Said;
use crate::hijacked::mcp::Answered;
use crate::lab::{Oracle, address, link};

use super::agent::{self, Ended};
use super::boot::HIJACKED;
use super::result::{Rows, Seen};

/// The folder of the lab's unix sockets.
const LAB: &str = "/run/suite";

/// Tries a call that the agent may not make, and ways out of the cage.
pub(super) fn attempts(rows: &mut Rows, oracle: &Oracle) {
    rows.check("denied_call", "a tool that the manifest does not name is refused", || {
        let adjust =
            agent::call("ledger.adjust", r#"{"entry_id":1,"amount_cents":1,"reason":"fee"}"#);
        let (may, may_not): (Answered, Answered) =
            (agent::once(&agent::query())?.said()?, agent::once(&adjust)?.said()?);
        let with = may_not.answer.as_ref().map(|answer| answer["error"]["message"].to_string());
        Ok(Seen {
            without: Some(("the named tool is called".to_owned(), may.is_result())),
            with: (with.unwrap_or_default(), !may_not.is_result() && may_not.status.is_some()),
        })
    });
    for (id, canary) in [("tcp4", "tcp4"), ("loopback", "loopback"), ("unix_path", "unix")] {
        let promise = "an attempt to get out of an agent's unit is closed";
        rows.check(id, promise, || attempt(id, canary, oracle));
    }
}

/// Canaries on this machine: an address of the internet, the loopback, a privileged service.
pub(super) fn outside() -> Result<Oracle> {
    let (lo, host_bits) = ("lo", 32);
    link::up(lo)?;
    link::add_address(lo, IpAddr::V4(address::WORLD_V4), host_bits)?;
    let mut oracle = Oracle::default();
    let tcp = |at| TcpListener::bind(at).with_context(|| format!("cannot listen at {at}"));
    oracle.tcp("tcp4", tcp(address::TCP4)?);
    oracle.tcp("loopback", tcp(address::LOOPBACK)?);
    fs::create_dir_all(LAB)?;
    oracle.unix("unix", UnixListener::bind(Path::new(LAB).join(address::UNIX_PATH))?);
    Ok(oracle)
}

/// The bytes that a canary has got.
pub(super) fn bytes(oracle: &Oracle, canary: &str) -> u64 {
    oracle.seen().iter().filter(|(name, ..)| *name == canary).map(|(.., bytes)| bytes).sum()
}

fn attempt(id: &str, canary: &str, oracle: &Oracle) -> Result<Seen> {
    let command = format!("{HIJACKED} attempt {id} --lab {LAB}");
    let count = |run: fn(&str) -> Result<Ended>| -> Result<(Said, u64)> {
        let before = bytes(oracle, canary);
        let said: Said = run(&command)?.said()?;
        // A canary may still be reading what a process has sent before its end.
        std::thread::sleep(std::time::Duration::from_secs(1));
        Ok((said, bytes(oracle, canary) - before))
    };
    let (without, out) = count(agent::plain)?;
    let (with, escaped) = count(agent::once)?;
    let tell = |said: &Said, bytes| {
        format!("{}, {bytes} bytes", said.errno.as_deref().unwrap_or(&said.outcome))
    };
    Ok(Seen {
        without: Some((tell(&without, out), without.outcome == "out" && out > 0)),
        with: (tell(&with, escaped), with.outcome != "out" && escaped == 0),
    })
}
