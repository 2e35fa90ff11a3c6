//! The deferred calls on which a server may still be at work, by its own names for them. While there is one, nobody
//! knows of which call it writes something down.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::call::DeferredStatus;
use crate::gate::Era;

/// Deferred calls that are remembered; past that nobody knows of which one a server writes.
const PROMISED_MAX: usize = 1_024;

/// Longest answer about a deferred call in bytes from which its name and its end are read; longer ones have a result
/// in them.
const NAME_BYTES_MAX: usize = 1_024;

/// All of them.
#[derive(Default)]
pub(super) struct Promised {
    names: BTreeSet<String>,
    /// One without a name, or too many.
    is_muddled: bool,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default, rename = "resultType")]
    kind: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Task<'a> {
    #[serde(borrow, rename = "taskId")]
    name: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Now {
    status: DeferredStatus,
}

impl Promised {
    /// Whether the server is at work on none.
    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty() && !self.is_muddled
    }

    /// A call that may be deferred is answered: with its result, or with the promise of one. What cannot be read is
    /// taken for a promise.
    pub(super) fn answered(&mut self, era: Era, result: &RawValue) {
        if era == Era::Handshake {
            // What such a server writes down goes to nobody.
            return;
        }
        let answer: Result<Answer<'_>, _> = serde_json::from_str(result.get());
        if answer.is_ok_and(|answer| answer.kind.as_deref() != Some("task")) {
            return;
        }
        match serde_json::from_str::<Task<'_>>(result.get()) {
            Ok(Task { name })
                if name.len() <= NAME_BYTES_MAX && self.names.len() < PROMISED_MAX =>
            {
                self.names.insert(name.into_owned());
            }
            Ok(_) | Err(_) => self.is_muddled = true,
        }
    }

    /// It is answered how far the one of this name is.
    pub(super) fn told(&mut self, name: &str, result: &RawValue) {
        let now: Option<Now> = serde_json::from_str(result.get()).ok();
        let is_over = match now.map(|now| now.status) {
            Some(
                DeferredStatus::Completed | DeferredStatus::Failed | DeferredStatus::Cancelled,
            ) => true,
            Some(DeferredStatus::Working | DeferredStatus::InputRequired) | None => false,
        };
        if is_over {
            self.names.remove(name);
        }
    }
}
