//! `atf up`: the cage, the directories and the daemons in their separation, where no service
//! manager does it. A daemon that dies is started again, unless it never came up; when `atf up` ends,
//! the daemons end and the cage stays.

mod alone;
mod daemon;
mod readiness;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::Signal;

use super::layout::{self, DAEMONS, uid_of};
use super::{EXIT_FAILED, EXIT_OK};
use crate::config::Config;
use crate::sys::signals::Signals;
use crate::{enforcer, kernel, wire};

use daemon::Daemon;

/// How long the daemons may take until all are ready.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// How often the daemons are looked at: a dead one is missed for so long at most.
const TEND_EVERY: Duration = Duration::from_millis(20);

pub(super) fn up(config: &Config, at: Option<&Path>) -> anyhow::Result<u8> {
    anyhow::ensure!(
        rustix::process::geteuid().is_root(),
        "`atf up` starts daemons under several uids: run it as root"
    );
    for (what, found) in super::config::findings(config)? {
        if let Err(wrong) = found {
            anyhow::bail!("{what}: {wrong}; nothing was started");
        }
    }
    // The lock is in it, and nothing else is touched before the lock is held.
    layout::make_run_dir(&config.places)?;
    let _alone = alone::lock(&config.places.run_dir)?;
    layout::make(&config.places, &config.ids)?;
    let cage = kernel::Cage::locate(&config.places, &config.cage)?;
    super::enforcer::announce(&enforcer::up(&cage, &config.ids, &config.places)?);

    let signals = Signals::block(&[Signal::TERM, Signal::INT])?;
    let mut daemons = daemons(config, at)?;
    let ended = keep_alive(&signals, &mut daemons);
    tracing::info!("atf up: stopping");
    // The recorder, first in the list, goes last: the others still have something to say.
    for daemon in daemons.iter_mut().rev() {
        daemon.stop();
    }
    ended
}

/// All that is kept alive, the recorder first.
fn daemons(config: &Config, at: Option<&Path>) -> anyhow::Result<Vec<Daemon>> {
    let binary = std::env::current_exe().context("cannot find the atf binary")?;
    let named = DAEMONS.iter().map(|name| (*name, vec![*name]));
    named
        .chain(std::iter::once(("watch", vec!["enforcer", "watch"])))
        .map(|(name, words)| {
            let command = command(&binary, &words, at);
            let (uid, run_dir) = (uid_of(&config.ids, name), &config.places.run_dir);
            Daemon::new(name, uid, run_dir, command)
                .with_context(|| format!("cannot hear when the {name} is ready"))
        })
        .collect()
}

fn command(binary: &Path, words: &[&str], at: Option<&Path>) -> Vec<OsString> {
    let mut command: Vec<OsString> = vec![binary.into()];
    command.extend(words.iter().map(OsString::from));
    command.push("--with-parent".into());
    if let Some(at) = at {
        // The daemons start in the root directory.
        let at: PathBuf = std::path::absolute(at).unwrap_or_else(|_| at.to_owned());
        command.extend(["--config".into(), at.into()]);
    }
    command
}

/// Looks after the daemons until a signal ends that, or one of them does not come up.
fn keep_alive(signals: &Signals, daemons: &mut [Daemon]) -> anyhow::Result<u8> {
    let started = Instant::now();
    let mut ready = false;
    while !signals.wait(TEND_EVERY)? {
        for daemon in daemons.iter_mut() {
            daemon.tend()?;
            // The recorder comes first: what the others say at their start belongs into the log.
            if !daemon.has_been_ready() && daemon.name() == DAEMONS[0] {
                break;
            }
        }
        if !ready && daemons.iter().all(Daemon::is_ready) {
            ready = true;
            tracing::info!("atf up: ready");
            wire::ready();
        }
        if !ready && started.elapsed() > READY_WITHIN {
            let late = daemons.iter().filter(|daemon| !daemon.is_ready()).map(Daemon::name);
            let late: Vec<&str> = late.collect();
            tracing::error!(
                "not ready within {READY_WITHIN:?}: {}; see the messages above",
                late.join(", ")
            );
            return Ok(EXIT_FAILED);
        }
    }
    Ok(EXIT_OK)
}
