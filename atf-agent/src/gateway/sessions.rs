//! Sessions of the handshake revisions: a word that a client brings back, by which is found again what it
//! said before: from which level on it wants to be told of what servers write down, and of the changes of which
//! resources. A session grants nothing and stands for nobody: the caller is proven for its connection, and the token of
//! each message is judged anew.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::rand;
use tokio::sync::watch;

use super::line::Sent;
use super::runs::LiveRun;
use super::updates::Updates;
use crate::call::{Digest, Level, Questions};
use crate::gate::{Method, Received, Revision, Stated};

/// Most sessions of one run: the oldest ends with one more. Clients begin another one when theirs has ended.
const SESSIONS_MAX: usize = 64;

/// Random bytes behind a session's word.
const RANDOM_BYTES: usize = 32;

/// One session, or a connection that is one.
#[derive(Debug)]
pub(super) struct Session {
    number: u64,
    id: String,
    /// What is spoken in it; none of a connection, which has no streams.
    revision: Option<Revision>,
    level: Mutex<Option<Level>>,
    /// What its client said that it can answer, when it began.
    can: Mutex<Questions>,
    /// The resources that have changed and of which its client was not told yet.
    pub(super) updates: Updates,
    /// Has followers as long as the session is one.
    alive: watch::Sender<()>,
}

/// The sessions of one run.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<VecDeque<Arc<Session>>>);

impl Session {
    /// One of this word, whose client can answer this.
    fn new(id: String, revision: Option<Revision>, can: Questions) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let (updates, alive) = (Updates::default(), watch::channel(()).0);
        let (level, can) = (Mutex::default(), Mutex::new(can));
        Self { number, id, revision, level, can, updates, alive }
    }

    /// A connection, or a stream, that is a session by itself.
    pub(super) fn of_connection() -> Self {
        Self::new(String::new(), None, Questions::new())
    }

    fn is_of_connection(&self) -> bool {
        self.id.is_empty()
    }

    /// Its number; no two have one.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Whether its client knows of events with ids, and comes back to them.
    pub(super) fn resumes(&self) -> bool {
        self.revision.is_some_and(|revision| revision != Revision::V20241105)
    }

    /// Whether it knows of events that have an id and no data.
    pub(super) fn is_primed(&self) -> bool {
        self.revision == Some(Revision::V20251125)
    }

    /// Ends when the session does.
    pub(super) fn alive(&self) -> watch::Receiver<()> {
        self.alive.subscribe()
    }

    /// States what its client said before.
    pub(super) fn state(&self, stated: &mut Stated) {
        (stated.level, stated.can) = (*lock(&self.level), lock(&self.can).clone());
    }
}

impl Sessions {
    /// Begins one; its word, of visible ASCII. None without random bytes: then there is no session, and the
    /// client does without.
    fn begin(&self, revision: Option<Revision>, can: Questions) -> Option<String> {
        let id = word()?;
        let mut all = lock(&self.0);
        if all.len() >= SESSIONS_MAX {
            all.pop_front();
        }
        all.push_back(Arc::new(Session::new(id.clone(), revision, can)));
        Some(id)
    }

    /// The session of this word.
    pub(super) fn get(&self, id: &str) -> Option<Arc<Session>> {
        lock(&self.0).iter().find(|session| session.id == id).cloned()
    }

    /// Whether this one has not ended.
    pub(super) fn has(&self, session: &Session) -> bool {
        lock(&self.0).iter().any(|one| one.number == session.number)
    }

    /// Ends it, and gives it back if there was one.
    pub(super) fn end(&self, id: &str) -> Option<Arc<Session>> {
        let mut all = lock(&self.0);
        let at = all.iter().position(|session| session.id == id)?;
        all.remove(at)
    }
}

/// A word that nobody guesses, of visible ASCII. None without random bytes.
pub(super) fn word() -> Option<String> {
    let mut bytes = [0; RANDOM_BYTES];
    rand::fill(&mut bytes).ok()?;
    Some(Digest::of(&bytes).to_string())
}

/// What an answer to `received` means for the sessions of `run`: the word of a new one, when one begins.
pub(super) fn after(run: &LiveRun, sent: &Sent, received: &Received) -> Option<String> {
    let is_own = sent.session.as_deref().is_some_and(Session::is_of_connection);
    match received.method() {
        // A connection of lines and a stream are their own sessions.
        Method::Initialize if !is_own => {
            run.sessions.begin(received.offered(), received.can().clone())
        }
        Method::Initialize => {
            if let Some(session) = &sent.session {
                *lock(&session.can) = received.can().clone();
            }
            None
        }
        Method::SetLevel => {
            if let Some(session) = &sent.session {
                *lock(&session.level) = received.level();
            }
            None
        }
        Method::Unsubscribe => {
            let unsubscribed = sent.session.as_deref().zip(received.unsubscribes());
            unsubscribed.inspect(|(session, uri)| run.subscriptions.end(session, uri));
            None
        }
        _ => None,
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
    fn a_session_is_found_until_it_is_ended_or_too_old() {
        let (sessions, others) = (Sessions::default(), Sessions::default());
        let first = sessions.begin(None, Questions::new()).unwrap();
        assert!(first.bytes().all(|byte| (0x21..=0x7e).contains(&byte)));
        assert!(sessions.get(&first).is_some() && others.get(&first).is_none());
        for _ in 1..SESSIONS_MAX {
            sessions.begin(None, Questions::new()).unwrap();
        }
        assert!(sessions.get(&first).is_some(), "there is room");
        let last = sessions.begin(None, Questions::new()).unwrap();
        assert!(sessions.get(&first).is_none(), "the oldest");
        assert!(sessions.end(&first).is_none() && sessions.get(&last).is_some());
        let ended = sessions.end(&last).expect("it was there");
        assert!(sessions.get(&last).is_none() && !sessions.has(&ended));
        assert!(sessions.end("").is_none() && sessions.get("").is_none());
    }
}
