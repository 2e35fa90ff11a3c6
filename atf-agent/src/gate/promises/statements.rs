//! Statements of SQL, in each dialect: nothing panics, and what is allowed touches what is listed and what
//! its facts say.

use crate::gate::corpus::ledger;
use crate::gate::sql::promises::{ALL, Ledger, judge, touches_only};
use crate::gate::sql::{Dialect, SqlFacts};

/// Statements that are allowed, before they are changed.
pub const HONEST: &[&str] = &[
    "SELECT id, amount_cents FROM ledger_entries WHERE id = 1 LIMIT 10",
    "SELECT m.name, count(e.id) FROM merchants m JOIN ledger_entries e ON e.merchant_id = m.id GROUP BY \
     m.name ORDER BY m.name LIMIT 5 OFFSET 5",
    "WITH t AS (SELECT id FROM merchants) SELECT id FROM t UNION SELECT merchant_id FROM ledger_entries \
     LIMIT 1000",
];

/// Statements of many forms that a SQLite is allowed.
pub const ALLOWED: &[&str] = &[
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
     END FROM ledger_entries WHERE id IN (1) AND status IN ('a') LIMIT 5",
    "SELECT max(id) FILTER (WHERE name NOTNULL) FROM merchants LIMIT 5",
    "SELECT cast(amount_cents AS decimal(10, 2)) / 100 FROM ledger_entries LIMIT 5",
    "SELECT (SELECT m.api_key FROM (SELECT id AS api_key FROM ledger_entries) M LIMIT 1) FROM \
     merchants m LIMIT 5",
];

/// A real database to hold the answers against.
pub struct Statements(Ledger);

impl Statements {
    /// Opens it, in memory.
    ///
    /// # Panics
    /// When it cannot be opened.
    #[must_use]
    pub fn open() -> Self {
        Self(Ledger::open())
    }

    /// Judges a text in each dialect; says whether any of them allows it.
    ///
    /// # Panics
    /// When what is allowed is not within what is listed, or touches in the database what its facts do not say.
    pub fn keep(&self, text: &str) -> bool {
        let mut is_allowed = false;
        for dialect in ALL {
            let Ok(facts) = judge(dialect, text) else { continue };
            is_allowed = true;
            is_listed(&facts).unwrap_or_else(|no| panic!("{dialect:?}: {text}\n{no}"));
            if dialect != Dialect::Sqlite {
                continue;
            }
            if let Ok(touched) = self.0.asks(text) {
                touches_only(&facts, &touched).unwrap_or_else(|no| panic!("{text}\n{no}"));
            }
        }
        is_allowed
    }
}

/// Tables and columns that the profile lists; a statement that reads.
fn is_listed(facts: &SqlFacts) -> Result<(), String> {
    let listed = ledger().tables;
    let has = |column: &String| {
        let (table, column) = column.split_once('.')?;
        listed.get(table)?.iter().find(|listed| *listed == column)
    };
    let within = facts.tables.iter().all(|table| listed.contains_key(table))
        && facts.columns.iter().all(|column| has(column).is_some())
        && facts.written.is_empty();
    if within { Ok(()) } else { Err(format!("the facts are {facts:?}")) }
}
