//! What a careless parent offers to the agent that it starts: a terminal, a capability. The same
//! program offers it with and without ATF, so that only ATF makes the difference.

use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result};
use clap::Args;
use rustix::process::{Gid, Uid};
use rustix::thread::{CapabilitySet, CapabilitySets};

use crate::lab::terminal;

/// What is offered, and to whom.
#[derive(Debug, Args)]
pub struct Offer {
    /// Start it as this user and group, with no other groups.
    #[arg(long)]
    uid: Option<u32>,
    /// Leave it `CAP_NET_RAW`.
    #[arg(long)]
    net_raw: bool,
    /// Leave it `CAP_SYS_ADMIN`.
    #[arg(long)]
    sys_admin: bool,
    /// Start it in this cgroup.
    #[arg(long)]
    cgroup: Option<PathBuf>,
    /// Start it from this terminal.
    #[arg(long, requires = "typed")]
    terminal: Option<PathBuf>,
    /// Where to write what has been typed into the terminal when it has ended.
    #[arg(long)]
    typed: Option<PathBuf>,
    /// The command.
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// Starts the command; its status is ours.
///
/// # Errors
/// When something cannot be offered or the command cannot be started.
pub fn run(offer: &Offer) -> Result<ExitCode> {
    if let Some(cgroup) = &offer.cgroup {
        fs::write(cgroup.join("cgroup.procs"), "0").context("cannot enter the cgroup")?;
    }
    let mut command = Command::new(&offer.command[0]);
    command.args(&offer.command[1..]);
    let taken = offer.terminal.as_deref().map(terminal::take).transpose()?;
    let Some(taken) = taken else {
        lower(offer)?;
        return Err(command.exec()).context("cannot start the command");
    };
    // The parent stays: with the leader of a session, its terminal would go.
    command.stdin(Stdio::from(taken.try_clone()?));
    if let Some(uid) = offer.uid {
        command.uid(uid).gid(uid);
    }
    let status = command.status().context("cannot start the command")?;
    if let Some(file) = &offer.typed {
        fs::write(file, terminal::typed(&taken)?)?;
    }
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

fn lower(offer: &Offer) -> Result<()> {
    let Some(uid) = offer.uid else { return Ok(()) };
    let left =
        [(offer.net_raw, CapabilitySet::NET_RAW), (offer.sys_admin, CapabilitySet::SYS_ADMIN)];
    let left: Vec<_> =
        left.into_iter().filter_map(|(given, which)| given.then_some(which)).collect();
    rustix::thread::set_keep_capabilities(!left.is_empty())?;
    rustix::thread::set_thread_groups(&[])?;
    rustix::thread::set_thread_gid(Gid::from_raw(uid))?;
    rustix::thread::set_thread_uid(Uid::from_raw(uid))?;
    for only in left {
        let sets = CapabilitySets { effective: only, permitted: only, inheritable: only };
        rustix::thread::set_capabilities(None, sets)?;
        rustix::thread::configure_capability_in_ambient_set(only, true)?;
    }
    Ok(())
}
