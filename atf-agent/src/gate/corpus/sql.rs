//! Statements, judged under the policy that their labels assume.

use serde::Deserialize;

use super::{CorpusError, CorpusReport, run};
use crate::gate::sql::{Dialect, SqlProfile, check};

#[derive(Deserialize)]
struct Statement {
    dialect: Dialect,
    sql: String,
}

/// Judges each line's statement under the profile, with the row's dialect in place of the profile's,
/// and with the second parser where this build has it.
///
/// # Errors
/// [`CorpusError::Line`] at the first line that is not a case.
pub fn sql(
    lines: impl Iterator<Item = String>,
    profile: &SqlProfile,
) -> Result<CorpusReport, CorpusError> {
    let mut profile = profile.clone();
    run(lines, |case: Statement| {
        profile.dialect = case.dialect;
        profile.second_parser =
            case.dialect == Dialect::Postgres && cfg!(feature = "second-parser");
        Ok(check(&case.sql, &profile).is_ok())
    })
}

/// The policy that the labels of the ledger corpora assume: two tables, eight functions, a LIMIT of
/// 1,000 at most.
pub fn ledger() -> SqlProfile {
    let columns = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    SqlProfile {
        dialect: Dialect::Generic,
        tables: [
            (
                "ledger_entries".to_owned(),
                columns(&["id", "merchant_id", "amount_cents", "status", "created_at"]),
            ),
            ("merchants".to_owned(), columns(&["id", "name"])),
        ]
        .into(),
        functions: [
            "count",
            "sum",
            "avg",
            "min",
            "max",
            "lower",
            "upper",
            "date_trunc",
            "coalesce",
        ]
        .map(str::to_owned)
        .into(),
        ..SqlProfile::empty()
    }
}
