//! R16: what writes may be, row by row. Each refused statement stands beside one that passes.

#![expect(clippy::too_many_lines, reason = "a test is its rows")]

use super::super::{Class, DeleteGrant, Dialect, InsertGrant, KeyKind, Rule, SqlFacts, SqlProfile};
use super::super::{SqlRefusal, UpdateGrant, check};
use super::rows::{ANY, MYSQL, POSTGRES, SQLITE};
use super::{ALL, ledger_of};
use Rule::{R2, R3, R5, R6, R8, R9, R16};

fn names(names: &[&str]) -> std::collections::BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn key(columns: &[(&str, KeyKind)]) -> std::collections::BTreeMap<String, KeyKind> {
    columns.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect()
}

/// The ledger's policy, with writes: entries by their number, notes by their text, lines by both.
pub(super) fn writable(dialect: Dialect) -> SqlProfile {
    let table = str::to_owned;
    let by_id = key(&[("id", KeyKind::Integer)]);
    let entries =
        InsertGrant { columns: names(&["merchant_id", "amount_cents", "status"]), rows_max: 3 };
    let update = |set: &[&str], key, rows_max| UpdateGrant { set: names(set), key, rows_max };
    SqlProfile {
        insert: [(table("ledger_entries"), entries)].into(),
        update: [
            (table("ledger_entries"), update(&["status", "amount_cents"], by_id.clone(), 2)),
            (table("notes"), update(&["text"], key(&[("code", KeyKind::Text)]), 1)),
            (
                table("lines"),
                update(&["text"], key(&[("code", KeyKind::Text), ("nr", KeyKind::Integer)]), 4),
            ),
        ]
        .into(),
        delete: [(table("ledger_entries"), DeleteGrant { key: by_id, rows_max: 1 })].into(),
        ..ledger_of(dialect)
    }
}

fn judge(dialect: Dialect, sql: &str) -> Result<SqlFacts, SqlRefusal> {
    super::rewrite::both(sql, &writable(dialect))
}

/// Statements that pass, in all dialects, and the most rows that they change.
const GOOD: &[(&str, Class, u64)] = &[
    (INSERT, Class::Insert, 1),
    (
        "insert into ledger_entries (status, amount_cents) values ('a', 1), ('b', 2 * 3), (NULL, -4);",
        Class::Insert,
        3,
    ),
    (
        "INSERT INTO ledger_entries (status) VALUES (lower('OPEN')), (CASE WHEN 1 = 1 THEN 'a' END)",
        Class::Insert,
        2,
    ),
    (UPDATE, Class::Update, 1),
    (
        "UPDATE ledger_entries SET status = 'a', amount_cents = amount_cents + 5 WHERE id = 1",
        Class::Update,
        1,
    ),
    ("UPDATE ledger_entries SET status = 'a' WHERE id IN (1, 2)", Class::Update, 2),
    ("UPDATE ledger_entries SET status = 'a' WHERE status = 'b' AND id = 7", Class::Update, 1),
    (
        "UPDATE ledger_entries SET status = 'a' WHERE (id = 7) AND ((amount_cents <= -5) AND status IS \
         NOT NULL AND merchant_id NOT IN (1, 2) AND created_at IS NULL)",
        Class::Update,
        1,
    ),
    ("UPDATE ledger_entries SET status = 'a' WHERE id IN (1, 2, 3) AND id = 2", Class::Update, 1),
    ("UPDATE notes SET text = 'x' WHERE code = 'a''b'", Class::Update, 1),
    ("UPDATE lines SET text = 'x' WHERE code IN ('a', 'b') AND nr IN (1, 2)", Class::Update, 4),
    ("UPDATE lines SET text = 'x' WHERE code = 'a' AND nr IN (1, 2, 3, 4)", Class::Update, 4),
    (DELETE, Class::Delete, 1),
    ("DELETE FROM ledger_entries WHERE id = 1 AND status = 'void'", Class::Delete, 1),
];

const INSERT: &str = "INSERT INTO ledger_entries (status) VALUES ('a')";
const UPDATE: &str = "UPDATE ledger_entries SET status = 'a' WHERE id = 1";
const DELETE: &str = "DELETE FROM ledger_entries WHERE id = 1";

#[test]
fn a_granted_write_passes_with_its_rows_counted() {
    for dialect in ALL {
        for (sql, class, rows) in GOOD {
            let facts = judge(dialect, sql).unwrap_or_else(|no| panic!("{dialect:?} {sql}\n{no}"));
            assert_eq!((facts.class, facts.rows), (*class, Some(*rows)), "{dialect:?} {sql}");
        }
    }
    let facts = judge(
        Dialect::Postgres,
        "UPDATE ledger_entries SET amount_cents = amount_cents + 5 WHERE id = 1 AND status = 'a'",
    )
    .unwrap();
    assert_eq!(facts.tables, names(&["ledger_entries"]));
    assert_eq!(facts.written, names(&["ledger_entries.amount_cents"]));
    let read = ["ledger_entries.amount_cents", "ledger_entries.id", "ledger_entries.status"];
    assert_eq!(facts.columns, names(&read));
}

/// As before there were any: without a grant a write is refused by its verb.
#[test]
fn without_a_grant_nothing_is_written() {
    for dialect in ALL {
        for (sql, ..) in GOOD {
            let refusal = check(sql, &ledger_of(dialect)).unwrap_err();
            let allowed = refusal.allowed.as_str();
            assert_eq!((refusal.rule, allowed), (R3, "SELECT, WITH .. SELECT"), "{sql}");
        }
        let mut profile = writable(dialect);
        profile.delete.clear();
        assert_eq!(check(DELETE, &profile).unwrap_err().rule, R3);
        profile.select = false;
        let select = "SELECT id FROM merchants LIMIT 1";
        assert_eq!(check(select, &profile).unwrap_err().rule, R3);
        assert!(check(select, &writable(dialect)).is_ok(), "the control");
        assert!(check(UPDATE, &profile).is_ok(), "the control");
    }
}

pub(super) fn refused(rows: &[(&[Dialect], Rule, &str)]) {
    let mut wrong = Vec::new();
    for (dialects, rule, sql) in rows {
        for dialect in *dialects {
            match judge(*dialect, sql) {
                Err(refusal) if refusal.rule == *rule => {}
                Err(refusal) => wrong.push(format!("{dialect:?} {sql}\n    {refusal}")),
                Ok(facts) => wrong.push(format!("{dialect:?} {sql}\n    ALLOWED {facts:?}")),
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn an_insert_is_of_counted_rows_and_named_columns() {
    refused(&[
        (ANY, R16, "INSERT INTO ledger_entries (status) VALUES ('a'), ('b'), ('c'), ('d')"),
        (ANY, R16, "INSERT INTO ledger_entries (id) VALUES (1)"),
        (ANY, R16, "INSERT INTO ledger_entries (status, card_pan) VALUES ('a', '1')"),
        (ANY, R16, "INSERT INTO merchants (name) VALUES ('a')"),
        (ANY, R16, "INSERT INTO agent_credentials (token) VALUES ('a')"),
        (ANY, R6, "INSERT INTO public.ledger_entries (status) VALUES ('a')"),
        (ANY, R5, "INSERT INTO ledger_entries VALUES (1, 2, 3, 'a', 'b', 'c')"),
        (ANY, R16, "INSERT INTO ledger_entries (status, status) VALUES ('a', 'b')"),
        (SQLITE, R16, "INSERT INTO ledger_entries (status, STATUS) VALUES ('a', 'b')"),
        (ANY, R16, "INSERT INTO ledger_entries (status) VALUES ('a', 'b')"),
        (ANY, R16, "INSERT INTO ledger_entries (status, amount_cents) VALUES ('a', 1), ('b')"),
        // Rows that nobody can count, and what they read.
        (ANY, R16, "INSERT INTO ledger_entries (status) SELECT name FROM merchants"),
        (ANY, R16, "INSERT INTO ledger_entries (status) SELECT api_key FROM merchants LIMIT 1"),
        (ANY, R16, "INSERT INTO ledger_entries (status) (SELECT name FROM merchants)"),
        (
            ANY,
            R16,
            "INSERT INTO ledger_entries (status) VALUES ('a') UNION SELECT name FROM merchants",
        ),
        (
            ANY,
            R16,
            "INSERT INTO ledger_entries (status) VALUES ((SELECT token FROM agent_credentials))",
        ),
        (
            ANY,
            R16,
            "INSERT INTO ledger_entries (status) VALUES (lower((SELECT name FROM merchants)))",
        ),
        (
            ANY,
            R16,
            "INSERT INTO ledger_entries (amount_cents) VALUES (EXISTS (SELECT id FROM merchants))",
        ),
        (
            ANY,
            R16,
            "INSERT INTO ledger_entries (amount_cents) VALUES (1 IN (SELECT id FROM merchants))",
        ),
        (POSTGRES, R16, "INSERT INTO ledger_entries (status) TABLE merchants"),
        (ANY, R5, "INSERT INTO ledger_entries (status) VALUES ('a') LIMIT 1"),
        (ANY, R5, "INSERT INTO ledger_entries (status) VALUES ('a') ORDER BY 1"),
        (
            ANY,
            R5,
            "INSERT INTO ledger_entries (status) WITH t AS (SELECT id FROM merchants) VALUES ('a')",
        ),
        // An INSERT that changes rows that are there.
        (POSTGRES, R5, "INSERT INTO ledger_entries (status) VALUES ('a') ON CONFLICT DO NOTHING"),
        (
            SQLITE,
            R5,
            "INSERT INTO ledger_entries (status) VALUES ('a') ON CONFLICT (id) DO UPDATE SET status = 'x'",
        ),
        (
            MYSQL,
            R5,
            "INSERT INTO ledger_entries (status) VALUES ('a') ON DUPLICATE KEY UPDATE status = 'x'",
        ),
        (SQLITE, R5, "INSERT OR REPLACE INTO ledger_entries (status) VALUES ('a')"),
        (SQLITE, R5, "INSERT OR IGNORE INTO ledger_entries (status) VALUES ('a')"),
        (MYSQL, R5, "INSERT IGNORE INTO ledger_entries (status) VALUES ('a')"),
        (MYSQL, R5, "INSERT LOW_PRIORITY INTO ledger_entries (status) VALUES ('a')"),
        (MYSQL, R5, "INSERT DELAYED INTO ledger_entries (status) VALUES ('a')"),
        (ANY, R3, "REPLACE INTO ledger_entries (status) VALUES ('a')"),
        (MYSQL, R5, "INSERT INTO ledger_entries SET status = 'a'"),
        (MYSQL, R5, "INSERT INTO ledger_entries (status) VALUES ('a') AS new"),
        (MYSQL, R5, "INSERT INTO ledger_entries (status) VALUES ROW('a')"),
        (MYSQL, R5, "INSERT INTO ledger_entries (status) VALUE ('a')"),
        (MYSQL, R5, "INSERT ledger_entries (status) VALUES ('a')"),
        (POSTGRES, R5, "INSERT INTO ledger_entries AS e (status) VALUES ('a')"),
        (ANY, R5, "INSERT INTO TABLE ledger_entries (status) VALUES ('a')"),
        (ANY, R5, "INSERT INTO LOCAL ledger_entries (status) VALUES ('a')"),
        // What it gives back.
        (ANY, R5, "INSERT INTO ledger_entries (status) VALUES ('a') RETURNING card_pan"),
        (ANY, R5, "INSERT INTO ledger_entries (status) VALUES ('a') RETURNING *"),
        // Values that run or read something.
        (ANY, R5, "INSERT INTO ledger_entries DEFAULT VALUES"),
        (ANY, R8, "INSERT INTO ledger_entries (status) VALUES (DEFAULT)"),
        (ANY, R8, "INSERT INTO ledger_entries (status) VALUES (card_pan)"),
        (MYSQL, R8, "INSERT INTO ledger_entries (status, amount_cents) VALUES ('a', status)"),
        (ANY, R9, "INSERT INTO ledger_entries (status) VALUES (random())"),
        (POSTGRES, R9, "INSERT INTO ledger_entries (status) VALUES (pg_read_file('/etc/passwd'))"),
        (MYSQL, R9, "INSERT INTO ledger_entries (status) VALUES (load_file('/etc/passwd'))"),
        (ANY, R9, "INSERT INTO ledger_entries (status) VALUES (current_user)"),
        (SQLITE, R8, "INSERT INTO ledger_entries (status) VALUES (\"a\")"),
        (ANY, R2, "INSERT INTO ledger_entries (status) VALUES ('a'); DROP TABLE merchants"),
        (ANY, R2, "INSERT INTO ledger_entries (status) VALUES ('a') -- , ('b')"),
    ]);
}

#[test]
fn grants_that_name_no_row_or_column_are_refused() {
    assert_eq!(writable(Dialect::Postgres).check(), Ok(()), "the control");
    let changed = |change: fn(&mut SqlProfile)| {
        let mut profile = writable(Dialect::Postgres);
        change(&mut profile);
        profile.check()
    };
    for fault in [
        changed(|p| p.update.get_mut("notes").unwrap().key.clear()),
        changed(|p| p.update.get_mut("notes").unwrap().set.clear()),
        changed(|p| p.update.get_mut("notes").unwrap().rows_max = 0),
        changed(|p| p.update.get_mut("notes").unwrap().set.extend(["CODE".to_owned()])),
        changed(|p| p.insert.get_mut("ledger_entries").unwrap().columns.clear()),
        changed(|p| p.delete.get_mut("ledger_entries").unwrap().key.clear()),
    ] {
        assert!(fault.is_err());
    }
}
