//! R7 and R8 for output names in HAVING and GROUP BY.

use super::super::Rule::{R4, R8, R9};
use super::rows::{ANY, GENERIC, MYSQL, POSTGRES, Row, SQLITE, check};
use super::{Dialect, judge};

#[test]
fn a_having_may_name_an_output_column_where_the_engine_looks_there_first() {
    let total = "SELECT merchant_id, sum(amount_cents) AS card_pan FROM ledger_entries GROUP BY \
                 merchant_id HAVING NOT (card_pan > 5 OR card_pan IS NULL) AND card_pan BETWEEN 1 \
                 AND 9 LIMIT 5";
    let plain = "SELECT max(name) AS n FROM merchants HAVING max(name) > 'x' LIMIT 5";
    let rows: &[Row] = &[
        (POSTGRES, R8, total, plain),
        (SQLITE, R8, total, plain),
        (GENERIC, R8, total, plain),
        (MYSQL, R8, "SELECT max(name) AS n FROM merchants HAVING api_key > 'x' LIMIT 5", total),
        (MYSQL, R8, "SELECT id AS api_key FROM merchants HAVING max(api_key) > 1 LIMIT 5", total),
        (MYSQL, R8, "SELECT id AS api_key FROM merchants HAVING lower(api_key) > 1 LIMIT 5", total),
        (MYSQL, R8, "SELECT id AS tax_id FROM merchants HAVING (SELECT tax_id) > 1 LIMIT 5", total),
        (MYSQL, R8, "SELECT id AS api_key FROM merchants m HAVING m.api_key > 1 LIMIT 5", total),
        (MYSQL, R8, "SELECT id AS api_key FROM merchants WHERE api_key > 1 LIMIT 5", total),
        (MYSQL, R9, "SELECT id AS x FROM merchants HAVING x > sleep(5) LIMIT 5", total),
    ];
    check(rows);
}

/// The attack: in MySQL the name of an output that is a column of the query around is looked up in the tables when
/// that one groups. `HAVING secret` is then a condition on a column that is not listed.
#[test]
fn an_output_of_the_query_around_has_no_name_in_mysql() {
    let of = |output: &str, end: &str| {
        format!(
            "SELECT m.name, (SELECT {output} AS api_key FROM ledger_entries e {end} LIMIT 1) FROM merchants m \
             GROUP BY m.name LIMIT 5"
        )
    };
    for end in ["HAVING api_key = 'a'", "ORDER BY api_key", "ORDER BY api_key DESC"] {
        for output in ["m.id", "(m.id)", "((m.name))", "+m.id", "(+ +(m.id))", "(SELECT m.id)"] {
            for dialect in [Dialect::Mysql, Dialect::Generic] {
                let refusal = judge(dialect, &of(output, end)).expect_err(output);
                assert_eq!(refusal.rule, R8, "{dialect:?} {output} {end}: {refusal}");
            }
        }
        for output in ["e.id", "max(m.id)", "m.id + 1", "lower(m.name)"] {
            let text = of(output, end);
            assert!(judge(Dialect::Mysql, &text).is_ok(), "{:?}", judge(Dialect::Mysql, &text));
        }
    }
    // MySQL reads the ORDER BY as the inner query's own.
    let (behind, plain) = (
        "SELECT m.name, EXISTS ((SELECT m.id AS api_key FROM ledger_entries e) ORDER BY api_key LIMIT 1) FROM merchants m \
         GROUP BY m.name LIMIT 5",
        "SELECT m.name, EXISTS ((SELECT m.id AS api_key FROM ledger_entries e) LIMIT 1) FROM merchants m LIMIT 5",
    );
    check(&[(MYSQL, R4, behind, plain), (GENERIC, R4, behind, plain)]);
    let bare = |column: &str, end: &str| {
        format!(
            "SELECT m.name, (SELECT {column} AS api_key FROM (SELECT id AS k FROM ledger_entries) x {end} LIMIT \
             1) FROM merchants m GROUP BY m.name LIMIT 5"
        )
    };
    for end in ["HAVING api_key = 'a'", "GROUP BY api_key", "ORDER BY api_key"] {
        assert!(judge(Dialect::Mysql, &bare("name", end)).is_err(), "{end}");
        let own = bare("k", end);
        assert!(judge(Dialect::Mysql, &own).is_ok(), "{:?}", judge(Dialect::Mysql, &own));
    }
}

#[test]
fn a_group_by_may_name_an_output_column_where_all_columns_are_known() {
    let known = "WITH t AS (SELECT id, lower(name) AS n FROM merchants) SELECT upper(t.n) AS api_key, \
                 count(*) AS c FROM t GROUP BY api_key ORDER BY c DESC LIMIT 5";
    let rows: &[Row] = &[
        (ANY, R8, "SELECT upper(name) AS api_key FROM merchants GROUP BY api_key LIMIT 5", known),
        (
            ANY,
            R8,
            "WITH t AS (SELECT id FROM merchants) SELECT t.id AS api_key FROM t JOIN merchants m ON \
             m.id = t.id GROUP BY api_key LIMIT 5",
            known,
        ),
        (
            ANY,
            R8,
            "SELECT upper(x.n) AS k FROM (SELECT name AS n FROM merchants) x GROUP BY k, tax_id LIMIT 5",
            "SELECT upper(x.n) AS k FROM (SELECT name AS n FROM merchants) x GROUP BY k, n LIMIT 5",
        ),
    ];
    check(rows);
}
