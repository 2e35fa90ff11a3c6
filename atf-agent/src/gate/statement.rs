//! Step 4: the SQL among the arguments keeps the profile of its pin.

use serde_json::Value;

use super::pins::Pins;
use super::schema::WellFormed;
use super::sql::{self, Passed, SqlFacts};
use crate::call::{Reason, Refusal, Step};
use crate::wire::MayDefer;

/// A tool call whose SQL, if it has any, is known and allowed. Only [`check_sql`] makes one.
#[derive(Debug)]
pub struct SqlChecked {
    call: WellFormed,
    facts: Vec<(String, SqlFacts)>,
}

/// Checks each argument that the pin marks as SQL. Where the pin asks for the canonical text, the call has that
/// from here on, and pin and token are asked again.
///
/// # Errors
/// At the first statement that is refused.
pub fn check_sql(call: WellFormed, pins: &Pins) -> Result<SqlChecked, Refusal> {
    let (mut facts, mut canonical) = (Vec::new(), Vec::new());
    for (argument, profile) in call.pin().sql() {
        let refuse = |detail: String| Refusal::new(Step::Sql, Reason::SqlRefused, detail);
        // The schema decides whether an argument may be absent; what is present has to be text.
        let text = match call.arguments().get(argument) {
            None => continue,
            Some(Value::String(text)) => text,
            Some(_) => return Err(refuse(format!("{argument} is no string"))),
        };
        let passed = sql::judge(text, profile).map_err(|e| refuse(format!("{argument}: {e}")))?;
        let Passed { facts: fact, canonical: print } = passed;
        facts.push((argument.clone(), fact));
        canonical.extend(print.map(|print| (argument.clone(), print)));
    }
    Ok(SqlChecked { call: call.rewritten(canonical, pins)?, facts })
}

impl SqlChecked {
    /// The call.
    pub fn call(&self) -> &WellFormed {
        &self.call
    }

    /// What each statement is, by the name of its argument.
    pub fn facts(&self) -> &[(String, SqlFacts)] {
        &self.facts
    }

    pub(super) fn deferred(&mut self, may_defer: Option<MayDefer>) {
        self.call.deferred(may_defer);
    }

    pub(super) fn into_call(self) -> WellFormed {
        self.call
    }
}
