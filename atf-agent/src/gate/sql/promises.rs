//! What the SQL step promises of any text, for the tests and the fuzz target `sql`: nothing panics or is judged in
//! two ways, and what a real SQLite does is what the facts say: its authorizer reports each column that a prepared
//! statement reads and each function that it calls.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::types::Value;

use super::{Dialect, Passed, Rewrite, Rule, SqlFacts, SqlProfile, SqlRefusal, judge as judge_by};
use crate::gate::corpus::ledger;

pub(in crate::gate) const ALL: [Dialect; 4] =
    [Dialect::Postgres, Dialect::Mysql, Dialect::Sqlite, Dialect::Generic];

/// The ledger's policy for one dialect. A build that has the second parser asks it of every row, so that it
/// is seen to refuse nothing that the rules allow.
pub(in crate::gate) fn ledger_of(dialect: Dialect) -> SqlProfile {
    let second_parser = dialect == Dialect::Postgres && cfg!(feature = "second-parser");
    SqlProfile { dialect, second_parser, ..ledger() }
}

/// Judges a text under the ledger's policy, by [`both`].
pub(in crate::gate) fn judge(dialect: Dialect, sql: &str) -> Result<SqlFacts, SqlRefusal> {
    both(sql, &ledger_of(dialect))
}

pub(in crate::gate) fn rewriting(profile: &SqlProfile) -> SqlProfile {
    SqlProfile { rewrite: Some(Rewrite::Canonical), ..profile.clone() }
}

/// Judges a text with the option and without it. With it, a text that passes is as allowed as without it, and
/// its print passes, is its own print, and is the same facts; only what is too deep to print is refused beyond that, and
/// for the generic dialect what its databases print otherwise: `name NOTNULL` is a name and its alias to MySQL.
pub(in crate::gate) fn both(text: &str, profile: &SqlProfile) -> Result<SqlFacts, SqlRefusal> {
    let plain = judge_by(text, profile);
    let rewriting = rewriting(profile);
    match (&plain, judge_by(text, &rewriting)) {
        (Ok(plain), Ok(Passed { facts, canonical: Some(print) })) => {
            assert_eq!((&plain.facts, &plain.canonical), (&facts, &None), "{text}");
            let again = Passed { facts, canonical: Some(print.clone()) };
            assert_eq!(judge_by(&print, &rewriting), Ok(again), "{text}\n{print}");
            assert_eq!(judge_by(&print, profile).as_ref(), Ok(plain), "{text}\n{print}");
        }
        (Ok(_), Ok(Passed { canonical: None, .. })) => panic!("no print of {text}"),
        (Ok(_), Err(refusal)) => {
            assert_eq!(refusal.rule, Rule::R13, "{text}: {refusal}");
            let found = refusal.found.raw();
            let is_deep = found.starts_with("a tree of");
            let has_two =
                profile.dialect == Dialect::Generic && found == "a statement with two prints";
            assert!(is_deep || has_two, "{text}: {refusal} {:?}", refusal.detail);
        }
        (Err(plain), Err(refusal)) => assert_eq!(plain, &refusal, "{text}"),
        (Err(plain), Ok(passed)) => panic!("{text}: {plain}, and by the option {passed:?}"),
    }
    plain.map(|passed| passed.facts)
}

/// The ledger with what the profile does not list: columns, a table.
const SCHEMA: &str = "
    CREATE TABLE merchants (id INTEGER PRIMARY KEY, name TEXT, api_key TEXT, tax_id TEXT);
    CREATE TABLE ledger_entries (id INTEGER PRIMARY KEY, merchant_id INTEGER, amount_cents INTEGER,
        status TEXT, created_at TEXT, card_pan TEXT);
    CREATE TABLE agent_credentials (id INTEGER PRIMARY KEY, token TEXT);
";

/// What is listed, the same in each ledger. Its numbers are small, so that joins and comparisons
/// with what is not listed meet.
const LISTED: &str = "
    INSERT INTO merchants (id, name) VALUES (1, 'a'), (2, 'b'), (3, 'c');
    INSERT INTO ledger_entries (id, merchant_id, amount_cents, status)
        VALUES (1, 1, 2, 'a'), (2, 1, 3, 'b'), (3, 2, 1, 'c'), (4, 3, 4, 'a');
";

/// What is not listed, other in each ledger.
const UNLISTED: [&str; 2] = [
    "UPDATE merchants SET api_key = id, tax_id = 4 - id;
     UPDATE ledger_entries SET card_pan = id;
     INSERT INTO agent_credentials VALUES (1, 'a');",
    "UPDATE merchants SET api_key = 5 - id, tax_id = 'c';
     UPDATE ledger_entries SET card_pan = 4 - id;
     INSERT INTO agent_credentials VALUES (2, 'b'), (3, 'c');",
];

/// Two real databases that differ in nothing but what the profile does not list, and what the first
/// one's last statement touched.
pub(in crate::gate) struct Ledger {
    connections: [Connection; 2],
    touched: Arc<Mutex<Touched>>,
}

/// What SQLite asked its authorizer for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::gate) struct Touched {
    /// Tables of which no column is read, as in count(*), and WITH entries, as they are spelled.
    pub(in crate::gate) whole: BTreeSet<String>,
    pub(in crate::gate) columns: BTreeSet<String>,
    pub(in crate::gate) functions: BTreeSet<String>,
    pub(in crate::gate) other: Vec<String>,
}

impl Ledger {
    pub(in crate::gate) fn open() -> Self {
        let mut connections = UNLISTED.map(|unlisted| {
            let connection = Connection::open_in_memory().unwrap();
            for batch in [SCHEMA, LISTED, unlisted] {
                connection.execute_batch(batch).unwrap();
            }
            connection
        });
        let touched = Arc::new(Mutex::new(Touched::default()));
        let seen = Seen(Arc::clone(&touched));
        connections[0]
            .authorizer(Some(move |context: AuthContext<'_>| seen.note(&context.action)))
            .unwrap();
        Self { connections, touched }
    }

    /// What the statement touches, and whether both databases answer it alike; an error if SQLite
    /// does not answer.
    pub(in crate::gate) fn asks(&self, sql: &str) -> rusqlite::Result<(Touched, bool)> {
        std::mem::take(&mut *self.touched.lock().unwrap());
        let [first, second] = &self.connections;
        let alike = rows(first, sql)? == rows(second, sql)?;
        Ok((std::mem::take(&mut *self.touched.lock().unwrap()), alike))
    }
}

fn rows(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<Vec<Value>>> {
    let mut statement = connection.prepare(sql)?;
    let width = statement.column_count();
    statement.query_map([], |row| (0..width).map(|place| row.get(place)).collect())?.collect()
}

/// The authorizer's end.
struct Seen(Arc<Mutex<Touched>>);

impl Seen {
    fn note(&self, action: &AuthAction<'_>) -> Authorization {
        let mut touched = self.0.lock().unwrap();
        match action {
            AuthAction::Select => {}
            AuthAction::Read { table_name, column_name } => {
                if column_name.is_empty() {
                    touched.whole.insert((*table_name).to_owned());
                } else {
                    touched.columns.insert(format!("{table_name}.{column_name}"));
                }
            }
            AuthAction::Function { function_name } => {
                touched.functions.insert((*function_name).to_owned());
            }
            other => touched.other.push(format!("{other:?}")),
        }
        Authorization::Allow
    }
}

/// Whatever SQLite touches must be in the facts. `like` is SQLite's name for the operator.
/// The authorizer is not asked for columns of USING, so the answers count as well: they must not
/// depend on what is not listed.
pub(in crate::gate) fn touches_only(
    facts: &SqlFacts,
    (touched, alike): &(Touched, bool),
) -> Result<(), String> {
    let functions: BTreeSet<String> =
        touched.functions.iter().filter(|name| *name != "like").cloned().collect();
    // A WITH entry may have the name of a listed table, so only other tables tell something.
    let foreign = |name: &String| name == "agent_credentials" || name.starts_with("sqlite");
    let within = !touched.whole.iter().any(foreign)
        && touched.columns.is_subset(&facts.columns)
        && functions.is_subset(&facts.functions)
        && touched.other.is_empty()
        && *alike;
    if within {
        Ok(())
    } else {
        Err(format!("touched {touched:?}, answered alike: {alike}\nbut the facts are {facts:?}"))
    }
}
