//! Settings of the authority.

use serde::{Deserialize, Serialize};

/// Tokens and runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The tokens' `iss`.
    pub issuer: String,
    /// The tokens' `aud`: the name of the gateway.
    pub audience: String,
    /// Seconds for which a token is valid; at most 300.
    pub token_ttl_s: u64,
    /// Longest life of a run in seconds, whatever the launcher asks for.
    pub run_max_s: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            issuer: "https://atf.orchestrator.internal".to_owned(),
            audience: "atf.mcp-gateway.internal".to_owned(),
            token_ttl_s: 300,
            run_max_s: 3_600,
        }
    }
}
