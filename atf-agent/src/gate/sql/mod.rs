//! The SQL in the arguments. Placeholder: it denies everything.

use serde::{Deserialize, Serialize};

/// What a statement may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SqlProfile {}

/// What a statement is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SqlFacts {}

/// Why a statement is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no statement is checked yet")]
pub struct SqlRefusal;

/// Checks a statement.
///
/// # Errors
/// Always.
pub fn check(_text: &str, _profile: &SqlProfile) -> Result<SqlFacts, SqlRefusal> {
    Err(SqlRefusal)
}
