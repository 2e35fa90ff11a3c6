//! Why a life of a server is over.

use super::super::sides::LINE_BYTES_MAX;
use super::{BAD_MAX, UNASKED_MAX};

/// Why a life is over.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::executor::servers) enum Ended {
    /// Its output ended.
    #[error("its output ended")]
    Closed,
    /// A line that does not end.
    #[error("it said a line of more than {LINE_BYTES_MAX} bytes")]
    Endless,
    /// Messages that nobody asked for.
    #[error("it said {UNASKED_MAX} messages in a row that answer nothing")]
    Flood,
    /// Something else than MCP.
    #[error("it said {BAD_MAX} lines that are no message")]
    Gibberish,
    /// No handshake.
    #[error("no handshake: {0}")]
    Handshake(String),
    /// It could not be reached with a request.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// It does not know the session any more.
    #[error("it ended the session")]
    Forgotten {
        /// Whether it answered a call in it.
        has_served: bool,
    },
    /// It makes one call at a time, and may work on one still whose time is over.
    #[error("it did not answer a call in its time, nor soon after")]
    Late,
    /// The executor has no more calls: it ends.
    #[error("the executor ends")]
    NoCallers,
}
