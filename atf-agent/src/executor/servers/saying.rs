//! What is said to a server: a line that was built here, and what whoever carries it has to know of it.

use super::call::Standing;

/// One message to a server.
pub(super) struct Saying {
    /// The message, on one line.
    pub(super) line: String,
    /// What it is.
    pub(super) what: What,
    /// The revision on which the server settled, once it has.
    pub(super) revision: Option<&'static str>,
    /// Whether a call may still be made, where time passes until the server hears of it.
    pub(super) stands: Option<Standing>,
}

/// What a message is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// A request, which will be answered.
    Request {
        /// Our number.
        id: u64,
        /// Its method.
        method: &'static str,
        /// The server's own name or address of what is called, where it is of something.
        name: Option<String>,
    },
    /// The notification after which a server answers requests.
    Opened,
    /// Another notification, or the answer to a request of the server's own.
    Told,
    /// Nobody waits for the request of this number any more.
    Cancel {
        /// The number.
        id: u64,
        /// Whether what it answers from now on is to nobody.
        is_over: bool,
    },
}

impl What {
    /// A request of our own.
    pub(super) fn asks(id: u64, method: &'static str) -> Self {
        Self::Request { id, method, name: None }
    }
}
