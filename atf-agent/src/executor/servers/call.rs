//! One permitted call on its way to a server.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::super::error::Mistrust;
use super::super::outcome::{Outcome, Reply};
use super::bounds::{Bounds, KnownBy};
use crate::call::{DecisionId, Digest, Questions, RunId, Target};
use crate::gate::Era;
use crate::wire::{Answers, MayDefer, MayTell};

/// Says whether the run may still act; asked right before the server hears of the call, and again
/// before its answer leaves.
pub(in crate::executor) type Standing = Arc<dyn Fn() -> Result<(), Mistrust> + Send + Sync>;

/// A call whose permit was admitted. It waits here for its server, and the permit may run out meanwhile.
pub(in crate::executor) struct Call {
    /// The decision that allowed it.
    pub(in crate::executor) decision: DecisionId,
    /// The run whose call it is.
    pub(in crate::executor) run: RunId,
    /// The call under way whose server's question it answers: then it is no call of its own.
    pub(in crate::executor) began: Option<DecisionId>,
    /// What the server may tell the run meanwhile.
    pub(in crate::executor) may_tell: MayTell,
    /// How its server may defer it.
    pub(in crate::executor) defers: Option<MayDefer>,
    /// What is called; its own name is the server's.
    pub(in crate::executor) target: Target,
    /// The digest of what its server said of the tool when it was approved.
    pub(in crate::executor) approved: Option<Digest>,
    /// The arguments, byte for byte as judged.
    pub(in crate::executor) arguments: Box<RawValue>,
    /// What the server may ask of the run.
    pub(in crate::executor) questions: Questions,
    /// Whether it asks by requests while the call is under way.
    pub(in crate::executor) asks_by_request: bool,
    /// What the run answers to it, as judged.
    pub(in crate::executor) answers: Option<Box<Answers>>,
    /// Whether the permit is still one.
    pub(in crate::executor) unexpired: Standing,
    /// Whether the run is still unsealed.
    pub(in crate::executor) unsealed: Standing,
    /// Whether a server has heard of it before, and said that it knows nothing of its session.
    pub(in crate::executor) is_again: bool,
    /// Where the outcome goes.
    pub(in crate::executor) reply: Reply,
}

impl Call {
    /// What the server may ask, where it speaks as `bounds` say. A server with a handshake asks no run without one, and
    /// by a request of which it is not known for which call it is nobody.
    pub(super) fn may_ask(&self, bounds: &Bounds) -> Questions {
        match (bounds.era, self.asks_by_request) {
            // It asks by its result; who is asked by requests, the gateway asks so.
            (Era::Stateless, _) => self.questions.clone(),
            (Era::Handshake, true) if bounds.known_by != KnownBy::Nothing => {
                &self.questions & &bounds.asks
            }
            (Era::Handshake, _) => Questions::new(),
        }
    }

    /// Whether permit and run still stand, to be asked again right before the call is sent.
    pub(super) fn stands(&self) -> Standing {
        let (unexpired, unsealed) = (Arc::clone(&self.unexpired), Arc::clone(&self.unsealed));
        Arc::new(move || unexpired().and_then(|()| unsealed()))
    }

    /// The server has not heard of it and never will. Of one that it says to have passed over, only its own
    /// word says so.
    pub(super) fn not_done(self, why: Mistrust) {
        self.reply.give(match self.is_again {
            false => Outcome::NotDone(why),
            true => Outcome::Unknown(format!("its server ended the session, and then: {why}")),
        });
    }
}
