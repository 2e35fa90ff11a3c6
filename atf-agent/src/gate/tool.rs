//! What `data.json` says of a tool that is not the rules' own: how far the policy's no to its calls goes.

use serde::Deserialize;

/// How a tool's calls are judged. Whatever it says, caller, token, pin, SQL rules, caps and persons' words hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolMode {
    /// What the policy refuses is not made.
    #[default]
    Enforce,
    /// As `enforce`; the operator asks what these calls need at least (`atf policy learn`).
    Learn,
    /// What the policy refuses is recorded as refused, and is made.
    Log,
}

/// What every surface says of tools in mode `log`.
pub const UNENFORCED: &str =
    "NOT ENFORCED: what the policy refuses of these tools is recorded as refused AND IS MADE";

/// A tool in `data.json`. The other members are for the rules.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct ToolData {
    #[serde(default)]
    pub(super) mode: ToolMode,
}
