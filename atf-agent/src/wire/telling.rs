//! What a server tells a run while it works on a call, on its way through the executor.

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use crate::call::{DeferredStatus, Level, Question};

/// What a permit lets the server tell. Nothing by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MayTell {
    /// How far it has come.
    pub progress: bool,
    /// What it writes down, from this level on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// How far the deferred call is for whose result the run waits.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub status: bool,
}

impl MayTell {
    /// Whether the server may tell nothing.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// One thing that a server told. It was read here, so that nothing of the server's message is in it but
/// these values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Told {
    /// How far it has come.
    Progress {
        /// So much is done.
        progress: Number,
        /// Of so much.
        total: Option<Number>,
        /// In its words.
        message: Option<String>,
    },
    /// It asks the run something, and waits for the answer.
    Asks {
        /// The executor's number for the question; no two of one server's life have one.
        question: u64,
        /// What kind of question it is.
        asks: Question,
        /// Its parameters, JSON as it came.
        params: String,
    },
    /// It tells of the changes of a resource from now on.
    Subscribed,
    /// The resource has changed.
    Updated,
    /// How far the deferred call is that it is asked for.
    Status {
        /// As it says.
        status: DeferredStatus,
        /// In its words.
        message: Option<String>,
    },
    /// What it writes down.
    Log {
        /// How grave it is.
        level: Level,
        /// Which part of it says so.
        logger: Option<String>,
        /// What it says.
        data: Value,
    },
}
