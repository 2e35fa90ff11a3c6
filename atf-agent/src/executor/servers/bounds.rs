//! How a server is spoken with, by its file.

use std::time::Duration;

use super::settings::{Server, Way};
use crate::call::Questions;
use crate::gate::Era;

/// How a server is spoken with: in which way, how long a call may be, and how many of them at once.
#[derive(Debug, Clone)]
pub(super) struct Bounds {
    /// Whether there is a handshake.
    pub(super) era: Era,
    /// How long the server has for one call.
    pub(super) call_timeout: Duration,
    /// Calls under way.
    pub(super) calls_max: usize,
    /// Whether it may say that it does not know the session, so that calls have to be made again.
    pub(super) may_forget: bool,
    /// By what it is known of which call it is what it says before an answer.
    pub(super) known_by: KnownBy,
    /// What it is told that may be asked of its client, where that is told once for all calls.
    pub(super) asks: Questions,
}

/// By what it is known of which call it is what a server says before an answer, where that names none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KnownBy {
    /// It is not known.
    Nothing,
    /// It comes on the stream of the answer to that call.
    Stream,
    /// The server makes one call at a time.
    Turn,
}

impl Server {
    /// Its bounds.
    pub(super) fn bounds(&self) -> Bounds {
        let (era, call_timeout) = (self.era, self.call_timeout);
        let (known_by, asks) = match &self.way {
            Way::Url(remote) if remote.is_sse => (KnownBy::Nothing, Questions::new()),
            Way::Url(remote) => (KnownBy::Stream, remote.asks.clone()),
            Way::Child(_, asks) if asks.is_empty() => (KnownBy::Nothing, Questions::new()),
            Way::Child(_, asks) => (KnownBy::Turn, asks.clone()),
        };
        let calls_max = match known_by {
            KnownBy::Turn => 1,
            KnownBy::Nothing | KnownBy::Stream => self.calls_max,
        };
        let may_forget = known_by == KnownBy::Stream && era == Era::Handshake;
        Bounds { era, call_timeout, calls_max, may_forget, known_by, asks }
    }
}
