//! How a server is spoken with, by its file.

use std::time::Duration;

use super::settings::{Server, Way};
use crate::gate::Era;

/// How a server is spoken with: in which way, how long a call may be, and how many of them at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Whether there is a handshake.
    pub(super) era: Era,
    /// How long the server has for one call.
    pub(super) call_timeout: Duration,
    /// Calls under way.
    pub(super) calls_max: usize,
    /// Whether it may say that it does not know the session, so that calls have to be made again.
    pub(super) may_forget: bool,
}

impl Server {
    /// Its bounds.
    pub(super) fn bounds(&self) -> Bounds {
        let (era, call_timeout, calls_max) = (self.era, self.call_timeout, self.calls_max);
        let may_forget =
            matches!(&self.way, Way::Url(remote) if era == Era::Handshake && !remote.is_sse);
        Bounds { era, call_timeout, calls_max, may_forget }
    }
}
