//! The live runs, as the authority told them, and what the gateway remembers of each.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

use super::asking::Asking;
use super::awaited::Awaited;
use super::budget::Budget;
use super::connections::Connections;
use super::deferred::Table;
use super::kept::Kept;
use super::past::Past;
use super::sessions::Sessions;
use super::settings::Settings;
use super::streams::Streams;
use super::subscribing::Subscriptions;
use crate::call::RunId;
use crate::wire::RunEntry;

/// How often one run may listen at once. Each takes the place of one of its calls.
const LISTENING_MAX: usize = 4;

/// Answers to questions that may be judged at once when all of a run's calls wait for such answers.
const ANSWERS_MAX: usize = 4;

/// One live run.
pub(super) struct LiveRun {
    /// What the authority registered.
    pub(super) entry: RunEntry,
    /// What is open.
    pub(super) connections: Connections,
    /// One for each call that may be under way.
    pub(super) calls: Arc<Semaphore>,
    /// One for each answer that may be judged beside them.
    pub(super) answers: Arc<Semaphore>,
    /// Refusals that count towards the seal.
    pub(super) refusals: AtomicU64,
    /// What may be recorded of it at full speed.
    pub(super) budget: Budget,
    /// Tool calls that came as far as the policy.
    pub(super) judged: AtomicU64,
    /// What it has seen.
    pub(super) past: Past,
    /// One for each of its clients that may listen.
    pub(super) listening: Arc<Semaphore>,
    /// The calls that its clients wait for.
    pub(super) awaited: Awaited,
    /// What the servers of its calls ask it.
    pub(super) asking: Asking,
    /// What its clients come back to.
    pub(super) sessions: Sessions,
    /// The streams of HTTP+SSE on which its clients are answered.
    pub(super) streams: Streams,
    /// The streams of its calls that its clients come back to.
    pub(super) kept: Arc<Kept>,
    /// The resources of whose changes its clients are told.
    pub(super) subscriptions: Arc<Subscriptions>,
    /// Its calls that are answered later.
    pub(super) deferred: Arc<Table>,
    /// Connections without a proven caller, for which at most one finding a second is recorded.
    pub(super) strangers: Strangers,
    sealed: AtomicBool,
    held_back: AtomicBool,
    listeners: Mutex<Vec<AbortHandle>>,
}

impl LiveRun {
    /// A run that nothing has called yet but what an earlier gateway refused.
    pub(super) fn new(entry: RunEntry, sealed: bool, refusals: u64, settings: &Settings) -> Self {
        Self {
            connections: Connections::new(settings.connections_per_run_max),
            calls: Arc::new(Semaphore::new(settings.calls_per_run_max)),
            answers: Arc::new(Semaphore::new(ANSWERS_MAX)),
            refusals: AtomicU64::new(refusals),
            budget: Budget::default(),
            judged: AtomicU64::new(0),
            past: Past::default(),
            listening: Arc::new(Semaphore::new(LISTENING_MAX)),
            awaited: Awaited::default(),
            asking: Asking::default(),
            sessions: Sessions::default(),
            streams: Streams::default(),
            kept: Kept::new(settings),
            subscriptions: Arc::default(),
            deferred: Arc::new(Table::new(settings.tasks_per_run_max)),
            strangers: Strangers::default(),
            sealed: AtomicBool::new(sealed),
            held_back: AtomicBool::new(false),
            listeners: Mutex::new(Vec::new()),
            entry,
        }
    }

    /// Whether it is sealed.
    pub(super) fn is_sealed(&self) -> bool {
        self.sealed.load(Ordering::SeqCst)
    }

    /// Seals it in the gateway; true for the one caller that did it.
    pub(super) fn seal(&self) -> bool {
        self.held_back.store(false, Ordering::SeqCst);
        let is_first = !self.sealed.swap(true, Ordering::SeqCst);
        // After the seal, so that nobody comes back meanwhile.
        self.kept.forget_all();
        is_first
    }

    /// Whether it would be sealed, and the breaker has no room for that.
    pub(super) fn is_held_back(&self) -> bool {
        self.held_back.load(Ordering::SeqCst)
    }

    /// Notes that the breaker holds its seal back; true for the one caller that noted it.
    pub(super) fn hold_back(&self) -> bool {
        !self.held_back.swap(true, Ordering::SeqCst)
    }

    /// Lifts the seal in the gateway; the refusals are counted anew.
    pub(super) fn release(&self) {
        self.refusals.store(0, Ordering::SeqCst);
        self.held_back.store(false, Ordering::SeqCst);
        self.budget.renew();
        self.sealed.store(false, Ordering::SeqCst);
    }

    /// Keeps a task that accepts its connections.
    pub(super) fn listens(&self, task: AbortHandle) {
        lock(&self.listeners).push(task);
    }

    /// Stops accepting.
    pub(super) fn stop_listening(&self) {
        for task in lock(&self.listeners).drain(..) {
            task.abort();
        }
    }

    /// Stops accepting, ends what is open, and takes no call more. Calls under way end by
    /// themselves.
    pub(super) fn close(&self) {
        self.stop_listening();
        self.calls.close();
        self.answers.close();
        self.subscriptions.close();
        self.deferred.close();
        self.kept.close();
        self.connections.close();
    }
}

/// Counts the connections without a proven caller between two findings.
#[derive(Default)]
pub(super) struct Strangers(Mutex<(u64, u64)>);

/// Milliseconds between two findings about strangers at one run's socket: a flood of them must not
/// become a flood of records.
const FINDING_INTERVAL_MS: u64 = 1_000;

impl Strangers {
    /// Counts one; how many were not reported since the last finding, when one is due.
    pub(super) fn count(&self, now_boot_ms: u64) -> Option<u64> {
        let mut state = lock(&self.0);
        let (last_boot_ms, suppressed) = *state;
        if last_boot_ms != 0 && now_boot_ms < last_boot_ms + FINDING_INTERVAL_MS {
            state.1 += 1;
            return None;
        }
        *state = (now_boot_ms, 0);
        Some(suppressed)
    }
}

/// All of them.
#[derive(Default)]
pub(super) struct Runs(Mutex<HashMap<RunId, Arc<LiveRun>>>);

impl Runs {
    /// The live run of this id.
    pub(super) fn get(&self, run: RunId) -> Option<Arc<LiveRun>> {
        lock(&self.0).get(&run).cloned()
    }

    /// Adds a run; the one that had its id, if any, is given back.
    pub(super) fn insert(&self, run: Arc<LiveRun>) -> Option<Arc<LiveRun>> {
        lock(&self.0).insert(run.entry.run, run)
    }

    /// Takes a run out.
    pub(super) fn remove(&self, run: RunId) -> Option<Arc<LiveRun>> {
        lock(&self.0).remove(&run)
    }

    /// The live runs.
    pub(super) fn all(&self) -> Vec<Arc<LiveRun>> {
        lock(&self.0).values().cloned().collect()
    }
}

/// What is guarded is whole even when a holder of the lock panicked: it is only set and taken.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_are_reported_once_a_second_and_all_are_counted() {
        let strangers = Strangers::default();
        assert_eq!(strangers.count(5_000), Some(0));
        assert_eq!(strangers.count(5_001), None);
        assert_eq!(strangers.count(5_999), None);
        assert_eq!(strangers.count(6_000), Some(2));
        assert_eq!(strangers.count(9_000), Some(0));
    }
}
