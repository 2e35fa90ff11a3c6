//! The part inside a run: it makes the calls that come in, one a line, and tells what came of each.

use std::io::Write as _;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::hijacked::mcp::{Ask, ask};

/// A call to make.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Call {
    /// The tool.
    pub(super) tool: String,
    /// Its arguments.
    pub(super) arguments: Value,
}

/// Serves until nothing more comes in. The calls claim the system prompt of this digest.
///
/// # Errors
/// When what comes in is no call, or nobody hears any more.
pub fn serve(prompt: &str) -> Result<()> {
    let mut out = std::io::stdout();
    for line in std::io::stdin().lines() {
        let call: Call = serde_json::from_str(&line?)?;
        let answered = ask(&Ask {
            method: "tools/call".to_owned(),
            tool: call.tool,
            arguments: call.arguments,
            prompt: Some(prompt.to_owned()),
            token: None,
            address: None,
        });
        writeln!(out, "{}", serde_json::to_string(&answered)?)?;
        out.flush()?;
    }
    Ok(())
}
