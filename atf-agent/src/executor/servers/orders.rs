//! What a server's session is given to do.

use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::super::error::Mistrust;
use super::Call;
use super::turns::Turns;
use crate::call::DecisionId;

/// Calls on which nobody waits that a session has not heard of yet. One that is lost runs to its end.
const CANCELS_MAX: usize = 64;

/// Answers that a session has not heard of yet. One that is lost is not given.
const ANSWERS_MAX: usize = 64;

/// The session's end.
pub(super) struct Orders {
    /// Calls to be made.
    pub(super) calls: Receiver<Call>,
    /// Calls that have come to a server that makes one at a time, and whose turn it is not yet.
    pub(super) waiting: Turns,
    /// What is said to the server's questions. They wait for no call: calls wait for them.
    pub(super) answers: Receiver<Answering>,
    /// Calls on which nobody waits any more.
    pub(super) cancels: Receiver<DecisionId>,
    /// Calls to a session that the server does not know any more: the next one makes them once more.
    pub(super) again: Vec<Call>,
}

/// What is said to a question of the server.
pub(super) enum Answering {
    /// What the run answers, permitted as a call is.
    Answer(Box<Call>),
    /// Nobody answers it.
    Nothing {
        /// The decision that allowed the call for which it is asked.
        decision: DecisionId,
        /// Our number for the question.
        question: u64,
    },
}

impl Answering {
    /// The server does not hear of it.
    pub(super) fn in_vain(self, why: Mistrust) {
        match self {
            Self::Answer(answer) => answer.not_done(why),
            Self::Nothing { .. } => {}
        }
    }
}

/// The other end.
pub(super) struct Giving {
    /// See [`Orders::calls`].
    pub(super) calls: Sender<Call>,
    /// See [`Orders::answers`].
    pub(super) answers: Sender<Answering>,
    /// See [`Orders::cancels`].
    pub(super) cancels: Sender<DecisionId>,
}

/// Both ends; `waiting_max` calls may wait.
pub(super) fn orders(waiting_max: usize) -> (Giving, Orders) {
    let (give_calls, calls) = channel(waiting_max);
    let (give_answers, answers) = channel(ANSWERS_MAX);
    let (give_cancels, cancels) = channel(CANCELS_MAX);
    (
        Giving { calls: give_calls, answers: give_answers, cancels: give_cancels },
        Orders { calls, answers, cancels, waiting: Turns::default(), again: Vec::new() },
    )
}
