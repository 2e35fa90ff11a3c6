//! The kernel's maps, handed to each daemon as the few operations that it may do. The group on each
//! pin holds a daemon to its own even if it asked for more.

use std::path::Path;
use std::sync::Arc;

use crate::config::Config;
use crate::kernel::maps::{self, Deny, Lease, Marks, Runs, Seals, Stamps};
use crate::kernel::{Cage, KernelError, Mode};
use crate::{authority, executor, gateway};

/// All rooms hand a failing map on in the same way.
fn fault(error: KernelError) -> Box<dyn std::error::Error + Send + Sync> {
    Box::new(error)
}

/// Asks the cage that stands, each time: another one may have taken its place.
fn mode(config: &Config) -> ReadMode {
    let pins = config.places.pin_dir.clone();
    Box::new(move || maps::mode(&pins).map_err(fault))
}

/// As the rooms' sides have it.
type ReadMode =
    Box<dyn Fn() -> Result<Mode, Box<dyn std::error::Error + Send + Sync>> + Send + Sync>;

pub(super) fn authority(config: &Config) -> Result<authority::KernelSide, KernelError> {
    let runs = Arc::new(Runs::open(&config.places.pin_dir)?);
    let [admit, extend, state, unlatch, remove, all] = std::array::from_fn(|_| Arc::clone(&runs));
    Ok(authority::KernelSide {
        admit: Box::new(move |cgroup, run| admit.admit(cgroup, run).map_err(fault)),
        extend: Box::new(move |cgroup, run| extend.extend(cgroup, run).map_err(fault)),
        state: Box::new(move |cgroup| state.state(cgroup).map_err(fault)),
        unlatch: Box::new(move |cgroup| unlatch.unlatch(cgroup).map_err(fault)),
        remove: Box::new(move |cgroup| remove.remove(cgroup).map_err(fault)),
        all: Box::new(move || all.all().map_err(fault)),
        mode: mode(config),
        agents_dir: Cage::locate(&config.places, &config.cage)?.agents_dir,
    })
}

pub(super) fn executor(config: &Config) -> Result<executor::KernelSide, KernelError> {
    let seals = Seals::open(&config.places.pin_dir)?;
    Ok(executor::KernelSide {
        sealed: Box::new(move |cgroup| seals.sealed(cgroup).map_err(fault)),
        agents: executor::Agents::at(Cage::locate(&config.places, &config.cage)?.agents_dir),
    })
}

pub(super) fn gateway(config: &Config) -> Result<gateway::KernelSide, KernelError> {
    let pins: &Path = &config.places.pin_dir;
    let deny = Arc::new(Deny::open(pins)?);
    let [seal, unseal, sealed, all] = std::array::from_fn(|_| Arc::clone(&deny));
    let (lease, marks) = (Lease::open(pins)?, Marks::open(pins)?);
    let stamp = Stamps::open(pins)?.map(|stamps| -> gateway::ReadStamp {
        Box::new(move |accepted| stamps.read(accepted).map_err(fault))
    });
    Ok(gateway::KernelSide {
        seal: Box::new(move |(cgroup, decided)| seal.seal(cgroup, decided).map_err(fault)),
        unseal: Box::new(move |cgroup| unseal.remove(cgroup).map_err(fault)),
        sealed: Box::new(move |cgroup| sealed.contains(cgroup).map_err(fault)),
        all_sealed: Box::new(move || all.all().map_err(fault)),
        mark: Box::new(move |listener, cgroup| marks.mark(listener, cgroup).map_err(fault)),
        stamp,
        renew: Box::new(move |until| lease.renew(until).map_err(fault)),
        mode: mode(config),
        agents_dir: Cage::locate(&config.places, &config.cage)?.agents_dir,
    })
}
