//! Whoever is measured beside ATF: an MCP endpoint at a URL of loopback, which was put before the bench's own
//! tool, or before another one of the same name, by whoever measures.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, Result};

use crate::hijacked::kept::Url;

/// The peers, and what they need.
#[derive(Debug, Clone, Default)]
pub struct Peers {
    /// Each of them.
    pub all: Vec<Peer>,
    /// The file with the bearer token that they want; it need not be there when they want none.
    pub token_file: Option<PathBuf>,
    /// Where the bench's own tool listens for them.
    pub upstream: Option<SocketAddr>,
}

/// One peer.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its name in the report.
    pub name: String,
    /// Where it is, as it was written.
    pub url: String,
}

impl FromStr for Peer {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, url) = text.split_once('=').context("expected NAME=URL")?;
        url.parse::<Url>()?;
        Ok(Self { name: name.to_owned(), url: url.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_has_a_name_and_is_on_this_host() {
        let peer: Peer = "other=http://127.0.0.1:9/mcp?a=b".parse().unwrap();
        assert_eq!(
            (peer.name.as_str(), peer.url.as_str()),
            ("other", "http://127.0.0.1:9/mcp?a=b")
        );
        for bad in ["http://127.0.0.1:9/", "other=http://192.0.2.1:9/", "other"] {
            assert!(bad.parse::<Peer>().is_err(), "{bad}");
        }
    }
}
