//! R11, R12, the profile and the facts.

use super::super::Rule::{R0, R5, R11, R12};
use super::super::{Dialect, Rule, SqlProfile};
use super::rows::{ANY, MYSQL, POSTGRES, Row, SQLITE, check};
use super::{ALL, judge, ledger_of};

const PLAIN: &str = "SELECT id FROM merchants LIMIT 5";

#[test]
fn limit_and_offset_are_literal_and_capped() {
    let most = "SELECT id FROM merchants LIMIT 1000 OFFSET 100000";
    let rows: &[Row] = &[
        (ANY, R11, "SELECT id FROM merchants", PLAIN),
        (ANY, R11, "SELECT id FROM merchants LIMIT 1001", most),
        (ANY, R11, "SELECT id FROM merchants LIMIT 5 OFFSET 100001", most),
        (ANY, R11, "SELECT id FROM merchants LIMIT 99999999999999999999", most),
        (ANY, R11, "SELECT id FROM merchants LIMIT -1", "SELECT id FROM merchants LIMIT 0"),
        (ANY, R11, "SELECT id FROM merchants LIMIT 1 + 1", PLAIN),
        (ANY, R11, "SELECT id FROM merchants LIMIT (5)", PLAIN),
        (ANY, R11, "SELECT id FROM merchants LIMIT 5.0", PLAIN),
        (ANY, R11, "SELECT id FROM merchants LIMIT 1e3", PLAIN),
        (ANY, R11, "SELECT id FROM merchants LIMIT '5'", PLAIN),
        (ANY, R11, "SELECT id FROM merchants LIMIT NULL", PLAIN),
        (ANY, R11, "SELECT id FROM merchants LIMIT (SELECT max(id) FROM merchants)", PLAIN),
        (ANY, R11, "SELECT id FROM merchants LIMIT 5 OFFSET (SELECT max(id) FROM merchants)", most),
        (POSTGRES, R11, "SELECT id FROM merchants LIMIT ALL", PLAIN),
        (
            MYSQL,
            R11,
            "SELECT id FROM merchants LIMIT 5, 5000",
            "SELECT id FROM merchants LIMIT 5000, 5",
        ),
        (
            SQLITE,
            R11,
            "SELECT id FROM merchants LIMIT 5, 5000",
            "SELECT id FROM merchants LIMIT 5000, 5",
        ),
        (POSTGRES, R5, "SELECT id FROM merchants FETCH FIRST 5 ROWS ONLY", PLAIN),
        (
            ANY,
            R11,
            "SELECT x.id FROM (SELECT id FROM merchants LIMIT 5) x",
            "SELECT x.id FROM (SELECT id FROM merchants) x LIMIT 5",
        ),
        (
            ANY,
            R11,
            "WITH t AS (SELECT id FROM merchants LIMIT 5) SELECT id FROM t",
            "WITH t AS (SELECT id FROM merchants) SELECT id FROM t LIMIT 5",
        ),
        (
            ANY,
            R11,
            "SELECT id FROM merchants UNION (SELECT id FROM ledger_entries LIMIT 5)",
            "SELECT id FROM merchants UNION SELECT id FROM ledger_entries LIMIT 5",
        ),
    ];
    check(rows);
    let rows: &[Row] =
        &[(POSTGRES, R11, "(SELECT id FROM merchants)", "(SELECT id FROM merchants LIMIT 5)")];
    check(rows);
}

/// What it keeps reaches nobody but through the outermost query.
#[test]
fn a_limit_below_the_outermost_query_may_be_large_and_is_a_number() {
    check(&[
        (
            ANY,
            R11,
            "SELECT x.id FROM (SELECT id FROM merchants LIMIT (SELECT max(id) FROM merchants)) AS x LIMIT 5",
            "SELECT x.id FROM (SELECT id FROM merchants LIMIT 5000) AS x LIMIT 5",
        ),
        (
            ANY,
            R11,
            "SELECT x.id FROM (SELECT id FROM merchants LIMIT 5000) AS x LIMIT 1001",
            "SELECT x.id FROM (SELECT id FROM merchants LIMIT 5000) AS x LIMIT 1000",
        ),
        (
            ANY,
            R11,
            "SELECT x.id FROM (SELECT id FROM merchants LIMIT 5 OFFSET 100001) AS x LIMIT 5",
            "SELECT x.id FROM (SELECT id FROM merchants LIMIT 5 OFFSET 100000) AS x LIMIT 5",
        ),
        (ANY, R11, "(SELECT id FROM merchants LIMIT 5000)", "(SELECT id FROM merchants LIMIT 5)"),
    ]);
}

#[test]
fn the_profile_says_whether_a_limit_is_needed() {
    let profile = SqlProfile { limit_required: false, ..ledger_of(Dialect::Sqlite) };
    let facts = super::check("SELECT id FROM merchants", &profile).unwrap();
    assert_eq!((facts.limit, facts.offset), (None, None));
    let refusal = super::check("SELECT id FROM merchants LIMIT 5000", &profile).unwrap_err();
    assert_eq!(refusal.rule, R11);
}

/// Text that meets its cap, and text that passes it by one.
fn at_the_cap(rule: Rule, most: &str, more: &str) {
    for dialect in ALL {
        if let Err(refusal) = judge(dialect, most) {
            panic!("{dialect:?} refuses {most}\n{refusal} {:?}", refusal.detail);
        }
        assert_eq!(judge(dialect, more).unwrap_err().rule, rule, "{more}");
    }
}

#[test]
fn size_tokens_and_lists_are_capped() {
    let name =
        |n: usize| format!("SELECT id FROM merchants WHERE name = '{}' LIMIT 5", "x".repeat(n));
    let frame = name(0).len();
    at_the_cap(R0, &name(8192 - frame), &name(8193 - frame));

    let list = |n: usize| {
        let ids: Vec<String> = (0..n).map(|id| id.to_string()).collect();
        format!("SELECT id FROM merchants WHERE id IN ({}) LIMIT 5", ids.join(","))
    };
    at_the_cap(R12, &list(500), &list(501));
    at_the_cap(R12, &list(500), &list(900));
    assert_eq!(judge(Dialect::Sqlite, &list(1200)).unwrap_err().rule, R0);
}

#[test]
fn joins_branches_and_depth_are_capped() {
    let joins = |n: usize| {
        let more: String =
            (0..n).map(|place| format!(" JOIN merchants m{place} ON m{place}.id = m.id")).collect();
        format!("SELECT m.id FROM merchants m{more} LIMIT 5")
    };
    at_the_cap(R12, &joins(8), &joins(9));
    at_the_cap(R12, &joins(8), &joins(17));

    let commas = |n: usize| {
        let more: String = (0..n).map(|place| format!(", merchants m{place}")).collect();
        format!("SELECT m.id FROM merchants m{more} LIMIT 5")
    };
    at_the_cap(R12, &commas(2), &commas(3));

    let branches = |n: usize| {
        let all = vec!["SELECT id FROM merchants"; n];
        format!("{} LIMIT 5", all.join(" UNION ALL "))
    };
    at_the_cap(R12, &branches(16), &branches(17));

    let deep = |n: usize| {
        let open = "SELECT id FROM merchants WHERE id IN (".repeat(n - 1);
        format!("{open}SELECT id FROM merchants{} LIMIT 5", ")".repeat(n - 1))
    };
    at_the_cap(R12, &deep(5), &deep(6));

    let parentheses =
        |n: usize| format!("SELECT {}id{} FROM merchants LIMIT 5", "(".repeat(n), ")".repeat(n));
    at_the_cap(R12, &parentheses(12), &parentheses(17));
}

#[test]
fn the_facts_are_what_the_statement_reads() {
    let sql = "WITH t AS (SELECT merchant_id, sum(amount_cents) AS s FROM ledger_entries WHERE \
               status = 'x' GROUP BY merchant_id) SELECT lower(m.name), t.s FROM t JOIN merchants m \
               ON m.id = t.merchant_id ORDER BY t.s DESC LIMIT 10 OFFSET 20";
    for dialect in ALL {
        let facts = judge(dialect, sql).unwrap();
        assert_eq!(
            serde_json::to_value(&facts).unwrap(),
            serde_json::json!({
                "class": "select",
                "tables": ["ledger_entries", "merchants"],
                "columns": [
                    "ledger_entries.amount_cents",
                    "ledger_entries.merchant_id",
                    "ledger_entries.status",
                    "merchants.id",
                    "merchants.name",
                ],
                "functions": ["lower", "sum"],
                "limit": 10,
                "offset": 20,
                "written": [],
                "rows": 10,
            })
        );
    }
}

#[test]
fn a_refusal_says_where_what_and_what_instead() {
    let refusal = judge(Dialect::Postgres, "SELECT id,\n  pg_sleep(9) FROM merchants LIMIT 5");
    let shown = refusal.unwrap_err().to_string();
    let expected = "R9 at line 2, column 3: found the function `pg_sleep`; allowed: avg, coalesce, \
                    count, date_trunc, lower, max, min, sum, upper";
    assert_eq!(shown, expected);
}

#[test]
fn a_profile_is_read_with_its_defaults_and_nothing_unknown() {
    let read = serde_json::from_str::<SqlProfile>;
    let profile = read(r#"{"dialect":"sqlite","tables":{"merchants":["id"]}}"#).unwrap();
    assert!(profile.limit_required);
    assert_eq!((profile.limit_max, profile.offset_max), (1_000, 100_000));
    assert!(super::check(PLAIN, &profile).is_ok());
    assert!(super::check("SELECT name FROM merchants LIMIT 5", &profile).is_err());

    assert!(read(r#"{"dialect":"sqlite","tables":{},"limits_max":5}"#).is_err());
    assert!(read(r#"{"dialect":"oracle","tables":{}}"#).is_err());
    assert!(read(r#"{"tables":{}}"#).is_err());
}

#[test]
fn what_a_profile_lists_decides_also_for_functions_with_a_syntax_of_their_own() {
    let mut profile = ledger_of(Dialect::Postgres);
    let names = ["substring", "trim", "floor", "ceil", "position", "extract"];
    profile.functions.extend(names.map(str::to_owned));
    for sql in [
        "SELECT substring(name, 1, 2) FROM merchants LIMIT 5",
        "SELECT trim(name) FROM merchants LIMIT 5",
        "SELECT floor(amount_cents / 100), ceil(amount_cents) FROM ledger_entries LIMIT 5",
        "SELECT position('a' IN name) FROM merchants LIMIT 5",
        "SELECT extract(year FROM created_at) FROM ledger_entries LIMIT 5",
    ] {
        let facts = super::check(sql, &profile);
        assert!(facts.is_ok(), "{sql}: {facts:?}");
        assert!(judge(Dialect::Postgres, sql).is_err(), "{sql}");
    }
    for sql in [
        "SELECT trim(api_key) FROM merchants LIMIT 5",
        "SELECT position(api_key IN name) FROM merchants LIMIT 5",
        "SELECT substring(name, 1, max(tax_id)) FROM merchants LIMIT 5",
    ] {
        assert_eq!(super::check(sql, &profile).unwrap_err().rule, Rule::R8, "{sql}");
    }
}

/// Prints what a typical statement costs; a debug build is no measure, so nothing is asserted.
#[test]
fn the_time_of_a_typical_join_is_printed() {
    let sql = "SELECT m.name, count(*) AS n, sum(e.amount_cents) AS total FROM ledger_entries e JOIN \
               merchants m ON m.id = e.merchant_id WHERE e.status = 'settled' AND e.created_at >= \
               '2026-01-01' GROUP BY m.name HAVING sum(e.amount_cents) > 10000 ORDER BY total DESC, \
               m.name LIMIT 50";
    for dialect in ALL {
        let mut times: Vec<_> = (0..101)
            .map(|_| {
                let start = std::time::Instant::now();
                assert!(judge(dialect, sql).is_ok());
                start.elapsed()
            })
            .collect();
        times.sort();
        println!("{dialect:?}: p50 {:?} for {} bytes", times[50], sql.len());
    }
}
