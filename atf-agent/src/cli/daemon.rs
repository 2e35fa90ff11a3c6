//! The four daemons: each becomes its own user first, then gets what it needs of the kernel, and
//! nothing else.

use std::num::NonZeroUsize;
use std::time::Duration;

use anyhow::Context as _;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::Signal;

use super::args::DaemonArguments;
use super::layout::{self, uid_of};
use super::sides;
use super::{EXIT_FAILED, EXIT_OK};
use crate::config::Config;
use crate::gate::Signers;
use crate::gateway::TokenProfile;
use crate::kernel::events::Events;
use crate::kernel::maps::Held;
use crate::sys::daemon::{Network, become_daemon};
use crate::sys::signals::Signals;
use crate::{authority, executor, gateway, recorder};

/// Most kernel events that one look at the ring takes.
const EVENTS_PER_LOOK_MAX: usize = 1_024;

pub(super) fn authority(config: &Config, start: &DaemonArguments) -> anyhow::Result<u8> {
    drop_to(config, "authority", start)?;
    let held = Held::of(&config.places.pin_dir, &["RUNS", "STATES", "RELEASES"])?;
    let kernel = sides::authority(config)?;
    held.end_with_them(EXIT_FAILED);
    authority::serve(&config.places, &config.ids, &config.authority, kernel)?;
    Ok(EXIT_OK)
}

pub(super) fn executor(config: &Config, start: &DaemonArguments) -> anyhow::Result<u8> {
    // While this is root: the credentials are read and the servers' spawner is forked.
    let cage = crate::kernel::Cage::locate(&config.places, &config.cage)?;
    let cgroup = cage.agents_dir.parent().map(|above| above.join("servers"));
    let servers = executor::Prepared::fork(&config.places, &config.ids, cgroup)?;
    let network = if servers.need_network() { Network::Hosts } else { Network::Empty };
    drop_with(config, "executor", start, network)?;
    let held = Held::of(&config.places.pin_dir, &["RUNS", "DENY", "STATES", "RELEASES"])?;
    let kernel = sides::executor(config)?;
    held.end_with_them(EXIT_FAILED);
    let parties = executor::Parties {
        issuer: config.authority.issuer.clone(),
        audience: config.authority.audience.clone(),
    };
    executor::serve(&config.places, &config.ids, &config.executor, &parties, kernel, servers)?;
    Ok(EXIT_OK)
}

pub(super) fn seed(config: &Config, start: &DaemonArguments) -> anyhow::Result<u8> {
    if rustix::process::geteuid().is_root() {
        layout::make(&config.places, &config.ids)?;
    }
    drop_to(config, "executor", start)?;
    let ledger = config.places.state("executor").join(&config.executor.ledger);
    executor::seed(&ledger)?;
    tracing::info!(ledger = %ledger.display(), "the demo's ledger is made");
    Ok(EXIT_OK)
}

pub(super) fn recorder(config: &Config, start: &DaemonArguments) -> anyhow::Result<u8> {
    let signals = Signals::block(&[Signal::TERM, Signal::INT])?;
    drop_to(config, "recorder", start)?;
    let held = Held::of(&config.places.pin_dir, &["EVENTS", "LOST"])?;
    let mut events = Events::open(&config.places.pin_dir)?;
    let ring = events.as_fd().try_clone_to_owned()?;
    // A look waits a moment for the ring, so that an idle host costs nothing.
    let look = move || {
        let patience = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        rustix::event::poll(&mut [PollFd::new(&ring, PollFlags::IN)], Some(&patience))?;
        Ok(std::iter::from_fn(|| events.next()).take(EVENTS_PER_LOOK_MAX).collect())
    };
    held.end_with_them(EXIT_FAILED);
    let until = move || until_signalled(&signals);
    recorder::serve(&config.places, &config.ids, &config.recorder, Some(look), until)?;
    Ok(EXIT_OK)
}

/// Waits for a signal. One that cannot be waited for never comes: the recorder is killed then, as by a power cut.
fn until_signalled(signals: &Signals) {
    loop {
        match signals.wait(Duration::from_secs(3_600)) {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => {
                tracing::error!(%error, "signals cannot be waited for");
                std::thread::sleep(Duration::from_secs(1));
            }
        }
    }
}

/// The stack of each of the gateway's threads, in bytes: twice what the deepest statement needs that its gate takes.
const STACK_BYTES: usize = 4 << 20;

/// The gateway's threads: as many as there are processors, and two at least, so that one that has long to do with a call does
/// not keep the other from the lease.
fn gateway_threads() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get).max(2)
}

pub(super) fn gateway(config: &Config, start: &DaemonArguments) -> anyhow::Result<u8> {
    drop_to(config, "gateway", start)?;
    let maps = ["DENY", "LEASE", "MARKS", "STAMPS"];
    let held = Held::of(&config.places.pin_dir, &maps)?;
    let kernel = sides::gateway(config)?;
    held.end_with_them(EXIT_FAILED);
    let profile = TokenProfile {
        issuer: config.authority.issuer.clone(),
        audience: config.authority.audience.clone(),
    };
    let signers = Signers::read(&config.policy)?;
    let (places, ids, settings) =
        (config.places.clone(), config.ids.clone(), config.gateway.clone());
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(gateway_threads()).thread_stack_size(STACK_BYTES).enable_all();
    let runtime = runtime.build()?;
    match runtime.block_on(gateway::serve(places, ids, settings, profile, signers, kernel)) {
        Ok(()) => Ok(EXIT_OK),
        Err(error) => {
            tracing::error!("{error}");
            Ok(EXIT_FAILED)
        }
    }
}

fn drop_to(config: &Config, daemon: &'static str, start: &DaemonArguments) -> anyhow::Result<()> {
    drop_with(config, daemon, start, Network::Empty)
}

fn drop_with(
    config: &Config,
    daemon: &'static str,
    start: &DaemonArguments,
    network: Network,
) -> anyhow::Result<()> {
    become_daemon(uid_of(&config.ids, daemon), config.ids.group, start.with_parent, network)
        .with_context(|| format!("cannot become the {daemon}"))
}
