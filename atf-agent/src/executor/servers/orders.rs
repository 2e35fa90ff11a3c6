//! What a server's session is given to do.

use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::Call;
use crate::call::DecisionId;

/// Calls on which nobody waits that a session has not heard of yet. One that is lost runs to its end.
const CANCELS_MAX: usize = 64;

/// The session's end.
pub(super) struct Orders {
    /// Calls to be made.
    pub(super) calls: Receiver<Call>,
    /// Calls on which nobody waits any more.
    pub(super) cancels: Receiver<DecisionId>,
    /// Calls to a session that the server does not know any more: the next one makes them once more.
    pub(super) again: Vec<Call>,
}

/// The other end.
pub(super) struct Giving {
    /// See [`Orders::calls`].
    pub(super) calls: Sender<Call>,
    /// See [`Orders::cancels`].
    pub(super) cancels: Sender<DecisionId>,
}

/// Both ends; `waiting_max` calls may wait.
pub(super) fn orders(waiting_max: usize) -> (Giving, Orders) {
    let ((give_calls, calls), (give_cancels, cancels)) =
        (channel(waiting_max), channel(CANCELS_MAX));
    (
        Giving { calls: give_calls, cancels: give_cancels },
        Orders { calls, cancels, again: Vec::new() },
    )
}
