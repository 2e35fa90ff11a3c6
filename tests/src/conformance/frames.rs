//! What the injector's two ends tell each other: a line of JSON for each step of an HTTP exchange. A run
//! has no network, so that its requests come in, and its answers go out, over its own pipes.

use serde::{Deserialize, Serialize};

/// From outside to the run: one request.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Asked {
    /// Which exchange.
    pub(super) number: u64,
    /// `POST` and its like.
    pub(super) method: String,
    /// The path with its query.
    pub(super) path: String,
    /// All headers.
    pub(super) headers: Vec<(String, String)>,
    /// The whole body.
    pub(super) body: Vec<u8>,
}

/// From the run: a part of an answer.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Answered {
    /// Which exchange.
    pub(super) number: u64,
    /// What part.
    pub(super) part: Part,
}

/// The parts of an answer, in their order.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Part {
    /// Status and headers.
    Head(u16, Vec<(String, String)>),
    /// A piece of the body.
    Piece(Vec<u8>),
    /// The end, good or bad.
    End,
}

/// Headers that belong to one connection, and not to what is said over it.
pub(super) fn is_of_connection(name: &str) -> bool {
    ["connection", "transfer-encoding", "content-length", "keep-alive"].contains(&name)
}
