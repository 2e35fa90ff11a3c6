//! What the gate says against what a real SQLite does: its authorizer reports each column that a
//! prepared statement reads and each function that it calls.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

use super::super::{Dialect, SqlFacts};
use super::judge;

/// The ledger with what the profile does not list: columns, a table.
const SCHEMA: &str = "
    CREATE TABLE merchants (id INTEGER PRIMARY KEY, name TEXT, api_key TEXT, tax_id TEXT);
    CREATE TABLE ledger_entries (id INTEGER PRIMARY KEY, merchant_id INTEGER, amount_cents INTEGER,
        status TEXT, created_at TEXT, card_pan TEXT);
    CREATE TABLE agent_credentials (id INTEGER PRIMARY KEY, token TEXT);
";

/// A real database and what its last statement touched.
pub(super) struct Ledger {
    connection: Connection,
    touched: Arc<Mutex<Touched>>,
}

/// What SQLite asked its authorizer for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Touched {
    /// Tables of which no column is read, as in count(*), and WITH entries, as they are spelled.
    pub(super) whole: BTreeSet<String>,
    pub(super) columns: BTreeSet<String>,
    pub(super) functions: BTreeSet<String>,
    pub(super) other: Vec<String>,
}

impl Ledger {
    pub(super) fn open() -> Self {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(SCHEMA).unwrap();
        let touched = Arc::new(Mutex::new(Touched::default()));
        let seen = Seen(Arc::clone(&touched));
        connection
            .authorizer(Some(move |context: AuthContext<'_>| {
                seen.note(&context.action)
            }))
            .unwrap();
        Self {
            connection,
            touched,
        }
    }

    /// What the statement would touch; an error if SQLite refuses to prepare it.
    pub(super) fn touches(&self, sql: &str) -> rusqlite::Result<Touched> {
        std::mem::take(&mut *self.touched.lock().unwrap());
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
        Ok(std::mem::take(&mut *self.touched.lock().unwrap()))
    }
}

/// The authorizer's end.
struct Seen(Arc<Mutex<Touched>>);

impl Seen {
    fn note(&self, action: &AuthAction<'_>) -> Authorization {
        let mut touched = self.0.lock().unwrap();
        match action {
            AuthAction::Select => {}
            AuthAction::Read {
                table_name,
                column_name,
            } => {
                if column_name.is_empty() {
                    touched.whole.insert((*table_name).to_owned());
                } else {
                    touched
                        .columns
                        .insert(format!("{table_name}.{column_name}"));
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
pub(super) fn touches_only(facts: &SqlFacts, touched: &Touched) -> Result<(), String> {
    let functions: BTreeSet<String> = touched
        .functions
        .iter()
        .filter(|name| *name != "like")
        .cloned()
        .collect();
    // A WITH entry may have the name of a listed table, so only other tables tell something.
    let foreign = |name: &String| name == "agent_credentials" || name.starts_with("sqlite");
    let within = !touched.whole.iter().any(foreign)
        && touched.columns.is_subset(&facts.columns)
        && functions.is_subset(&facts.functions)
        && touched.other.is_empty();
    if within {
        Ok(())
    } else {
        Err(format!("touched {touched:?}\nbut the facts are {facts:?}"))
    }
}

#[test]
fn allowed_statements_touch_what_their_facts_say_in_a_real_database() {
    let ledger = Ledger::open();
    for sql in [
        "SELECT id FROM merchants LIMIT 5",
        "SELECT count(*) FROM merchants LIMIT 5",
        "SELECT Id, [name], `id` FROM MERCHANTS LIMIT 5, 5",
        "SELECT m.name, (SELECT count(*) FROM ledger_entries e WHERE e.merchant_id = m.id) AS n FROM \
         merchants m ORDER BY n DESC LIMIT 5",
        "SELECT x.api_key FROM merchants m, (SELECT id AS api_key FROM merchants) x LIMIT 5",
        "WITH a AS (SELECT id FROM merchants), b AS (SELECT id FROM a) SELECT id FROM b LIMIT 5",
        "SELECT id FROM merchants a JOIN merchants b USING (id) LIMIT 5",
        "SELECT y.k FROM (SELECT id AS k FROM ledger_entries) x JOIN (SELECT id AS k FROM merchants) \
         y USING (k) LIMIT 5",
        "SELECT id AS x FROM merchants UNION SELECT id FROM ledger_entries ORDER BY x LIMIT 5",
        "SELECT sum(id) OVER w FROM merchants WINDOW w AS (ORDER BY name) LIMIT 5",
        "SELECT merchant_id, sum(amount_cents) AS s FROM ledger_entries GROUP BY 1 HAVING \
         count(*) > 1 ORDER BY s DESC LIMIT 5",
        "SELECT CASE WHEN status LIKE 'f%' ESCAPE '!' THEN upper(status) ELSE coalesce(status, '') \
         END FROM ledger_entries WHERE (id, status) IN ((1, 'a')) LIMIT 5",
        "SELECT max(id) FILTER (WHERE name NOTNULL) FROM merchants LIMIT 5",
        "SELECT cast(amount_cents AS decimal(10, 2)) / 100 FROM ledger_entries LIMIT 5",
        "SELECT (SELECT m.api_key FROM (SELECT id AS api_key FROM ledger_entries) M LIMIT 1) FROM \
         merchants m LIMIT 5",
    ] {
        let facts = judge(Dialect::Sqlite, sql).unwrap_or_else(|no| panic!("{sql}\n{no}"));
        let touched = ledger
            .touches(sql)
            .unwrap_or_else(|no| panic!("{sql}\n{no}"));
        assert!(touched != Touched::default(), "{sql}");
        touches_only(&facts, &touched).unwrap_or_else(|no| panic!("{sql}\n{no}"));
    }
}

#[test]
fn the_authorizer_sees_what_the_gate_refuses() {
    let ledger = Ledger::open();
    for (sql, touched) in [
        (
            "SELECT id FROM merchants ORDER BY api_key LIMIT 5",
            "merchants.api_key",
        ),
        (
            "SELECT lower(name) AS api_key FROM merchants GROUP BY api_key LIMIT 5",
            "merchants.api_key",
        ),
        (
            "SELECT m.id FROM merchants m LEFT JOIN (ledger_entries e JOIN merchants b ON b.id = \
             e.merchant_id) ON m.id = e.merchant_id LIMIT 5",
            "merchants.api_key",
        ),
        (
            "SELECT id FROM merchants WHERE (id, name) IN agent_credentials LIMIT 5",
            "agent_credentials.token",
        ),
    ] {
        assert!(judge(Dialect::Sqlite, sql).is_err(), "{sql}");
        let columns = ledger.touches(sql).unwrap().columns;
        assert!(columns.contains(touched), "{sql}: {columns:?}");
    }
}
