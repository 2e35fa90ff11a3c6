//! The deferred calls of one run, by handles that are random and its own. They are in memory alone: after a restart
//! of the gateway there are none, and whoever names one is told that it is not known.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};
use tokio::runtime::Handle as Runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::call::{DeferredId, DeferredStatus as Status};
use crate::gate::{Begun, Era};
use crate::state::Stays;

/// Deferred calls that are kept of one run, finished ones included; past that the oldest finished one is forgotten.
const KEPT_MAX: usize = 64;

/// Longest time in milliseconds for which one is kept, whatever is configured: no run lives for so long, and no clock
/// runs over.
const LIFE_MS_MAX: u64 = 30 * 24 * 3_600_000;

/// How long a call whose end nobody saw is taken to go on when nobody may ask about it any more: its server need not
/// stop, and no run has more under way by a short time.
const GOES_ON_FOR: Duration = Duration::from_secs(90);

/// The deferred calls of one run.
#[derive(Debug)]
pub(in crate::gateway) struct Table {
    places: Arc<Semaphore>,
    goes_on_for: Duration,
    all: Mutex<BTreeMap<DeferredId, Arc<Entry>>>,
}

/// One deferred call.
#[derive(Debug)]
pub(in crate::gateway) struct Entry {
    /// As its run knows it.
    pub(super) id: DeferredId,
    /// As the gate knows it.
    pub(in crate::gateway) begun: Begun,
    /// The way in which it was called: who asks in another one does not find it.
    pub(super) era: Era,
    ttl_ms: u64,
    poll_ms: Option<u64>,
    created: SystemTime,
    until: Instant,
    now: Mutex<Now>,
    holds: Mutex<Option<Holds>>,
    named: Named,
    timer: Mutex<Option<AbortHandle>>,
}

/// What is known of it.
#[derive(Debug)]
struct Now {
    status: Status,
    message: Option<String>,
    at: SystemTime,
    /// Nothing is under way any more.
    is_over: bool,
}

/// What a call holds as long as it is under way.
#[derive(Debug)]
struct Holds {
    _place: OwnedSemaphorePermit,
    turns: Option<Stays>,
}

/// The names that servers have given to the deferred calls of all runs, and whether each was given once more.
#[derive(Debug, Clone, Default)]
pub(in crate::gateway) struct Names(Arc<Mutex<Given>>);

/// By server and name.
type Given = HashMap<(String, String), Arc<AtomicBool>>;

/// One of them, as long as its call is known.
#[derive(Debug)]
struct Named {
    names: Names,
    name: (String, String),
    is_double: Arc<AtomicBool>,
}

/// A deferred call about to be known.
pub(super) struct Begins {
    pub(super) begun: Begun,
    pub(super) era: Era,
    pub(super) ttl_ms: u64,
    pub(super) poll_ms: Option<u64>,
    pub(super) status: Status,
    pub(super) message: Option<String>,
    pub(super) place: OwnedSemaphorePermit,
}

impl Table {
    /// One of whose calls `at_once` may be under way.
    pub(in crate::gateway) fn new(at_once: usize) -> Self {
        let places = Arc::new(Semaphore::new(at_once));
        Self { places, goes_on_for: GOES_ON_FOR, all: Mutex::default() }
    }

    /// A place for one more call.
    pub(super) fn place(&self) -> Option<OwnedSemaphorePermit> {
        self.sweep();
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// The call of this handle, when it was made in this way.
    pub(super) fn find(&self, name: &str, era: Era) -> Option<Arc<Entry>> {
        self.sweep();
        let id: DeferredId = name.parse().ok()?;
        lock(&self.all).get(&id).filter(|entry| entry.era == era).cloned()
    }

    /// All of them that were called in this way, the oldest first.
    pub(super) fn all(&self, era: Era) -> Vec<Arc<Entry>> {
        self.sweep();
        let mut all: Vec<_> =
            lock(&self.all).values().filter(|entry| entry.era == era).cloned().collect();
        all.sort_by_key(|entry| (entry.created, entry.id));
        all
    }

    /// A call has been deferred.
    ///
    /// # Errors
    /// When its server has that name for another one, or the run has ended.
    pub(super) fn add(
        self: &Arc<Self>,
        names: &Names,
        begins: Begins,
    ) -> Result<Arc<Entry>, String> {
        let Begins { begun, era, ttl_ms, poll_ms, status, message, place } = begins;
        let named = names.take(&begun)?;
        let (id, created) = (DeferredId::random(), SystemTime::now());
        let ttl_ms = ttl_ms.min(LIFE_MS_MAX);
        let life = Duration::from_millis(ttl_ms);
        let now = Now { status, message, at: created, is_over: false };
        let entry = Arc::new(Entry {
            id,
            begun,
            era,
            ttl_ms,
            poll_ms,
            created,
            until: Instant::now() + life,
            now: Mutex::new(now),
            holds: Mutex::new(Some(Holds { _place: place, turns: None })),
            named,
            timer: Mutex::default(),
        });
        if self.places.is_closed() {
            return Err("the run has ended".to_owned());
        }
        {
            let mut all = lock(&self.all);
            if all.len() >= KEPT_MAX {
                let over = all.values().filter(|entry| entry.is_over());
                let oldest = over.min_by_key(|entry| entry.created).map(|entry| entry.id);
                oldest.and_then(|id| all.remove(&id));
            }
            all.insert(id, Arc::clone(&entry));
        }
        let table = Arc::downgrade(self);
        let timer = tokio::spawn(async move {
            tokio::time::sleep(life).await;
            table.upgrade().inspect(|table| table.forget(id));
        });
        *lock(&entry.timer) = Some(timer.abort_handle());
        Ok(entry)
    }

    /// It is not known any more.
    pub(in crate::gateway) fn forget(&self, id: DeferredId) {
        let forgotten = lock(&self.all).remove(&id);
        forgotten.into_iter().for_each(|entry| entry.lapses(self.goes_on_for));
    }

    /// The run has ended.
    pub(in crate::gateway) fn close(&self) {
        self.places.close();
        let all = std::mem::take(&mut *lock(&self.all));
        all.into_values().for_each(|entry| entry.lapses(self.goes_on_for));
    }

    fn sweep(&self) {
        let now = Instant::now();
        let over: Vec<_> = {
            let mut all = lock(&self.all);
            let is_over = |entry: &Entry| entry.until <= now || entry.is_double();
            all.extract_if(.., |_, entry| is_over(entry)).map(|(_, entry)| entry).collect()
        };
        over.into_iter().for_each(|entry| entry.lapses(self.goes_on_for));
    }
}

impl Entry {
    /// As its run knows it.
    pub(in crate::gateway) fn id(&self) -> DeferredId {
        self.id
    }

    /// What its server says of it now.
    pub(super) fn is(&self, status: Status, message: Option<String>) {
        {
            let mut now = lock(&self.now);
            if now.status != status || now.message != message {
                (now.status, now.message, now.at) = (status, message, SystemTime::now());
            }
        }
        match status {
            Status::Working | Status::InputRequired => {}
            Status::Completed | Status::Failed | Status::Cancelled => self.ends(),
        }
    }

    /// Whether its server has given its name to another call since: what it says of it may be of that one.
    pub(super) fn is_double(&self) -> bool {
        self.named.is_double.load(Ordering::SeqCst)
    }

    /// Nobody may ask about it any more. Unless its end was seen, nobody knows whether its server goes on: it holds
    /// what it holds for a while.
    fn lapses(self: Arc<Self>, goes_on_for: Duration) {
        if let (false, Ok(runtime)) = (self.is_over(), Runtime::try_current()) {
            runtime.spawn(async move {
                tokio::time::sleep(goes_on_for).await;
                drop(self);
            });
        }
    }

    /// It is under way no more: what it held is free.
    fn ends(&self) {
        lock(&self.now).is_over = true;
        let holds = lock(&self.holds).take();
        let Some(Holds { turns: Some(turns), .. }) = holds else { return };
        // What it gives back may be written, and nobody here may wait for the disk.
        match Runtime::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || drop(turns))),
            Err(_) => drop(turns),
        }
    }

    /// It holds these turns as long as it is under way; they come back when it is not.
    pub(in crate::gateway) fn holds(&self, turns: Stays) -> Option<Stays> {
        match &mut *lock(&self.holds) {
            Some(holds) => holds.turns.replace(turns),
            None => Some(turns),
        }
    }

    fn is_over(&self) -> bool {
        lock(&self.now).is_over
    }

    /// As its run is told of it.
    pub(super) fn told(&self) -> Map<String, Value> {
        let now = lock(&self.now);
        let mut told = Map::new();
        told.insert("taskId".to_owned(), json!(self.id));
        told.insert("status".to_owned(), json!(now.status));
        if let Some(message) = &now.message {
            told.insert("statusMessage".to_owned(), json!(message));
        }
        told.insert("createdAt".to_owned(), json!(written(self.created)));
        told.insert("lastUpdatedAt".to_owned(), json!(written(now.at)));
        let (ttl, poll) = match self.era {
            Era::Handshake => ("ttl", "pollInterval"),
            Era::Stateless => ("ttlMs", "pollIntervalMs"),
        };
        told.insert(ttl.to_owned(), json!(self.ttl_ms));
        if let Some(poll_ms) = self.poll_ms {
            told.insert(poll.to_owned(), json!(poll_ms));
        }
        told
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.ends();
        lock(&self.timer).take().inspect(AbortHandle::abort);
    }
}

impl Names {
    fn take(&self, begun: &Begun) -> Result<Named, String> {
        let server = begun.tool.as_str().split('.').next().unwrap_or_default();
        let name = (server.to_owned(), begun.task.clone());
        let mut all = lock(&self.0);
        if let Some(is_double) = all.get(&name) {
            // A server that has begun anew, or lies: the older one's run would be given what is this one's.
            is_double.store(true, Ordering::SeqCst);
            return Err(format!("{server} has that name for another deferred call"));
        }
        let is_double = Arc::new(AtomicBool::new(false));
        all.insert(name.clone(), Arc::clone(&is_double));
        Ok(Named { names: self.clone(), name, is_double })
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        lock(&self.names.0).remove(&self.name);
    }
}

/// As JSON has times (RFC 3339).
fn written(at: SystemTime) -> String {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or_default();
    let at: Option<DateTime<Utc>> = DateTime::from_timestamp(seconds, since.subsec_nanos());
    at.unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// What is guarded is whole even when a holder of the lock panicked: it is only set and taken.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{DecisionId, Digest, Questions};

    fn begins(place: OwnedSemaphorePermit, task: &str) -> Begins {
        let (pin, narrowing) = (Digest::of(b"p"), Digest::of(b"n"));
        let (tool, task) = ("f.t".parse().unwrap(), task.to_owned());
        let (decision, questions) = (DecisionId::random(), Questions::new());
        Begins {
            begun: Begun { decision, tool, task, pin, narrowing, questions },
            era: Era::Handshake,
            ttl_ms: 1,
            poll_ms: None,
            status: Status::Working,
            message: None,
            place,
        }
    }

    /// The attack: a run says that its calls are over at once, and has ever more of them under way.
    #[tokio::test]
    async fn a_call_whose_end_nobody_saw_keeps_its_place_for_a_while_and_one_that_ended_none() {
        let goes_on_for = Duration::from_millis(500);
        let table = Arc::new(Table { goes_on_for, ..Table::new(1) });
        let names = Names::default();
        let begin = |task| table.add(&names, begins(table.place().unwrap(), task)).unwrap();
        let id = begin("a").id.to_string();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(table.find(&id, Era::Handshake).is_none(), "its time is over");
        assert!(table.place().is_none());
        tokio::time::sleep(goes_on_for * 2).await;
        drop(table.place().expect("it came back"));
        begin("b").is(Status::Completed, None);
        drop(table.place().expect("its end was seen"));
        table.forget(begin("c").id);
        assert!(table.place().is_none(), "its run is told of it no more, and it goes on");
    }
}
