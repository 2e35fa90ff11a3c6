//! Random text: nothing panics, and what passes for SQLite touches, in a real SQLite, what its facts
//! say and nothing else.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::super::Dialect;
use super::sqlite::{Ledger, touches_only};
use super::{ALL, judge};
use crate::gate::fuzzed::changed;
use crate::gate::promises::statements::HONEST;

/// Statements of each kind: enough that thousands pass and are prepared, in a few seconds.
const CASES: u32 = 6_000;

/// Words of all kinds, allowed and not, for text without grammar.
const VOCABULARY: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "AND",
    "OR",
    "NOT",
    "IN",
    "EXISTS",
    "CASE",
    "WHEN",
    "THEN",
    "END",
    "JOIN",
    "LEFT",
    "ON",
    "USING",
    "NATURAL",
    "UNION",
    "ALL",
    "GROUP BY",
    "ORDER BY",
    "HAVING",
    "LIMIT",
    "OFFSET",
    "5",
    "1.5",
    "WITH",
    "RECURSIVE",
    "AS",
    "DISTINCT",
    "OVER",
    "PARTITION BY",
    "FILTER",
    "VALUES",
    "TABLE",
    "LATERAL",
    "DELETE",
    "INSERT",
    "INTO",
    "FOR UPDATE",
    "FETCH",
    "merchants",
    "ledger_entries",
    "agent_credentials",
    "id",
    "name",
    "api_key",
    "m",
    "e",
    "x",
    "lower",
    "count",
    "hex",
    "current_user",
    "interval",
    "date",
    "cast",
    "int",
    "::",
    "(",
    ")",
    "(",
    ")",
    ",",
    ".",
    "*",
    "=",
    "<",
    "-",
    "+",
    "||",
    "->",
    "'a'",
    "''",
    "\"id\"",
    "`id`",
    "[id]",
    "--",
    "/*",
    "*/",
    "#",
    ";",
    ":x",
    "?",
    "$1",
    "@x",
    "\\",
    "E'a'",
    "0x1F",
    "é",
    "LIKE",
    "BETWEEN",
    "IS",
    "NULL",
    "GLOB",
    "MATCH",
    "COLLATE",
    "AT TIME ZONE",
    "ARRAY",
    "ROW",
    "ANY",
    "TRIM",
    "EXTRACT",
];

fn soup() -> impl Strategy<Value = String> {
    let word = prop::sample::select(VOCABULARY);
    let gap = prop::sample::select(&[" ", " ", " ", "", "\n", "\t"][..]);
    prop::collection::vec((word, gap), 0..60)
        .prop_map(|parts| parts.into_iter().flat_map(|(word, gap)| [word, gap]).collect())
}

/// Names that collide: columns that are listed and not, aliases, relations, words of SQLite. The
/// wrong ones are rarer, because one of them refuses a whole statement.
fn name() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        24 => prop::sample::select(&["id", "id", "\"id\"", "name", "status", "merchant_id"][..]),
        1 => prop::sample::select(&["api_key", "\"api_key\"", "card_pan", "tax_id", "rowid"][..]),
        1 => prop::sample::select(&["m", "x", "M", "merchants", "ID", "[name]", "token"][..]),
    ]
}

fn relation() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        12 => prop::sample::select(&["m", "m", "x"][..]),
        1 => prop::sample::select(&["M", "merchants", "ledger_entries"][..]),
    ]
}

fn column() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => name().prop_map(str::to_owned),
        1 => (relation(), name()).prop_map(|(relation, name)| format!("{relation}.{name}")),
    ]
}

fn expr() -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        6 => column(),
        1 => prop::sample::select(&["1", "'a'", "NULL", "count(*)"][..]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(2, 6, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} = {b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} IN ({b}, 1)")),
            inner.clone().prop_map(|a| format!("lower({a})")),
            inner.clone().prop_map(|a| format!("max({a})")),
            inner.clone().prop_map(|a| format!("sum({a}) OVER (ORDER BY {a})")),
            inner.prop_map(|a| format!("CASE WHEN {a} THEN 1 END")),
        ]
    })
    .boxed()
}

fn from(query: BoxedStrategy<String>) -> BoxedStrategy<String> {
    let table = prop::sample::select(&["ledger_entries", "ledger_entries", "merchants", "m"][..]);
    let one = prop_oneof![
        3 => table.clone().prop_map(str::to_owned),
        4 => (table, relation()).prop_map(|(table, alias)| format!("{table} {alias}")),
        2 => (query, relation()).prop_map(|(query, alias)| format!("({query}) {alias}")),
    ];
    let condition = prop_oneof![
        3 => (relation(), name(), expr()).prop_map(|(r, n, e)| format!("ON {r}.{n} = {e}")),
        1 => name().prop_map(|name| format!("USING ({name})")),
    ];
    let more = prop_oneof![
        (one.clone(), condition).prop_map(|(one, condition)| format!(" JOIN {one} {condition}")),
        one.clone().prop_map(|one| format!(", {one}")),
    ];
    (one, prop::collection::vec(more, 0..3))
        .prop_map(|(first, more)| first + &more.concat())
        .boxed()
}

fn select(query: BoxedStrategy<String>) -> BoxedStrategy<String> {
    let item = prop_oneof![
        column(),
        (expr(), name()).prop_map(|(expr, alias)| format!("{expr} AS {alias}")),
    ];
    let condition = prop_oneof![
        3 => expr(),
        1 => query.clone().prop_map(|query| format!("EXISTS ({query})")),
        1 => (column(), query.clone()).prop_map(|(column, query)| format!("{column} IN ({query})")),
        1 => query.clone().prop_map(|query| format!("({query}) > 0")),
    ];
    (
        prop::collection::vec(item, 1..3),
        from(query),
        prop::option::weighted(0.4, condition),
        prop::option::weighted(0.2, column()),
        prop::option::weighted(0.3, expr()),
    )
        .prop_map(|(items, from, condition, group, order)| {
            let condition = condition.map(|c| format!(" WHERE {c}")).unwrap_or_default();
            let group = group.map(|c| format!(" GROUP BY {c}")).unwrap_or_default();
            let order = order.map(|e| format!(" ORDER BY {e} LIMIT 3")).unwrap_or_default();
            format!("SELECT {} FROM {from}{condition}{group}{order}", items.join(", "))
        })
        .boxed()
}

/// Statements with grammar, whose names lead to the right and the wrong places.
fn statement() -> impl Strategy<Value = String> {
    let plain = select(Just("SELECT id FROM merchants".to_owned()).boxed());
    let nested = select(plain.clone());
    let query = prop_oneof![2 => plain.clone(), 1 => nested, 1 => select(select(plain.clone()))];
    (
        prop::option::weighted(0.2, (relation(), plain.clone())),
        query,
        prop::option::weighted(0.15, (plain, column())),
    )
        .prop_map(|(with, query, union)| {
            let with = with.map(|(name, q)| format!("WITH {name} AS ({q}) ")).unwrap_or_default();
            match union {
                None if query.ends_with(" LIMIT 3") => with + &query,
                None => format!("{with}{query} LIMIT 9"),
                Some((more, order)) => {
                    format!(
                        "{with}SELECT id FROM ({query}) x UNION {more} ORDER BY {order} LIMIT 9"
                    )
                }
            }
        })
}

/// Runs the cases from a fixed seed, so that a failure comes again.
pub(super) fn each(strategy: impl Strategy<Value = String>, cases: u32, check: impl Fn(String)) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    TestRunner::new_with_rng(config, rng)
        .run(&strategy, |text| {
            check(text);
            Ok(())
        })
        .unwrap();
}

#[test]
fn soup_never_panics_and_what_passes_touches_what_it_says() {
    let ledger = Ledger::open();
    each(soup(), CASES, |text| {
        for dialect in ALL {
            let _verdict = judge(dialect, &text);
        }
        if let (Ok(facts), Ok(touched)) = (judge(Dialect::Sqlite, &text), ledger.asks(&text)) {
            touches_only(&facts, &touched).unwrap_or_else(|no| panic!("{text}\n{no}"));
        }
    });
}

#[test]
fn statements_that_pass_touch_what_they_say() {
    let ledger = Ledger::open();
    let (allowed, ran, leaks) = (Cell::new(0), Cell::new(0), Cell::new(0));
    each(statement(), CASES, |text| {
        let touched = ledger.asks(&text);
        match (judge(Dialect::Sqlite, &text), touched) {
            (Ok(facts), Ok(touched)) => {
                ran.set(ran.get() + 1);
                touches_only(&facts, &touched).unwrap_or_else(|no| panic!("{text}\n{no}"));
            }
            (Ok(_), Err(_)) => allowed.set(allowed.get() + 1),
            (Err(_), Ok((_, alike))) => leaks.set(leaks.get() + u32::from(!alike)),
            (Err(_), Err(_)) => {}
        }
    });
    println!("{} ran, {} only allowed, {} leaks refused", ran.get(), allowed.get(), leaks.get());
    // The negative control: both sides of the comparison were reached, often.
    assert!(ran.get() > 100, "{} ran", ran.get());
    assert!(leaks.get() > 5, "{} leaks refused", leaks.get());
}

/// What they are changed by.
const PIECES: &[&str] = &[
    "",
    " ",
    "'",
    "\"",
    "`",
    "[",
    "]",
    "(",
    ")",
    ";",
    "--",
    "/*",
    "*/",
    "*",
    ",",
    ".",
    "=",
    "1",
    "0x1",
    "é",
    "\u{0}",
    " OR 1=1",
    " UNION SELECT api_key FROM merchants",
    "api_key",
    "sqlite_master",
    " LIMIT 9999",
    "randomblob(9)",
    " LIMIT 1",
    "id",
    "NULL",
    "::",
    "$1",
    "?",
    "\\",
    "DELETE FROM merchants",
    "\n",
    "\u{a0}",
];

#[test]
fn changed_statements_that_pass_touch_what_they_say() {
    let (ledger, ran, refused) = (Ledger::open(), Cell::new(0), Cell::new(0));
    each(changed(HONEST, PIECES), CASES, |text| {
        for dialect in ALL {
            let _verdict = judge(dialect, &text);
        }
        match (judge(Dialect::Sqlite, &text), ledger.asks(&text)) {
            (Ok(facts), Ok(touched)) => {
                ran.set(ran.get() + 1);
                touches_only(&facts, &touched).unwrap_or_else(|no| panic!("{text}\n{no}"));
            }
            (Err(_), Ok(_)) => refused.set(refused.get() + 1),
            (Ok(_) | Err(_), Err(_)) => {}
        }
    });
    // The negative control: both sides were reached. Most changes are no SQL to SQLite either.
    assert!(ran.get() > 200 && refused.get() > 20, "{ran:?} {refused:?}");
}
