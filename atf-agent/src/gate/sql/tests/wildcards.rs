//! R8 for wildcards of queries.

use super::super::Rule::{R7, R8};
use super::judge;
use super::rows::{ANY, MYSQL, POSTGRES, Row, SQLITE, check};
use super::sqlite::{Ledger, touches_only};
use crate::gate::sql::Dialect;

const NOT_SQLITE: &[Dialect] = &[Dialect::Postgres, Dialect::Mysql];

#[test]
fn a_wildcard_stands_for_the_columns_of_judged_queries_alone() {
    let all = "WITH t AS (SELECT id, name AS k FROM merchants) SELECT * FROM t ORDER BY k LIMIT 5";
    let of = "SELECT x.*, m.name FROM merchants m JOIN (SELECT id AS k FROM merchants) x ON x.k = m.id LIMIT 5";
    let again = "WITH t AS (SELECT id AS k FROM merchants), u AS (SELECT * FROM t) SELECT u.k FROM u LIMIT 5";
    let rows: &[Row] = &[
        (ANY, R8, "SELECT * FROM merchants m, (SELECT id AS k FROM merchants) x LIMIT 5", all),
        (ANY, R8, "SELECT m.* FROM merchants m, (SELECT id AS k FROM merchants) x LIMIT 5", of),
        (
            ANY,
            R8,
            "WITH t AS (SELECT id AS k FROM merchants), u AS (SELECT * FROM t) SELECT u.api_key FROM u LIMIT 5",
            again,
        ),
        (
            NOT_SQLITE,
            R8,
            "WITH merchants AS (SELECT * FROM merchants) SELECT * FROM merchants LIMIT 5",
            all,
        ),
        (
            SQLITE,
            R7,
            "WITH merchants AS (SELECT * FROM merchants) SELECT * FROM merchants LIMIT 5",
            all,
        ),
        (
            ANY,
            R8,
            "SELECT * FROM (SELECT id FROM merchants) x JOIN (SELECT id FROM merchants) y USING (id) LIMIT 5",
            "SELECT * FROM (SELECT id FROM merchants) x JOIN (SELECT id FROM merchants) y ON x.id = y.id LIMIT 5",
        ),
        (
            ANY,
            R8,
            "SELECT (SELECT x.* FROM merchants m LIMIT 1) FROM (SELECT id FROM merchants) x LIMIT 5",
            "SELECT (SELECT x.id FROM merchants m LIMIT 1) FROM (SELECT id FROM merchants) x LIMIT 5",
        ),
        (POSTGRES, R8, "SELECT X.* FROM (SELECT id FROM merchants) \"X\" LIMIT 5", of),
        (MYSQL, R8, "SELECT X.* FROM (SELECT id FROM merchants) x LIMIT 5", of),
        (ANY, R8, "SELECT count(x.*) FROM (SELECT id FROM merchants) x LIMIT 5", all),
        (
            POSTGRES,
            R8,
            "SELECT id FROM merchants WHERE EXISTS (SELECT * FROM merchants) LIMIT 5",
            all,
        ),
        (
            ANY,
            R8,
            "SELECT max(x.k) AS k FROM (SELECT * FROM merchants) x LIMIT 5",
            "SELECT max(x.k) AS k FROM (SELECT * FROM (SELECT id AS k FROM merchants) y) x LIMIT 5",
        ),
    ];
    check(rows);
    assert_eq!(judge(Dialect::Postgres, "SELECT * LIMIT 5").unwrap_err().rule, R8);
    let widths =
        "SELECT * FROM (SELECT id, name FROM merchants) x UNION SELECT id FROM merchants LIMIT 5";
    assert!(judge(Dialect::Postgres, widths).is_err(), "it has two columns");
}

#[test]
fn a_real_database_reads_no_more() {
    let ledger = Ledger::open();
    for text in [
        "WITH t AS (SELECT id, name AS k FROM merchants) SELECT * FROM t ORDER BY k LIMIT 5",
        "SELECT x.*, m.name FROM merchants m JOIN (SELECT id AS api_key FROM ledger_entries) x ON x.api_key = m.id \
         ORDER BY x.api_key LIMIT 5",
        "SELECT * FROM (SELECT id FROM merchants) x, (SELECT id, status FROM ledger_entries) y LIMIT 5",
    ] {
        let facts = judge(Dialect::Sqlite, text).unwrap_or_else(|no| panic!("{text}\n{no}"));
        touches_only(&facts, &ledger.asks(text).unwrap())
            .unwrap_or_else(|no| panic!("{text}\n{no}"));
    }
}
