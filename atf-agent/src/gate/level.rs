//! How grave a server's log messages have to be for a run to be told of them.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::envelope;

/// The levels of RFC 5424, the least grave first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Detail for those who look for a mistake.
    Debug,
    /// What goes on.
    Info,
    /// What is worth knowing.
    Notice,
    /// What may go wrong.
    Warning,
    /// What went wrong.
    Error,
    /// What went wrong and stops a part.
    Critical,
    /// What has to be seen to at once.
    Alert,
    /// What stops everything.
    Emergency,
}

#[derive(Deserialize)]
struct Params {
    level: Level,
}

impl Level {
    /// The level that `logging/setLevel` asks for.
    pub(super) fn read(params: Option<&RawValue>) -> Result<Self, String> {
        let params: Params = envelope::object(params.map_or("null", RawValue::get))?;
        Ok(params.level)
    }
}
