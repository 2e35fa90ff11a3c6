//! The resources of one server of whose changes runs are told. The server is asked once for each, by the first
//! who wants to know, and told when nobody does any more. What it says of others is heard by nobody.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use serde_json::value::RawValue;
use tokio::sync::mpsc::Sender;
use tokio::time::Instant;

use super::super::error::Mistrust;
use super::super::outcome::{Outcome, Reply};
use super::call::{Call, Standing};
use super::message::Body;
use super::request;
use super::saying::{Saying, What};
use crate::call::{DecisionId, Questions};
use crate::gate::Era;
use crate::wire::Told;

/// Most resources of one server, and most who are told of one of them. The gateway has fewer.
const RESOURCES_MAX: usize = 1_024;
/// See [`RESOURCES_MAX`].
const WHO_MAX: usize = 1_024;

/// Changes of one resource that come faster than this count as what nobody asked for: a flood costs a core.
const PACE: Duration = Duration::from_millis(100);

/// JSON-RPC 2.0: what was asked for is not to be had.
const PARAMS: i64 = -32_602;

/// All of them.
pub(super) struct Subscribed {
    era: Era,
    by_uri: BTreeMap<String, One>,
}

/// Where what the server has to hear goes.
pub(super) struct Ear<'a> {
    pub(super) unread: &'a Sender<Saying>,
    pub(super) revision: Option<&'static str>,
}

impl Ear<'_> {
    /// Says it; whether there was room.
    fn hears(&self, what: What, line: String) -> bool {
        self.unread.try_send(Saying { line, what, revision: self.revision, stands: None }).is_ok()
    }
}

/// One resource.
struct One {
    /// The number of the request for it.
    id: u64,
    /// Whether the server has said yes.
    is_on: bool,
    changed: Option<Instant>,
    who: Vec<Who>,
}

/// One who is told.
struct Who {
    decision: DecisionId,
    unsealed: Standing,
    reply: Reply,
}

impl Subscribed {
    /// None yet, of a server of this era.
    pub(super) fn new(era: Era) -> Self {
        Self { era, by_uri: BTreeMap::new() }
    }

    /// Somebody wants to be told, by a call that stands. The server is asked by number `id` when it does not
    /// know yet.
    pub(super) fn begin(&mut self, id: u64, call: Call, server: &Ear<'_>) {
        let uri = call.target.split().1.to_owned();
        let known = self.by_uri.get(&uri);
        let is_full =
            known.map_or(self.by_uri.len() >= RESOURCES_MAX, |known| known.who.len() >= WHO_MAX);
        let what = request::what(self.era, id, &call);
        let is_asked = || server.hears(what, request::call(self.era, id, &call));
        if is_full || !(known.is_some() || is_asked()) {
            let server = call.target.split().0.to_owned();
            return call.not_done(Mistrust::ServerBusy { server });
        }
        let one = self.by_uri.entry(uri).or_insert_with(|| One {
            id,
            is_on: false,
            changed: None,
            who: Vec::new(),
        });
        let Call { decision, unsealed, reply, .. } = call;
        if one.is_on {
            reply.tell(Told::Subscribed);
        }
        one.who.push(Who { decision, unsealed, reply });
    }

    /// An answer by this number; given back when it is none of these.
    pub(super) fn answered(&mut self, id: u64, body: Body) -> Option<Body> {
        let found = self.by_uri.iter().find(|(_, one)| one.id == id);
        let Some(uri) = found.map(|(uri, _)| uri.clone()) else { return Some(body) };
        match (self.era, body) {
            (Era::Handshake, Body::Result(_)) => {
                self.is_on(&uri);
            }
            // Its stream has ended.
            (Era::Stateless, Body::Result(_)) => {
                self.lost(&uri, || Outcome::Unknown("the server tells no more".to_owned()));
            }
            (_, Body::Error { code, message, missing }) => self.lost(&uri, || Outcome::Erred {
                code,
                message: message.clone(),
                missing: missing.clone(),
            }),
            (_, Body::Failed(failed)) => {
                self.lost(&uri, || Outcome::Unknown(failed.to_string()));
            }
            (_, Body::Broken(what)) => {
                self.lost(&uri, || Outcome::Unknown(format!("the server answered with {what}")));
            }
        }
        None
    }

    /// The server tells from now on of `uris`, as answer to request `id`; whether it was asked.
    pub(super) fn acknowledged(&mut self, id: u64, uris: &[String]) -> bool {
        let found = self.by_uri.iter().find(|(_, one)| one.id == id && !one.is_on);
        let Some(uri) = found.map(|(uri, _)| uri.clone()) else { return false };
        match uris.contains(&uri) {
            true => self.is_on(&uri),
            false => self.lost(&uri, || Outcome::Erred {
                code: PARAMS,
                message: "the server does not tell of it".to_owned(),
                missing: Questions::new(),
            }),
        }
        true
    }

    /// A resource has changed: who may still act is told. Whether that was asked for, and is no flood. `id` is
    /// a number to end it by, when nobody is left.
    pub(super) fn updated(&mut self, uri: &str, id: u64, server: &Ear<'_>) -> bool {
        let Some(one) = self.by_uri.get_mut(uri) else { return false };
        let now = Instant::now();
        let is_slow = one.changed.replace(now).is_none_or(|last| now - last >= PACE);
        for who in std::mem::take(&mut one.who) {
            match (who.unsealed)() {
                _ if who.reply.is_gone() => {}
                Ok(()) => {
                    who.reply.tell(Told::Updated);
                    one.who.push(who);
                }
                Err(mistrust) => who.reply.give(Outcome::Unknown(mistrust.to_string())),
            }
        }
        self.leave(uri, id, server);
        is_slow
    }

    /// The one of this decision wants to hear no more; whether there was one.
    pub(super) fn cancel(&mut self, decision: DecisionId, id: u64, server: &Ear<'_>) -> bool {
        let is_its = |who: &Who| who.decision == decision;
        let found = self.by_uri.iter_mut().find_map(|(uri, one)| {
            let at = one.who.iter().position(is_its)?;
            Some((uri.clone(), one.who.swap_remove(at)))
        });
        let Some((uri, who)) = found else { return false };
        // It was told to its end.
        who.reply.give(Outcome::Answered(RawValue::NULL.to_owned()));
        self.leave(&uri, id, server);
        true
    }

    /// Whether the server was asked for one of them and has not answered yet.
    pub(super) fn is_asking(&self) -> bool {
        self.by_uri.values().any(|one| !one.is_on)
    }

    /// All who are left when the server's life is over.
    pub(super) fn left(&mut self) -> impl Iterator<Item = Reply> + use<> {
        std::mem::take(&mut self.by_uri).into_values().flat_map(|one| one.who).map(|who| who.reply)
    }

    fn is_on(&mut self, uri: &str) {
        if let Some(one) = self.by_uri.get_mut(uri) {
            one.is_on = true;
            one.who.iter().for_each(|who| who.reply.tell(Told::Subscribed));
        }
    }

    fn lost(&mut self, uri: &str, outcome: impl Fn() -> Outcome) {
        let one = self.by_uri.remove(uri);
        one.into_iter().flat_map(|one| one.who).for_each(|who| who.reply.give(outcome()));
    }

    /// Tells the server that nobody wants to hear of `uri`, when that is so.
    fn leave(&mut self, uri: &str, id: u64, server: &Ear<'_>) {
        let is_left = self.by_uri.get(uri).is_some_and(|one| !one.who.iter().all(Who::is_gone));
        let Some(one) = (!is_left).then(|| self.by_uri.remove(uri)).flatten() else { return };
        let (what, line) = match self.era {
            Era::Handshake => {
                let (method, params) = ("resources/unsubscribe", json!({ "uri": uri }));
                (What::asks(id, method), request::request(self.era, id, method, params))
            }
            Era::Stateless => {
                let what = What::Cancel { id: one.id, is_over: true };
                (what, request::cancelled(one.id, "nobody listens"))
            }
        };
        if !server.hears(what, line) {
            tracing::debug!(uri, "a tool server does not hear that nobody listens");
        }
    }
}

impl Who {
    fn is_gone(&self) -> bool {
        self.reply.is_gone()
    }
}
