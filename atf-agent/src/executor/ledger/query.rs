//! `ledger.query`: one SELECT, whose text the gate has judged and SQLite judges again.

use rusqlite::types::ValueRef;
use serde::Deserialize;
use serde_json::{Value, json};

use super::guard::Reader;
use super::{Ledger, Outcome, Still, answer, lock};

/// The arguments.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    sql: String,
}

impl Ledger {
    /// Runs the query and gives its rows.
    pub(in crate::executor) fn query(&self, arguments: &str, still: Still<'_>) -> Outcome {
        let query: Query = match serde_json::from_str(arguments) {
            Ok(query) => query,
            Err(error) => return answer::failed(&format!("the arguments: {error}")),
        };
        let idle = lock(&self.readers).pop();
        let reader = match idle.map_or_else(|| Reader::open(&self.path), Ok) {
            Ok(reader) => reader,
            Err(error) => return answer::failed(&format!("the ledger cannot be read: {error}")),
        };
        reader.arm(self.query_timeout);
        let rows = rows(&reader, &query.sql, self.rows_max);
        lock(&self.readers).push(reader);
        // Sealed meanwhile: what was read stays here.
        if let Err(mistrust) = still() {
            return Outcome::NotDone(mistrust);
        }
        match rows {
            Ok(rows) => answer::good(&rows),
            Err(error) => answer::failed(&format!("the query failed: {error}")),
        }
    }
}

/// The rows of one statement.
fn rows(reader: &Reader, sql: &str, rows_max: usize) -> rusqlite::Result<Value> {
    let mut statement = reader.db.prepare(sql)?;
    if !statement.readonly() || statement.column_count() == 0 {
        return Err(rusqlite::Error::InvalidQuery);
    }
    let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let mut found = Vec::new();
    let mut rows = statement.query([])?;
    let mut truncated = false;
    while let Some(row) = rows.next()? {
        if found.len() == rows_max {
            truncated = true;
            break;
        }
        let values: Result<Vec<Value>, _> =
            (0..columns.len()).map(|at| row.get_ref(at).map(value)).collect();
        found.push(values?);
    }
    Ok(json!({"columns": columns, "rows": found, "truncated": truncated}))
}

fn value(found: ValueRef<'_>) -> Value {
    match found {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => json!(number),
        // Infinity has no JSON; serde_json makes it null.
        ValueRef::Real(number) => json!(number),
        ValueRef::Text(text) => json!(String::from_utf8_lossy(text)),
        ValueRef::Blob(bytes) => json!(hex::encode(bytes)),
    }
}
