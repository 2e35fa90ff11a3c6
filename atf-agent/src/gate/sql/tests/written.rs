//! Writes that pass, run on a real SQLite: no more rows change than were counted, and nothing but the
//! granted columns. And what the refused ones do there.

use std::cell::Cell;

use proptest::prelude::*;
use rusqlite::Connection;
use rusqlite::types::Value;

use super::super::{Dialect, check};
use super::random::each;
use super::writes::writable;

const SCHEMA: &str = "
    CREATE TABLE merchants (id INTEGER PRIMARY KEY, name TEXT, api_key TEXT);
    CREATE TABLE ledger_entries (id INTEGER PRIMARY KEY, merchant_id INTEGER, amount_cents INTEGER,
        status TEXT, created_at TEXT, card_pan TEXT);
    CREATE TABLE notes (code TEXT PRIMARY KEY NOT NULL, text TEXT, secret TEXT);
    CREATE TABLE lines (code TEXT NOT NULL, nr INTEGER NOT NULL, text TEXT, PRIMARY KEY (code, nr));
    INSERT INTO merchants VALUES (1, 'a', 'k1'), (2, 'b', 'k2'), (3, NULL, 'k3');
    INSERT INTO ledger_entries VALUES (1, 1, 2, 'a', 'd', 'p1'), (2, 1, 3, 'b', NULL, 'p2'),
        (3, 2, 1, NULL, 'd', 'p3'), (4, 3, 4, 'a', 'd', 'p4'), (5, 3, 4, 'a', 'd', 'p5');
    INSERT INTO notes VALUES ('a', 'x', 's1'), ('b', 'y', 's2'), ('0', 'z', 's3');
    INSERT INTO lines VALUES ('a', 1, 'x'), ('a', 2, 'x'), ('b', 1, 'x'), ('b', 2, 'x'), ('c', 1, 'x');
";

const TABLES: [&str; 4] = ["merchants", "ledger_entries", "notes", "lines"];

type Rows = Vec<Vec<Value>>;

fn rows(db: &Connection) -> Vec<Rows> {
    let of = |table: &str| {
        let mut statement = db.prepare(&format!("SELECT * FROM {table} ORDER BY rowid")).unwrap();
        let width = statement.column_count();
        let row = |row: &rusqlite::Row<'_>| (0..width).map(|place| row.get(place)).collect();
        statement.query_map([], row).unwrap().collect::<Result<Rows, _>>().unwrap()
    };
    TABLES.map(of).to_vec()
}

/// What a statement does to a fresh copy of the rows: how many of them are others now, and which columns
/// of kept rows changed. An error when SQLite does not run it.
fn effect(db: &mut Connection, sql: &str) -> rusqlite::Result<(usize, Vec<(&'static str, usize)>)> {
    let before = rows(db);
    let transaction = db.transaction()?;
    let done = transaction.prepare(sql).and_then(|mut statement| {
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
        Ok(())
    });
    let after = rows(&transaction);
    transaction.rollback()?;
    done?;
    let (mut changed, mut columns) = (0, Vec::new());
    for ((table, before), after) in TABLES.into_iter().zip(&before).zip(&after) {
        let gone = before.iter().filter(|row| !after.contains(row)).count();
        let come = after.iter().filter(|row| !before.contains(row)).count();
        changed += gone.max(come);
        if before.len() == after.len() {
            for (old, new) in before.iter().zip(after) {
                let differ = old.iter().zip(new).enumerate().filter(|(_, (old, new))| old != new);
                columns.extend(differ.map(|(place, _)| (table, place)));
            }
        }
    }
    Ok((changed, columns))
}

/// Places of the columns that `writable` lets be set.
const SETTABLE: [(&str, usize); 4] =
    [("ledger_entries", 2), ("ledger_entries", 3), ("notes", 1), ("lines", 2)];

#[test]
fn a_real_database_shows_what_the_refused_writes_do() {
    let mut db = Connection::open_in_memory().unwrap();
    db.execute_batch(SCHEMA).unwrap();
    let profile = writable(Dialect::Sqlite);
    for sql in [
        "UPDATE ledger_entries SET status = 'z' WHERE id = 1 OR true",
        "UPDATE ledger_entries SET status = 'z' WHERE id = id",
        "UPDATE ledger_entries SET status = 'z' WHERE id IS NOT NULL",
        "UPDATE ledger_entries SET status = 'z' WHERE id NOT IN (1)",
        "UPDATE ledger_entries SET status = 'z' WHERE id = coalesce(id, 1)",
        "UPDATE ledger_entries SET status = 'z' WHERE id = CASE WHEN 1 = 1 THEN id END",
        "UPDATE ledger_entries SET status = 'z' WHERE id BETWEEN 1 AND 1000",
        "UPDATE ledger_entries SET status = 'z' FROM merchants WHERE 1 = 1",
        "UPDATE lines SET text = 'z' WHERE nr = 1",
        "INSERT INTO ledger_entries (status) SELECT name FROM merchants UNION ALL SELECT 'c'",
        "INSERT INTO ledger_entries (status) VALUES ('a'), ('b'), ('c'), ('d')",
        "DELETE FROM ledger_entries WHERE id IN (1, 2)",
    ] {
        assert!(check(sql, &profile).is_err(), "{sql}");
        let (changed, _) = effect(&mut db, sql).unwrap_or_else(|no| panic!("{sql}\n{no}"));
        assert!(changed > 1, "{sql}: {changed} rows");
    }
    for sql in [
        "UPDATE ledger_entries SET card_pan = 'z' WHERE id = 1",
        "UPDATE merchants SET name = 'z' WHERE id = 1",
        "INSERT INTO ledger_entries (id, card_pan) VALUES (9, 'z')",
        "INSERT OR REPLACE INTO ledger_entries (id, status) VALUES (1, 'z')",
        "INSERT INTO merchants (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET api_key = 'z'",
        "INSERT INTO ledger_entries DEFAULT VALUES",
        "UPDATE ledger_entries SET status = (SELECT api_key FROM merchants) WHERE id = 1",
        "UPDATE ledger_entries SET status = card_pan WHERE id = 1",
    ] {
        assert!(check(sql, &profile).is_err(), "{sql}");
        let (changed, _) = effect(&mut db, sql).unwrap_or_else(|no| panic!("{sql}\n{no}"));
        assert!(changed > 0, "{sql}");
    }
}

fn condition(columns: &'static [&'static str]) -> impl Strategy<Value = String> + Clone {
    let column = prop::sample::select(columns);
    let literal = prop::sample::select(&["1", "2", "'a'", "'b'", "NULL", "true", "1.0", "id"][..]);
    let operator = prop::sample::select(&["=", "=", "=", "<>", "<=", ">", "IS", "IS NOT"][..]);
    let plain = prop_oneof![
        5 => (column.clone(), operator, literal.clone()).prop_map(|(c, o, l)| format!("{c} {o} {l}")),
        2 => (column.clone(), literal.clone(), literal.clone())
            .prop_map(|(c, a, b)| format!("{c} IN ({a}, {b})")),
        1 => (column, literal.clone(), literal).prop_map(|(c, a, b)| format!("{c} BETWEEN {a} AND {b}")),
    ];
    plain.prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            5 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} AND {b}")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} OR {b}")),
            2 => inner.clone().prop_map(|a| format!("({a})")),
            1 => inner.prop_map(|a| format!("NOT {a}")),
        ]
    })
}

/// A table, a condition that names its rows, and columns to set and to compare, mostly its own.
type Aim = (&'static str, &'static str, &'static [&'static str], &'static [&'static str]);

const AIMS: [Aim; 5] = [
    (
        "ledger_entries",
        "id = 1",
        &["status", "status", "amount_cents", "card_pan", "id"],
        &["id", "status", "status", "merchant_id", "card_pan"],
    ),
    (
        "ledger_entries",
        "id IN (2, 3)",
        &["status", "merchant_id", "amount_cents", "status"],
        &["id", "ID", "amount_cents", "status", "created_at"],
    ),
    ("notes", "code = 'a'", &["text", "text", "secret"], &["code", "code", "text"]),
    (
        "lines",
        "code IN ('a', 'b') AND nr = 1",
        &["text", "text", "text", "nr"],
        &["code", "nr", "nr"],
    ),
    ("merchants", "id = 1", &["name", "api_key"], &["id", "name"]),
];

fn write() -> impl Strategy<Value = String> {
    let value = prop::sample::select(
        &[
            "'q'",
            "'r'",
            "7",
            "NULL",
            "5 + 1",
            "amount_cents + 1",
            "status",
            "card_pan",
            "lower('Q')",
        ][..],
    );
    let of = move |(table, named, columns, compared): Aim| {
        let (column, value) = (prop::sample::select(columns), value.clone());
        let set = (column.clone(), value.clone())
            .prop_map(|(column, value)| format!("{column} = {value}"));
        let row =
            prop::collection::vec(value, 1..3).prop_map(|row| format!("({})", row.join(", ")));
        let condition = prop_oneof![
            3 => Just(format!(" WHERE {named}")),
            3 => condition(compared).prop_map(move |more| format!(" WHERE {named} AND {more}")),
            3 => condition(compared).prop_map(|condition| format!(" WHERE {condition}")),
            1 => Just(String::new()),
        ];
        prop_oneof![
            4 => (prop::collection::vec(set, 1..3), condition.clone())
                .prop_map(move |(set, condition)| format!("UPDATE {table} SET {}{condition}", set.join(", "))),
            2 => condition.prop_map(move |condition| format!("DELETE FROM {table}{condition}")),
            2 => (prop::collection::vec(column, 1..3), prop::collection::vec(row, 1..5))
                .prop_map(move |(columns, rows)| {
                    format!("INSERT INTO {table} ({}) VALUES {}", columns.join(", "), rows.join(", "))
                }),
        ]
    };
    prop::sample::select(&AIMS[..]).prop_flat_map(of)
}

#[test]
fn a_write_that_passes_changes_no_more_than_was_counted() {
    let db = Connection::open_in_memory().unwrap();
    db.execute_batch(SCHEMA).unwrap();
    let (db, profile) = (std::cell::RefCell::new(db), writable(Dialect::Sqlite));
    let (ran, wild) = (Cell::new(0), Cell::new(0));
    each(write(), 6_000, |sql| {
        let effect = effect(&mut db.borrow_mut(), &sql);
        match (check(&sql, &profile), effect) {
            (Ok(facts), Ok((changed, columns))) => {
                ran.set(ran.get() + usize::from(changed > 0));
                let counted = usize::try_from(facts.rows.unwrap()).unwrap();
                assert!(changed <= counted, "{sql}: {changed} rows, {facts:?}");
                assert!(columns.iter().all(|place| SETTABLE.contains(place)), "{sql}: {columns:?}");
            }
            (Err(_), Ok((changed, columns))) => {
                let foreign = columns.iter().any(|place| !SETTABLE.contains(place));
                wild.set(wild.get() + usize::from(changed > 3 || foreign));
            }
            (Ok(_) | Err(_), Err(_)) => {}
        }
    });
    println!("{} changed something, {} wild ones were refused", ran.get(), wild.get());
    // The negative control: both sides of the comparison were reached, often.
    assert!(ran.get() > 100 && wild.get() > 100, "{} ran, {} wild", ran.get(), wild.get());
}
