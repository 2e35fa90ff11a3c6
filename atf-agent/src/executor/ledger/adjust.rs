//! `ledger.adjust`: adds an amount to one entry and notes why, in one transaction of statements that
//! are written here.

use rusqlite::{Connection, TransactionBehavior, named_params};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Ledger, Outcome, Still, answer, lock};
use crate::executor::error::Mistrust;
use crate::wire::PermitBody;

/// The arguments.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Adjust {
    entry_id: i64,
    amount_cents: i64,
    reason: String,
}

/// Why the transaction was not kept.
enum Failed {
    /// Rolled back.
    Not(String),
    /// Rolled back because of a seal.
    Sealed(Mistrust),
    /// The commit itself failed: it may be on the disk.
    Commit(String),
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Self {
        Self::Not(error.to_string())
    }
}

impl Ledger {
    /// Adjusts one entry for the permit's run, once for each decision.
    pub(in crate::executor) fn adjust(
        &self,
        arguments: &str,
        permit: &PermitBody,
        still: Still<'_>,
    ) -> Outcome {
        let wanted: Adjust = match serde_json::from_str(arguments) {
            Ok(wanted) => wanted,
            Err(error) => return answer::failed(&format!("the arguments: {error}")),
        };
        let adjusted = adjust(&mut lock(&self.writer), &wanted, permit, still);
        match adjusted {
            Ok(result) => answer::good(&result),
            Err(Failed::Not(why)) => answer::failed(&format!("nothing was adjusted: {why}")),
            Err(Failed::Sealed(mistrust)) => Outcome::NotDone(mistrust),
            Err(Failed::Commit(why)) => Outcome::Unknown(why),
        }
    }
}

fn adjust(
    ledger: &mut Connection,
    wanted: &Adjust,
    permit: &PermitBody,
    still: Still<'_>,
) -> Result<Value, Failed> {
    let change = ledger.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let changed = change.execute(
        "UPDATE ledger_entries SET amount_cents = amount_cents + :amount WHERE id = :entry",
        named_params! {":amount": wanted.amount_cents, ":entry": wanted.entry_id},
    )?;
    if changed != 1 {
        return Err(Failed::Not(format!("there is no entry {}", wanted.entry_id)));
    }
    change.execute(
        "INSERT INTO adjustments (entry_id, amount_cents, reason, run, decision)
         VALUES (:entry, :amount, :reason, :run, :decision)",
        named_params! {
            ":entry": wanted.entry_id,
            ":amount": wanted.amount_cents,
            ":reason": wanted.reason,
            ":run": permit.run.to_string(),
            ":decision": permit.decision.to_string(),
        },
    )?;
    let adjustment = change.last_insert_rowid();
    let amount_cents: i64 = change.query_row(
        "SELECT amount_cents FROM ledger_entries WHERE id = :entry",
        named_params! {":entry": wanted.entry_id},
        |row| row.get(0),
    )?;
    still().map_err(Failed::Sealed)?;
    change.commit().map_err(|error| Failed::Commit(error.to_string()))?;
    Ok(json!({
        "adjustment": adjustment,
        "entry_id": wanted.entry_id,
        "amount_cents": amount_cents,
    }))
}
