//! What reports ask for: the time of the statement, totals beside groups, lists in an order, percentiles, time zones.

use super::super::Rule;
use super::rewrite::both;
use super::rows::{ANY, MYSQL, POSTGRES, SQLITE};
use super::{Dialect, SqlFacts, SqlProfile, SqlRefusal, ledger_of};
use crate::gate::sql::Rule::{R8, R9, R12};

fn judge(dialect: Dialect, text: &str) -> Result<SqlFacts, SqlRefusal> {
    let mut profile: SqlProfile = ledger_of(dialect);
    let functions = [
        "current_date",
        "current_timestamp",
        "group_concat",
        "localtime",
        "percentile_cont",
        "string_agg",
        "timezone",
        "trim",
    ];
    profile.functions.extend(functions.map(str::to_owned));
    both(text, &profile)
}

#[test]
fn reports_pass() {
    for (dialects, text) in [
        (ANY, "SELECT id FROM ledger_entries WHERE created_at < CURRENT_DATE LIMIT 5"),
        (ANY, "SELECT current_timestamp, max(created_at) FROM ledger_entries LIMIT 5"),
        (
            POSTGRES,
            "SELECT id FROM ledger_entries WHERE created_at >= current_date - interval '30 days' LIMIT 5",
        ),
        (
            MYSQL,
            "SELECT id FROM ledger_entries WHERE created_at < current_date - interval 7 day LIMIT 5",
        ),
        (MYSQL, "SELECT localtime FROM ledger_entries LIMIT 5"),
        (
            POSTGRES,
            "SELECT status, merchant_id, sum(amount_cents) FROM ledger_entries GROUP BY ROLLUP (status, \
             merchant_id) LIMIT 5",
        ),
        (
            POSTGRES,
            "SELECT status, merchant_id, sum(amount_cents) FROM ledger_entries GROUP BY merchant_id, GROUPING \
             SETS ((status, id), (status), ()) LIMIT 5",
        ),
        (
            POSTGRES,
            "SELECT status, count(*) FROM ledger_entries GROUP BY CUBE (status, id) LIMIT 5",
        ),
        (
            POSTGRES,
            "SELECT string_agg(name, ', ' ORDER BY name DESC, id), string_agg(DISTINCT name, ',') FROM \
             merchants LIMIT 5",
        ),
        (
            MYSQL,
            "SELECT group_concat(DISTINCT name ORDER BY id SEPARATOR ', ') FROM merchants LIMIT 5",
        ),
        (SQLITE, "SELECT group_concat(name, ', ' ORDER BY id) FROM merchants LIMIT 5"),
        (
            POSTGRES,
            "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY amount_cents) FROM ledger_entries LIMIT 5",
        ),
        (
            POSTGRES,
            "SELECT date_trunc('day', created_at AT TIME ZONE 'Europe/Berlin') AS d, count(*) FROM \
             ledger_entries GROUP BY 1 LIMIT 5",
        ),
        (POSTGRES, "SELECT trim(BOTH ' ' FROM name), trim('x' FROM name) FROM merchants LIMIT 5"),
        (MYSQL, "SELECT trim(LEADING '0' FROM name) FROM merchants LIMIT 5"),
    ] {
        for dialect in dialects {
            if let Err(no) = judge(*dialect, text) {
                panic!("{dialect:?} refuses {text}\n{no} {:?}", no.detail);
            }
        }
    }
}

#[test]
fn reports_read_what_is_listed_and_are_bounded() {
    let rows: &[(&[Dialect], Rule, &str)] = &[
        (POSTGRES, R8, "SELECT id FROM merchants GROUP BY id, ROLLUP (api_key) LIMIT 5"),
        (
            POSTGRES,
            R8,
            "SELECT count(*) FROM merchants GROUP BY GROUPING SETS ((id, api_key), ()) LIMIT 5",
        ),
        (
            POSTGRES,
            R8,
            "SELECT max(name) AS api_key FROM merchants GROUP BY CUBE (api_key) LIMIT 5",
        ),
        (POSTGRES, R8, "SELECT string_agg(name, ',' ORDER BY api_key) FROM merchants LIMIT 5"),
        (
            POSTGRES,
            R8,
            "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY api_key) FROM merchants LIMIT 5",
        ),
        (POSTGRES, R8, "SELECT created_at AT TIME ZONE card_pan FROM ledger_entries LIMIT 5"),
        (POSTGRES, R8, "SELECT card_pan AT TIME ZONE 'UTC' FROM ledger_entries LIMIT 5"),
        (POSTGRES, R8, "SELECT trim(BOTH api_key FROM name) FROM merchants LIMIT 5"),
        (MYSQL, R8, "SELECT trim(TRAILING 'x' FROM api_key) FROM merchants LIMIT 5"),
        (MYSQL, R8, "SELECT group_concat(name ORDER BY api_key) FROM merchants LIMIT 5"),
        (SQLITE, R8, "SELECT group_concat(name, ',' ORDER BY api_key) FROM merchants LIMIT 5"),
        // One more than there may be; CUBE and several of them multiply.
        (
            POSTGRES,
            R12,
            "SELECT count(*) FROM ledger_entries GROUP BY CUBE (id, id, id, id, id) LIMIT 5",
        ),
        (
            POSTGRES,
            R12,
            "SELECT count(*) FROM ledger_entries GROUP BY CUBE (id, id), ROLLUP (1, 2, 3, 4) LIMIT 5",
        ),
        // Not listed, or of another engine.
        (POSTGRES, R9, "SELECT current_time FROM merchants LIMIT 5"),
        (POSTGRES, R9, "SELECT current_user FROM merchants LIMIT 5"),
        (SQLITE, R9, "SELECT localtime FROM merchants LIMIT 5"),
        (SQLITE, R9, "SELECT trim('x' FROM name) FROM merchants LIMIT 5"),
        (SQLITE, R9, "SELECT created_at AT TIME ZONE 'UTC' FROM ledger_entries LIMIT 5"),
        (MYSQL, R9, "SELECT created_at AT TIME ZONE 'UTC' FROM ledger_entries LIMIT 5"),
        (
            MYSQL,
            R9,
            "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY id) FROM merchants LIMIT 5",
        ),
        (POSTGRES, R9, "SELECT count(id ORDER BY id) FROM merchants LIMIT 5"),
        (MYSQL, R9, "SELECT id FROM merchants GROUP BY rollup (id) LIMIT 5"),
    ];
    for (dialects, rule, text) in rows {
        for dialect in *dialects {
            let refusal = judge(*dialect, text).expect_err(text);
            assert_eq!(refusal.rule, *rule, "{dialect:?} {text}: {refusal} {:?}", refusal.detail);
        }
    }
}
