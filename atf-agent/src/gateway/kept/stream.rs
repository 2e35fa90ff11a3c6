//! The stream of one call: its events as they are sent, until they are forgotten. One reads it at a time.

use std::sync::{Arc, Mutex, Weak};
use std::task::Waker;
use std::time::Duration;

use hyper::body::Bytes;
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::Instant;

use super::super::events::text;
use super::super::following::{Following, Next};
use super::super::sessions::Session;
use super::{Kept, is_past, lock};
use crate::identity::Claims;

/// Events before the answer: more than an executor lets through of one call.
const NOTICES_MAX: usize = 512;

/// What one event takes besides its bytes.
const EVENT_BYTES: usize = 64;

/// One stream.
pub(in crate::gateway) struct Stream {
    table: Weak<Kept>,
    word: String,
    /// The number of the session, and what the token of the call said.
    session: u64,
    claims: Claims,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// From number 1 on; 0 is the one that primes.
    events: Vec<Bytes>,
    ended: Option<Instant>,
    /// The place of its call, which the answer holds until nobody reads it, or it counts among what is kept.
    place: Option<OwnedSemaphorePermit>,
    /// What it counts among what is kept.
    counted: usize,
    /// Nobody comes back to it.
    is_gone: bool,
    reader: Option<Reader>,
    readers: u64,
}

struct Reader {
    number: u64,
    waker: Option<Waker>,
    /// Ends its connection.
    cut: Arc<Notify>,
}

/// What a reader finds.
pub(super) enum Found {
    /// This event.
    Event(Bytes),
    /// Nothing yet.
    Waits,
    /// The end, or another reader.
    End,
}

impl Stream {
    /// One of this word, in the session of this number.
    pub(super) fn new(table: Weak<Kept>, word: String, (session, claims): (u64, Claims)) -> Self {
        Self { table, word, session, claims, state: Mutex::default() }
    }

    /// Whether this is its word.
    pub(super) fn is(&self, word: &str) -> bool {
        self.word == word
    }

    /// Whether its call was made in `session` by who has `claims`; a token that was renewed says the same.
    pub(super) fn is_of(&self, session: &Session, claims: &Claims) -> bool {
        self.session == session.number() && self.claims.says_what(claims)
    }

    /// The number of its session.
    pub(super) fn session(&self) -> u64 {
        self.session
    }

    /// The id of its event of this number.
    pub(super) fn id(&self, number: u64) -> String {
        format!("{}-{number}", self.word)
    }

    /// Whether there was an event of this number.
    pub(super) fn has(&self, number: u64) -> bool {
        number <= lock(&self.state).events.len() as u64
    }

    /// Whether it counts among what is kept, and ended longer ago than `lasts`.
    pub(super) fn is_over(&self, lasts: Duration) -> bool {
        let state = lock(&self.state);
        state.counted > 0 && state.ended.is_some_and(|ended| is_past(ended, lasts))
    }

    /// What it holds.
    pub(super) fn bytes(&self) -> usize {
        let state = lock(&self.state);
        let events: usize = state.events.iter().map(|event| event.len() + EVENT_BYTES).sum();
        size_of::<Self>() + events
    }

    /// What it counts among what is kept.
    pub(super) fn counted(&self) -> usize {
        lock(&self.state).counted
    }

    /// It counts this much from now on, and its call has no place any more.
    pub(super) fn count(&self, bytes: usize) {
        let place = {
            let mut state = lock(&self.state);
            state.counted = bytes;
            state.place.take()
        };
        drop(place);
    }

    /// Nobody comes back to it. Who reads it in its call's own place goes on.
    pub(super) fn forget(&self) {
        let mut state = lock(&self.state);
        state.is_gone = true;
        if state.counted > 0 || state.reader.is_none() {
            state.events = Vec::new();
            state.place = None;
            if let Some(reader) = state.reader.take() {
                reader.end();
            }
        }
    }

    /// Says something before the answer. Past the bound it is lost, as at any door that is full.
    pub(super) fn tell(&self, message: &str) {
        if lock(&self.state).events.len() < NOTICES_MAX {
            self.add(message, |_| {});
        }
    }

    /// Says the answer, in whose call's place it stays until nobody reads it.
    pub(super) fn ends(self: &Arc<Self>, answer: &str, place: Option<OwnedSemaphorePermit>) {
        let is_read = self.add(answer, |state| {
            state.ended = Some(Instant::now());
            state.place = place;
        });
        if !is_read {
            self.settle();
        }
    }

    /// Adds an event; whether somebody reads it.
    fn add(&self, message: &str, then: impl FnOnce(&mut State)) -> bool {
        let mut state = lock(&self.state);
        if !state.is_gone || state.reader.is_some() {
            let number = state.events.len() as u64 + 1;
            let event = format!("id: {}\n{}", self.id(number), text(message));
            state.events.push(event.into());
        }
        then(&mut state);
        let waker = state.reader.as_mut().and_then(|reader| reader.waker.take());
        let is_read = state.reader.is_some();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        is_read
    }

    /// Follows its call to the end, whoever reads.
    pub(super) async fn follow(self: Arc<Self>, mut following: Following) {
        loop {
            match following.next().await {
                Next::Notice(notice) => self.tell(&notice),
                Next::Answer(answer, place) => return self.ends(&answer.body, place),
            }
        }
    }

    /// It has another reader; its number. Who read before does so no more, and has no connection any more: one that is
    /// half open would stay for ever.
    pub(super) fn is_read_by(&self, cut: Arc<Notify>) -> u64 {
        let mut state = lock(&self.state);
        state.readers += 1;
        let number = state.readers;
        if let Some(before) = state.reader.replace(Reader { number, waker: None, cut }) {
            before.end();
        }
        number
    }

    /// What reader `number` finds behind the first `read` events.
    pub(super) fn read(&self, number: u64, read: u64, waker: &Waker) -> Found {
        let mut state = lock(&self.state);
        let state = &mut *state;
        let Some(reader) = state.reader.as_mut().filter(|reader| reader.number == number) else {
            return Found::End;
        };
        let event = usize::try_from(read).ok().and_then(|read| state.events.get(read));
        match event {
            Some(event) => Found::Event(event.clone()),
            None if state.ended.is_some() => Found::End,
            None => {
                reader.waker = Some(waker.clone());
                Found::Waits
            }
        }
    }

    /// Reader `number` has gone.
    pub(super) fn is_left_by(self: &Arc<Self>, number: u64) {
        let mut state = lock(&self.state);
        if state.reader.as_ref().is_none_or(|reader| reader.number != number) {
            return;
        }
        state.reader = None;
        let has_ended = state.ended.is_some() && state.counted == 0;
        drop(state);
        if has_ended {
            self.settle();
        }
    }

    fn settle(self: &Arc<Self>) {
        match self.table.upgrade() {
            Some(table) => table.settle(self),
            None => self.forget(),
        }
    }
}

impl Reader {
    fn end(self) {
        self.cut.notify_one();
        if let Some(waker) = self.waker {
            waker.wake();
        }
    }
}
