//! What became of a permitted call, and the one way in which it reaches the gateway.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::value::RawValue;

use super::error::Mistrust;
use crate::call::{Questions, Untrusted};
use crate::wire::{ExecutorReply, Told};

/// What became of a permitted call.
pub(super) enum Outcome {
    /// The tool answered: an MCP `CallToolResult`, or what the method that was called gives.
    Answered(Box<RawValue>),
    /// The server answered with a JSON-RPC error.
    Erred {
        /// Its code.
        code: i64,
        /// Its message.
        message: String,
        /// What it would have had to ask, and may not.
        missing: Questions,
    },
    /// Nothing was done.
    NotDone(Mistrust),
    /// Something may have been done.
    Unknown(String),
}

impl From<Outcome> for ExecutorReply {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Answered(result) => Self::Result { result },
            Outcome::Erred { code, message, missing } => {
                Self::Erred { code, message: Untrusted::new(message), missing }
            }
            Outcome::NotDone(mistrust) => {
                // A server may have had its word in it.
                let why = Untrusted::begin_of(&mistrust.to_string());
                tracing::warn!(%why, "a permit is not acted on");
                let changed = matches!(mistrust, Mistrust::ToolWithheld { .. });
                if changed { Self::Changed { why } } else { Self::Refused { why } }
            }
            Outcome::Unknown(why) => Self::Unknown { why: Untrusted::begin_of(&why) },
        }
    }
}

/// Where the answer to one request goes, once. One that is dropped says that nobody knows: a call
/// never stays without an answer.
pub(super) struct Reply {
    give: Option<Give>,
    tell: Option<Tell>,
    gone: Option<Arc<AtomicBool>>,
}

type Give = Box<dyn FnOnce(ExecutorReply) + Send>;
type Tell = Box<dyn Fn(ExecutorReply) + Send>;

impl Reply {
    /// The answer goes to `give`.
    pub(super) fn new(give: impl FnOnce(ExecutorReply) + Send + 'static) -> Self {
        Self { give: Some(Box::new(give)), tell: None, gone: None }
    }

    /// The same, where what is told before the answer goes to `tell`.
    pub(super) fn telling(mut self, tell: impl Fn(ExecutorReply) + Send + 'static) -> Self {
        self.tell = Some(Box::new(tell));
        self
    }

    /// The same, of one who asked on a connection that is `gone` when this is true.
    pub(super) fn until(mut self, gone: Arc<AtomicBool>) -> Self {
        self.gone = Some(gone);
        self
    }

    /// Whether nobody is there to be told anything.
    pub(super) fn is_gone(&self) -> bool {
        self.gone.as_ref().is_some_and(|gone| gone.load(Ordering::SeqCst))
    }

    /// Tells something before the answer.
    pub(super) fn tell(&self, told: Told) {
        if let Some(tell) = &self.tell {
            tell(ExecutorReply::Told { told });
        }
    }

    /// Gives the answer.
    pub(super) fn give(mut self, reply: impl Into<ExecutorReply>) {
        if let Some(give) = self.give.take() {
            give(reply.into());
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(give) = self.give.take() {
            give(Outcome::Unknown("the call was lost on its way".to_owned()).into());
        }
    }
}
