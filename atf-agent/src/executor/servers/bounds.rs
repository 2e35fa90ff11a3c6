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
    /// Whether what it says before an answer comes on the stream of that answer's request alone, so that it is known
    /// of which call it is.
    pub(super) by_stream: bool,
    /// What it is told that may be asked of its client, where that is told once for all calls.
    pub(super) asks: Questions,
}

impl Server {
    /// Its bounds.
    pub(super) fn bounds(&self) -> Bounds {
        let (era, call_timeout, calls_max) = (self.era, self.call_timeout, self.calls_max);
        let (by_stream, asks) = match &self.way {
            Way::Url(remote) => (!remote.is_sse, remote.asks.clone()),
            Way::Child(_) => (false, Questions::new()),
        };
        let may_forget = by_stream && era == Era::Handshake;
        Bounds { era, call_timeout, calls_max, may_forget, by_stream, asks }
    }
}
