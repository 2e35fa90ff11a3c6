//! What a server says, and of which call that is.

use super::super::bounds::KnownBy;
use super::super::message::{Body, Heard};
use super::super::news::News;
use super::super::sides::Said;
use super::super::subscribed::Ear;
use super::{BAD_MAX, Ended, Session};
use crate::call::Untrusted;
use crate::gate::Era;

impl Session<'_> {
    /// An answer to one of our numbers, if what was said is one.
    pub(super) fn hear(&mut self, said: Option<Said>) -> Result<Option<(u64, Body)>, Ended> {
        let (of, heard) = match said {
            None => return Err(Ended::Closed),
            Some(Said::Endless) => return Err(Ended::Endless),
            Some(Said::Message(heard)) => (None, heard),
            Some(Said::Of(id, heard)) => (Some(id), heard),
        };
        let of = of.or_else(|| self.of_turn());
        match heard {
            Heard::Answer { id, body } => Ok(Some((id, body))),
            Heard::Asked { id, asks } => {
                // What a run is asked, its call bounds.
                if self.asked(of, &id, asks) {
                    Ok(None)
                } else {
                    self.count_unasked().map(|()| None)
                }
            }
            Heard::Told { news } => {
                let is_told = match news {
                    News::Tools => {
                        self.list();
                        false
                    }
                    News::Besides => {
                        self.list_besides();
                        false
                    }
                    News::Progress(id, told) => self.under_way.progress(id, told),
                    News::Status(task, told) => self.under_way.status(&task, &told),
                    News::Log(level, told) => match of {
                        Some(id) => self.under_way.log_of(id, level, told),
                        None if self.bounds.era == Era::Handshake => false,
                        None => self.under_way.log(level, told),
                    },
                    News::Updated(uri) => self.updated(&uri),
                    News::Subscribed(id, uris) => self.subscribed.acknowledged(id, &uris),
                    News::Other => false,
                };
                // What a run is told, its call bounds.
                if is_told { Ok(None) } else { self.count_unasked().map(|()| None) }
            }
            Heard::Bad(why) => {
                let why = Untrusted::new(why);
                tracing::warn!(server = self.name, %why, "a tool server said what is no message");
                self.bad += 1;
                if self.bad >= BAD_MAX { Err(Ended::Gibberish) } else { Ok(None) }
            }
        }
    }

    /// A resource has changed; false when that is told to nobody, or too often.
    fn updated(&mut self, uri: &str) -> bool {
        let number = self.number();
        let ear = Ear { unread: &self.unread, revision: self.revision };
        self.subscribed.updated(uri, number, &ear)
    }

    /// The call that is under way, of a server that makes one at a time. None while one before it may be worked on still,
    /// or the server has to answer somebody who wants to hear of a resource: then it may be that for which it asks.
    fn of_turn(&self) -> Option<u64> {
        let is_one = self.bounds.known_by == KnownBy::Turn && !self.subscribed.is_asking();
        self.under_way.alone().filter(|_| is_one)
    }
}
