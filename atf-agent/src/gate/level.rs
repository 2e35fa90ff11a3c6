//! From which level on a run wants to be told of what servers write down.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::envelope;
use crate::call::Level;

#[derive(Deserialize)]
struct Params {
    level: Level,
}

/// The level that `logging/setLevel` asks for.
pub(super) fn read(params: Option<&RawValue>) -> Result<Level, String> {
    let params: Params = envelope::object(params.map_or("null", RawValue::get))?;
    Ok(params.level)
}
