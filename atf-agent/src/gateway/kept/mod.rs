//! What one run's clients come back to when they lost their connection in the middle of a call (MCP 2025-11-25,
//! Resumability and Redelivery): the events of each call's stream, as they were to be sent. An event's id has a word that
//! nobody guesses; it is found in the table of its own run, for its own session and who made the call.

mod reading;
mod resuming;
mod stream;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::Gateway;
use super::sessions::{Session, word};
use super::settings::Settings;
use crate::identity::Claims;

pub(super) use reading::Reading;
pub(super) use resuming::{Wants, reply, resume};
pub(super) use stream::Stream;

/// Answers that are kept of one run; past that the oldest is forgotten.
const KEPT_MAX: usize = 64;

/// How often what is over its time is looked for. Nobody gets it meanwhile.
const SWEEP_PAUSE: Duration = Duration::from_secs(2);

/// The streams of one run. Those of calls under way have the bounds of calls; those whose call gave its place back
/// have the bounds that are here.
pub(super) struct Kept {
    bytes_max: usize,
    lasts: Duration,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    is_closed: bool,
    /// The oldest first.
    streams: VecDeque<Arc<Stream>>,
    /// What those hold that have no call's place any more.
    bytes: usize,
}

impl Kept {
    /// A table with these bounds.
    pub(super) fn new(settings: &Settings) -> Arc<Self> {
        Arc::new(Self {
            bytes_max: settings.kept_bytes_per_run_max,
            lasts: Duration::from_millis(settings.kept_for_ms),
            table: Mutex::default(),
        })
    }

    /// Whether anything is kept at all.
    pub(super) fn keeps(&self) -> bool {
        self.bytes_max > 0 && !self.lasts.is_zero()
    }

    /// The stream of a call in `session` that was made with `claims`, and who reads it, whose connection `cut` ends.
    /// None of a run that is closed, or without random bytes: then there is nothing to come back to.
    pub(super) fn begin(
        self: &Arc<Self>,
        (session, claims): (&Session, &Claims),
        cut: Arc<Notify>,
        is_primed: bool,
    ) -> Option<(Arc<Stream>, Reading)> {
        let of = (session.number(), claims.clone());
        let stream = Arc::new(Stream::new(Arc::downgrade(self), word()?, of));
        let mut table = lock(&self.table);
        if table.is_closed {
            return None;
        }
        table.streams.push_back(Arc::clone(&stream));
        drop(table);
        let reading = Reading::of(&stream, 0, cut, is_primed);
        Some((stream, reading))
    }

    /// Whoever may come back to the event `id` reads what came after it; who read before does so no more. One answer
    /// for all that are not there: of another run, another session, another token, over its time, or of nobody.
    fn find(
        &self,
        (session, claims): (&Session, &Claims),
        id: &str,
        cut: Arc<Notify>,
    ) -> Option<Reading> {
        let (word, number) = id.rsplit_once('-')?;
        let number: u64 = number.parse().ok().filter(|read: &u64| read.to_string() == number)?;
        let table = lock(&self.table);
        let mut all = table.streams.iter();
        let stream = all.find(|stream| stream.is(word) && stream.is_of(session, claims))?;
        let is_there = stream.has(number) && !stream.is_over(self.lasts);
        // Whoever forgets it waits for the table, and so finds the reader.
        is_there.then(|| Reading::of(stream, number, cut, false))
    }

    /// The call of `stream` gives its place back. What it holds counts from now on, the oldest goes for it, and
    /// what is more than may be kept goes itself.
    fn settle(&self, stream: &Arc<Stream>) {
        let mut table = lock(&self.table);
        // It has another reader since, who has gone, too.
        if stream.counted() > 0 {
            return;
        }
        let at = table.streams.iter().position(|one| Arc::ptr_eq(one, stream));
        let Some(one) = at.and_then(|at| table.streams.remove(at)) else {
            return stream.forget();
        };
        let bytes = one.bytes();
        if bytes > self.bytes_max {
            return one.forget();
        }
        while table.bytes + bytes > self.bytes_max || table.settled() >= KEPT_MAX {
            let Some(oldest) = table.streams.iter().position(|one| one.counted() > 0) else {
                break;
            };
            table.forget(oldest);
        }
        one.count(bytes);
        table.bytes += bytes;
        table.streams.push_back(one);
    }

    /// The session is over, and what was kept for it.
    pub(super) fn end_all_of(&self, session: &Session) {
        let number = session.number();
        lock(&self.table).forget_all(|stream| stream.session() == number);
    }

    /// Forgets all.
    pub(super) fn forget_all(&self) {
        lock(&self.table).forget_all(|_| true);
    }

    /// Forgets all, and keeps nothing more.
    pub(super) fn close(&self) {
        let mut table = lock(&self.table);
        table.is_closed = true;
        table.forget_all(|_| true);
    }

    /// Forgets what is over its time.
    fn sweep(&self) {
        lock(&self.table).forget_all(|stream| stream.is_over(self.lasts));
    }

    /// How many streams there are, and what those without a call's place hold.
    #[cfg(test)]
    pub(super) fn holds(&self) -> (usize, usize) {
        let table = lock(&self.table);
        (table.streams.len(), table.bytes)
    }
}

impl Table {
    /// How many have no call's place.
    fn settled(&self) -> usize {
        self.streams.iter().filter(|stream| stream.counted() > 0).count()
    }

    fn forget(&mut self, at: usize) {
        if let Some(stream) = self.streams.remove(at) {
            self.bytes -= stream.counted();
            stream.forget();
        }
    }

    fn forget_all(&mut self, is_one: impl Fn(&Stream) -> bool) {
        while let Some(at) = self.streams.iter().position(|stream| is_one(stream)) {
            self.forget(at);
        }
    }
}

/// Looks for what is over its time, for ever.
pub(super) async fn sweep(gateway: Arc<Gateway>) {
    loop {
        sleep(SWEEP_PAUSE).await;
        for run in gateway.runs.all() {
            run.kept.sweep();
        }
    }
}

/// Whether what happened at `since` is longer ago than `lasts`.
fn is_past(since: Instant, lasts: Duration) -> bool {
    since.elapsed() >= lasts
}

/// What is guarded is whole even when a holder of the lock panicked: it is only set and taken.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
