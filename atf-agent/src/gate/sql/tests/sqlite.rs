//! What the gate says against what a real SQLite does: its authorizer reports each column that a
//! prepared statement reads and each function that it calls.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::types::Value;

use super::super::{Dialect, SqlFacts};
use super::judge;

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
pub(super) struct Ledger {
    connections: [Connection; 2],
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
    pub(super) fn asks(&self, sql: &str) -> rusqlite::Result<(Touched, bool)> {
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
pub(super) fn touches_only(
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
        let touched = ledger.asks(sql).unwrap_or_else(|no| panic!("{sql}\n{no}"));
        assert!(touched.0 != Touched::default(), "{sql}");
        touches_only(&facts, &touched).unwrap_or_else(|no| panic!("{sql}\n{no}"));
    }
}

#[test]
fn a_real_database_shows_the_leaks_that_the_gate_refuses() {
    let ledger = Ledger::open();
    for (sql, leak) in [
        ("SELECT id FROM merchants ORDER BY api_key LIMIT 5", "merchants.api_key"),
        ("SELECT max(name) AS api_key FROM merchants GROUP BY tax_id LIMIT 5", "merchants.tax_id"),
        (
            "SELECT (SELECT o.tax_id FROM merchants m ORDER BY tax_id LIMIT 1) FROM (SELECT id AS \
             tax_id FROM ledger_entries) o LIMIT 5",
            "merchants.tax_id",
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
        let columns = ledger.asks(sql).unwrap().0.columns;
        assert!(columns.contains(leak), "{sql}: {columns:?}");
    }
}

#[test]
fn a_leak_that_sqlite_does_not_tell_its_authorizer_is_refused() {
    let ledger = Ledger::open();
    for sql in [
        "SELECT m.id, y.api_key FROM merchants m, (SELECT id AS api_key FROM ledger_entries) x JOIN \
         (SELECT id AS api_key FROM ledger_entries) y USING (api_key) LIMIT 50",
        "SELECT m.id, y.api_key FROM merchants m CROSS JOIN (SELECT id AS api_key FROM \
         ledger_entries) x JOIN (SELECT id AS api_key FROM ledger_entries) y USING (api_key) LIMIT 50",
    ] {
        let (touched, alike) = ledger.asks(sql).unwrap();
        assert!(!alike && !touched.columns.contains("merchants.api_key"), "{sql}");
        assert!(judge(Dialect::Sqlite, sql).is_err(), "{sql}");
    }
}
