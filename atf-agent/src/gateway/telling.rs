//! What a server tells a run while it works on one of the run's calls, on its way to the door by which the
//! call came. It is built anew here. A door that is full loses it: no call, no other run and no server
//! waits for one that reads slowly.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use serde_json::{Value, json};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::asking::Asker;
use super::deferred::{self, Entry};
use crate::audit::Notified;
use crate::call::{Digest, Notice};
use crate::gate::{Id, Permit, hidden_text};
use crate::identity::Claims;
use crate::wire::Told;

/// Messages that wait for a door: as many as the executor lets through of one call.
const WAITING_MAX: usize = 256;

/// The part of what a result may have in bytes that may be told before it.
const PART_OF_RESULT: usize = 4;

/// Where what is told about one call goes.
pub(super) struct Outlet {
    notices: Sender<String>,
    known: Option<Arc<Known>>,
}

/// What a door that may keep a call's stream has to know of the call while it is under way.
#[derive(Default)]
pub(super) struct Known {
    claims: OnceLock<Claims>,
    is_acted_upon: AtomicBool,
}

impl Known {
    /// What the token of the call says, once it is proven.
    pub(super) fn claims(&self) -> Option<&Claims> {
        self.claims.get()
    }

    /// Whether it was allowed, and is acted upon.
    pub(super) fn is_acted_upon(&self) -> bool {
        self.is_acted_upon.load(Ordering::SeqCst)
    }
}

/// A way to a door, and the door's end of it. A door that wants to know more has a part in `known`.
pub(super) fn outlet(known: Option<Arc<Known>>) -> (Outlet, Receiver<String>) {
    let (send, notices) = channel(WAITING_MAX);
    (Outlet { notices: send, known }, notices)
}

impl Outlet {
    /// Says it, or loses it when too much waits.
    pub(super) fn say(&self, message: String) -> bool {
        self.notices.try_send(message).is_ok()
    }

    /// Waits until the caller has hung up.
    pub(super) async fn hung_up(&self) {
        self.notices.closed().await;
    }

    /// The call is of who has these claims.
    pub(super) fn proven(&self, claims: &Claims) {
        if let Some(known) = &self.known {
            // A call has one token.
            let _known = known.claims.set(claims.clone());
        }
    }

    /// The call was allowed, and is acted upon.
    pub(super) fn acted_upon(&self) {
        if let Some(known) = &self.known {
            known.is_acted_upon.store(true, Ordering::SeqCst);
        }
    }
}

/// Tells one run about one call, and counts.
pub(super) struct Teller<'a> {
    outlet: &'a Outlet,
    token: Option<&'a Id>,
    /// The deferred call that it is about.
    entry: Option<&'a Entry>,
    /// Whether the server may tell anything.
    may_tell: bool,
    /// What asks, where the server may ask.
    asker: Option<Asker<'a>>,
    bytes_max: u64,
    all: Notified,
    hidden: Option<String>,
}

impl<'a> Teller<'a> {
    /// Of the call of `permit`, whose result may have `bytes_max`. None when its server may tell nothing.
    pub(super) fn of(
        outlet: &'a Outlet,
        (permit, entry): (&'a Permit, Option<&'a Entry>),
        asker: Option<Asker<'a>>,
        bytes_max: usize,
    ) -> Option<Self> {
        let all = Notified { told: 0, lost: 0, bytes: 0, digest: Digest::of(b"") };
        let token = permit.judged().call().wants().progress();
        let bytes_max = (bytes_max / PART_OF_RESULT) as u64;
        let may_tell = !permit.body().may_tell.is_nothing();
        let is_any = may_tell || asker.is_some();
        let hidden = None;
        is_any.then_some(Self { outlet, token, entry, may_tell, asker, bytes_max, all, hidden })
    }

    /// Tells it, or loses it. What the server asks and the run does not hear is answered by nobody.
    pub(super) fn tell(&mut self, told: Told) {
        if let Told::Asks { question, asks, params } = told {
            let asked = self.asker.as_mut().and_then(|asker| asker.ask((question, asks, params)));
            if let Some((text, params)) = asked
                && !self.say(text, hidden_text(&params))
                && let Some(asker) = self.asker.as_mut()
            {
                asker.unasked(question);
            }
        } else if self.may_tell
            && let Some(message) = self.message(told)
        {
            self.say(message.to_string(), hidden_text(&message));
        }
    }

    /// Says a message, unless there is text in it that is not seen.
    fn say(&mut self, text: String, hidden: Option<String>) -> bool {
        let bytes = self.all.bytes + text.len() as u64;
        let digest = Digest::of(&[self.all.digest.bytes(), text.as_bytes()].concat());
        let is_fit = hidden.is_none() && bytes <= self.bytes_max;
        self.hidden = self.hidden.take().or(hidden);
        let is_said = is_fit && self.outlet.say(text);
        self.all = match is_said {
            true => Notified { told: self.all.told + 1, bytes, digest, ..self.all },
            false => Notified { lost: self.all.lost + 1, ..self.all },
        };
        is_said
    }

    /// The message with the run's own token, or name for a deferred call, in it: the server knows another one.
    fn message(&self, told: Told) -> Option<Value> {
        let (notice, mut params) = match told {
            Told::Progress { progress, total, message } => {
                let params = json!({"progressToken": self.token, "progress": progress,
                    "total": total, "message": message});
                (Notice::Progress, params)
            }
            Told::Log { level, logger, data } => {
                (Notice::Log, json!({"level": level, "logger": logger, "data": data}))
            }
            Told::Status { status, message } => {
                (Notice::Status, deferred::status(self.entry?, status, message.as_deref())?)
            }
            // Of a subscription, which is no call that goes on; and what is asked, which is told otherwise.
            Told::Subscribed | Told::Updated | Told::Asks { .. } => return None,
        };
        if let Some(params) = params.as_object_mut() {
            params.retain(|name, value| name == "data" || !value.is_null());
        }
        Some(json!({"jsonrpc": "2.0", "method": notice.method(), "params": params}))
    }

    /// What was told, when anything was said; and the first text that is not seen.
    pub(super) fn ends(self) -> (Option<Notified>, Option<String>) {
        let is_any = self.all.told + self.all.lost > 0;
        (is_any.then_some(self.all), self.hidden)
    }
}
