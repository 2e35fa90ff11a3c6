//! R7 and R8 for output names in HAVING and GROUP BY.

use super::super::Rule::{R8, R9};
use super::rows::{ANY, GENERIC, MYSQL, POSTGRES, Row, SQLITE, check};

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
