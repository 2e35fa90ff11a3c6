//! What a caller wants to be told while a server works on its call. Wanting it is no right to it: the
//! policy says what a server may tell.

use super::envelope::Meta;
use super::era::{Era, Stated};
use super::id::Id;
use crate::call::{Deferral, Level, Notice, Notices, Target};
use crate::wire::MayTell;

/// What one request asks to be told. Nothing by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wants {
    progress: Option<Id>,
    level: Option<Level>,
    takes_more: bool,
}

impl Wants {
    /// Reads what `meta` says of it. In the handshake revisions the level is the session's. A caller that
    /// takes one message for an answer, and no more, is told nothing before.
    ///
    /// # Errors
    /// When the token is none that could be given back.
    pub(super) fn read(meta: &Meta<'_>, era: Era, stated: &Stated) -> Result<Self, String> {
        let progress = match meta.progress {
            None => None,
            Some(raw) => Some(Id::read(raw).ok_or(
                "_meta: the progressToken is no string of at most 128 bytes and no integer within 2^53",
            )?),
        };
        let level = match era {
            Era::Handshake => stated.level,
            Era::Stateless => meta.level,
        };
        Ok(if stated.takes_one_message {
            Self::default()
        } else {
            Self { progress, level, takes_more: true }
        })
    }

    /// The token by which the caller knows what is told of how far its call has come.
    pub fn progress(&self) -> Option<&Id> {
        self.progress.as_ref()
    }

    /// Whether the caller takes anything before the answer.
    pub(super) fn takes_more(&self) -> bool {
        self.takes_more
    }

    /// What of it is allowed in a call of `target`, where `notices` are. How far a deferred call is, is told to who
    /// waits for its result.
    pub(super) fn within(&self, notices: &Notices, target: &Target) -> MayTell {
        let waits = target.deferral().is_some_and(|deferred| deferred.asks == Deferral::Result);
        MayTell {
            progress: self.progress.is_some() && notices.contains(&Notice::Progress),
            level: self.level.filter(|_| notices.contains(&Notice::Log)),
            status: waits && self.takes_more && notices.contains(&Notice::Status),
        }
    }
}
