//! `atf gateway`: where a run's calls arrive, are judged, recorded and acted upon, and from where a
//! refused run is sealed. It holds public keys and its own permit key, no credential and no
//! capability.

mod account;
mod acting;
mod after;
mod answer;
mod approval;
mod asking;
mod authorization;
mod awaited;
mod breaker;
mod budget;
mod caller;
mod changes;
mod clients;
mod connections;
mod deferred;
mod detached;
mod error;
mod events;
mod execution;
mod feedback;
mod following;
mod headers;
mod http;
mod kept;
mod kernel_side;
mod keys;
mod lease;
mod line;
mod lines;
mod listener;
mod listening;
mod mcp;
mod notices;
mod offers;
mod past;
mod questions;
mod registry;
mod rounds;
mod rules;
mod runs;
mod sessions;
mod settings;
mod sse;
mod steady;
mod streams;
mod subscribing;
mod telling;
#[cfg(test)]
mod tests;
mod updates;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::call::{Refusal, RunId, StateKey, Step};
use crate::gate::{Counters, Facts, Limits, Signers};
use crate::identity::{AgreementKey, Verifier};
use crate::kernel;
use crate::state::{Approvals, Boot, Caps, Hearings, files};
use crate::wire::{Ids, Places};

pub use error::GatewayError;
pub use kernel_side::{KernelFault, KernelSide, ReadStamp};
pub use keys::TokenProfile;
pub use settings::Settings;

/// How long calls under way may take to end after SIGTERM: what the executor has, at most.
const DRAIN_MAX: Duration = Duration::from_secs(10);

/// Everything that a call meets.
pub(crate) struct Gateway {
    places: Places,
    ids: Ids,
    settings: Settings,
    patience: http::Patience,
    kernel: KernelSide,
    agents: caller::Agents,
    runs: runs::Runs,
    recorder: clients::Recorder,
    executor: execution::Executor,
    changes: changes::Changes,
    stopping: watch::Sender<bool>,
    /// One for each subscription that there may be.
    subscriptions: Arc<Semaphore>,
    /// The names that servers have for the deferred calls of all runs.
    deferred: deferred::Names,
    keys: keys::Keys,
    rules: rules::InForce,
    caps: Caps,
    approvals: Approvals,
    hearings: Hearings,
    steady: steady::Steady,
    breaker: breaker::Breaker,
    /// Under what it agrees with an executor, permits are sent to it.
    permit_key: Arc<AgreementKey>,
    state_key: StateKey,
    /// One permit for each call that is under way.
    under_way: Arc<Semaphore>,
    /// The lock on the state directory.
    _alone: fs::File,
}

/// Calls that may be under way in all runs together. A count, not a limit: each run has its own.
const UNDER_WAY_MAX: u32 = 1 << 20;

/// Runs the gateway until SIGTERM or SIGINT; the calls under way are then waited for. SIGHUP reads
/// the policy anew. Must run as `ids.gateway`, within a tokio runtime.
///
/// # Errors
/// When it cannot start, or a part of it ended that never should.
pub async fn serve(
    places: Places,
    ids: Ids,
    settings: Settings,
    profile: TokenProfile,
    signers: Signers,
    kernel: KernelSide,
) -> Result<(), GatewayError> {
    let mut stop = signal(SignalKind::terminate()).map_err(GatewayError::Signals)?;
    let mut reload = signal(SignalKind::hangup()).map_err(GatewayError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(GatewayError::Signals)?;
    raise_descriptors();
    let gateway = Arc::new(Gateway::new(places, ids, settings, profile, signers, kernel)?);
    let mut tasks = gateway.start()?;
    crate::wire::ready();
    loop {
        tokio::select! {
            _ = stop.recv() => break,
            _ = interrupt.recv() => break,
            _ = reload.recv() => match gateway.rules.reload(None) {
                Ok(rules) => notices::reloaded(&gateway, &rules),
                Err(error) => notices::not_taken(&gateway, &error),
            },
            ended = tasks.join_next() => {
                return Err(GatewayError::Ended(format!("{ended:?}")));
            }
        }
    }
    gateway.stop().await;
    Ok(())
}

impl Gateway {
    fn new(
        places: Places,
        ids: Ids,
        settings: Settings,
        profile: TokenProfile,
        signers: Signers,
        kernel: KernelSide,
    ) -> Result<Self, GatewayError> {
        let agents = fs::read_to_string("/proc/self/mountinfo")
            .and_then(|mountinfo| caller::Agents::find(&kernel.agents_dir, &mountinfo))
            .map_err(|error| GatewayError::Agents { path: kernel.agents_dir.clone(), error })?;
        let (caps, approvals, alone) = open_state(&places)?;
        let execute_timeout = Duration::from_millis(settings.execute_timeout_ms);
        let permit_key = Arc::new(AgreementKey::generate()?);
        Ok(Self {
            agents,
            patience: http::Patience::default(),
            runs: runs::Runs::default(),
            recorder: clients::Recorder::new(places.recorder_socket()),
            executor: execution::Executor::new(
                &places.executor_socket(),
                execute_timeout,
                Arc::clone(&permit_key),
            ),
            changes: changes::Changes::default(),
            stopping: watch::channel(false).0,
            subscriptions: Arc::new(Semaphore::new(subscribing::OF_ALL_MAX)),
            deferred: deferred::Names::default(),
            keys: keys::Keys::new(places.jwks(), profile),
            rules: rules::InForce::read(places.policy_dir.clone(), signers)?,
            caps,
            approvals,
            hearings: open_hearings(&places, settings.hearings_bytes_max)?,
            steady: steady::Steady::start(),
            breaker: breaker::Breaker::new(settings.seals_per_minute_max.get()),
            permit_key,
            state_key: StateKey::random(),
            under_way: Arc::new(Semaphore::new(UNDER_WAY_MAX as usize)),
            _alone: alone,
            places,
            ids,
            settings,
            kernel,
        })
    }

    /// Publishes the permit key, and starts what never ends.
    fn start(self: &Arc<Self>) -> Result<JoinSet<()>, GatewayError> {
        let path = self.places.permit_key();
        keys::publish(self.permit_key.public(), &path)
            .map_err(|error| GatewayError::PermitKey { path, error })?;
        let mut tasks = JoinSet::new();
        // Before the first run is told that it may connect.
        lease::renew(self).map_err(GatewayError::Lease)?;
        tasks.spawn(lease::keep(Arc::clone(self)));
        tasks.spawn(registry::follow(Arc::clone(self)));
        tasks.spawn(changes::follow(Arc::clone(self)));
        tasks.spawn(kept::sweep(Arc::clone(self)));
        tokio::spawn(notices::started(Arc::clone(self)));
        Ok(tasks)
    }

    /// Accepts nothing more, and waits for the calls under way, so that their outcomes are recorded.
    async fn stop(&self) {
        for run in self.runs.all() {
            run.stop_listening();
        }
        self.stopping.send_replace(true);
        let all = self.under_way.acquire_many(UNDER_WAY_MAX);
        if tokio::time::timeout(DRAIN_MAX, all).await.is_err() {
            tracing::warn!("calls were still under way after {DRAIN_MAX:?}");
        }
        self.hearings.finish();
    }

    /// Drops what is remembered of a run that has ended.
    fn forget(&self, run: RunId) {
        // A gateway that starts again removes its row.
        if let Err(error) = self.caps.forget(run) {
            tracing::warn!(%error, %run, "the counts of an ended run stay");
        }
        if let Err(error) = self.approvals.forget(run) {
            tracing::warn!(%error, %run, "the approvals of an ended run stay until their time is over");
        }
    }

    /// What is read of a message at all.
    fn limits(&self) -> Limits {
        Limits { body_bytes_max: self.settings.body_bytes_max }
    }

    /// The verifier of tokens.
    fn verifier(&self) -> Result<Arc<Verifier>, Refusal> {
        let none = "the authority's keys were never read";
        let verifier = self.keys.verifier();
        verifier.ok_or_else(|| line::unavailable(Step::Authenticate, none))
    }

    /// What the policy is told of the run, besides the call.
    fn facts(&self, run: &runs::LiveRun, now_unix_ns: u64) -> Facts {
        Facts {
            counters: Counters {
                calls: run.judged.fetch_add(1, Ordering::SeqCst),
                refusals: run.refusals.load(Ordering::SeqCst),
                spent_cents: self.caps.spent(run.entry.run),
            },
            now_unix_ns,
        }
    }
}

/// Where the kernel says which boot this is.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// What the live runs spent before this process started, and the persons' words that they have not used.
fn open_state(places: &Places) -> Result<(Caps, Approvals, fs::File), GatewayError> {
    let path = places.state("gateway");
    fs::create_dir_all(&path).map_err(|error| GatewayError::State { path: path.clone(), error })?;
    let alone = files::alone(&path);
    let alone = alone.map_err(|error| GatewayError::Another { path: path.clone(), error })?;
    let boot = fs::read_to_string(BOOT_ID)
        .map_err(|error| GatewayError::Boot { path: BOOT_ID.into(), error })?;
    let boot = Boot { id: boot.trim_end().to_owned(), now_ms: kernel::boot_ms() };
    let approvals = Approvals::open(&path.join("approvals.db"), &boot)?;
    Ok((Caps::open(&path.join("caps.db"), &boot)?, approvals, alone))
}

/// Where it is kept what the policy was told.
fn open_hearings(places: &Places, bytes_max: u64) -> Result<Hearings, GatewayError> {
    let path = places.hearings();
    Hearings::open(&path, bytes_max).map_err(|error| GatewayError::State { path, error })
}

/// Each connection of each run is a descriptor: as many as the hard limit allows.
fn raise_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open descriptors stays as it is");
    }
}
