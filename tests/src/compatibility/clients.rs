//! The clients: each does the same in a run of its own, by each door that it can be told of.

use serde::Serialize;
use serde_json::json;

use super::seen::{AFTER, AGAIN, ALLOWED, Call, FOREIGN, Outcome, REFUSED, Wanted};

/// The way from a client to its gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Door {
    /// HTTP on the run's socket.
    Socket,
    /// HTTP+SSE of 2024-11-05 on the same socket.
    Sse,
    /// HTTP on the run's own loopback.
    Bridge,
    /// `atf connect`, which the client starts.
    Stdio,
}

/// A client.
#[derive(Debug, Clone, Copy)]
pub(super) struct Client {
    /// The package's name in the list, and a part of the script's.
    pub(super) name: &'static str,
    /// Whether it can be told of a unix socket.
    pub(super) has_socket: bool,
    /// Whether it is tried with HTTP+SSE.
    pub(super) speaks_sse: bool,
}

const fn both(name: &'static str) -> Client {
    Client { name, has_socket: true, speaks_sse: false }
}

const fn with_sse(name: &'static str) -> Client {
    Client { name, has_socket: true, speaks_sse: true }
}

/// All of them.
pub(super) const CLIENTS: [Client; 8] = [
    with_sse("langchain"),
    both("autogen"),
    with_sse("mcp1"),
    both("mcp2"),
    both("fastmcp"),
    with_sse("sdk"),
    both("client"),
    Client { name: "inspector", has_socket: false, speaks_sse: false },
];

/// The agent that the clients are.
pub(super) const AGENT: &str = "client";

/// Its manifest: one tool of the two that are built in.
pub(super) const MANIFEST: &str = "tools = [\"ledger.query\"]\n";

impl Door {
    /// All of them.
    pub(super) const ALL: [Self; 4] = [Self::Socket, Self::Sse, Self::Bridge, Self::Stdio];

    /// For the client's script.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Socket => "socket",
            Self::Sse => "sse",
            Self::Bridge => "bridge",
            Self::Stdio => "stdio",
        }
    }

    /// For a reader.
    pub(super) fn shown(self) -> &'static str {
        match self {
            Self::Socket => "`$ATF_SOCKET`",
            Self::Sse => "`$ATF_SOCKET`, HTTP+SSE",
            Self::Bridge => "`$ATF_BRIDGE_URL`",
            Self::Stdio => "`atf connect`",
        }
    }
}

impl Client {
    /// The doors at which it is tried.
    pub(super) fn doors(self) -> impl Iterator<Item = Door> {
        Door::ALL.into_iter().filter(move |door| *door != Door::Sse || self.speaks_sse)
    }

    /// What there is to say without trying.
    pub(super) fn untried(&self, door: Door, is_installed: bool) -> Option<Outcome> {
        match (door, is_installed) {
            (_, false) => Some(Outcome::NotInstalled),
            (Door::Socket | Door::Sse, true) if !self.has_socket => Some(Outcome::NotOffered),
            (Door::Socket | Door::Sse | Door::Bridge | Door::Stdio, true) => None,
        }
    }
}

/// What each client is asked to do.
pub(super) fn wanted() -> Wanted {
    let query = |id, sql: &str| Call {
        id,
        tool: "ledger.query".to_owned(),
        arguments: json!({"sql": sql}),
    };
    let allowed = "SELECT id, status FROM ledger_entries ORDER BY id LIMIT 1";
    Wanted {
        calls: vec![
            query(ALLOWED, allowed),
            query(REFUSED, "SELECT name FROM sqlite_master LIMIT 1"),
            query(AGAIN, allowed),
            Call {
                id: FOREIGN,
                tool: "ledger.adjust".to_owned(),
                arguments: json!({"entry_id": 1, "amount_cents": 1, "reason": "compatibility"}),
            },
            query(AFTER, allowed),
        ],
        answer: "refunded".to_owned(),
        reason: "sql.refused",
        listed: "ledger.query".to_owned(),
        not_listed: Some("ledger.adjust".to_owned()),
        are_deferred: false,
    }
}
