//! What the gate says against what a real SQLite does, statement by statement.

use super::super::Dialect;
pub(super) use super::super::promises::{Ledger, touches_only};
use super::super::promises::{Touched, judge};
use crate::gate::promises::statements::ALLOWED;

#[test]
fn allowed_statements_touch_what_their_facts_say_in_a_real_database() {
    let ledger = Ledger::open();
    for sql in ALLOWED {
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
