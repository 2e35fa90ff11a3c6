//! Chains that end a process by stack overflow when nothing bounds them. Each runs on a thread of
//! 2 MiB, the usual size of a worker's stack, in a build whose frames are the largest.

use super::super::Dialect;
use super::super::check;
use super::rewrite::rewriting;
use super::writes::writable;
use super::{ALL, judge};

/// The stack of a worker thread, in bytes.
const STACK_BYTES: usize = 2 * 1024 * 1024;

/// Judges the text in all dialects on a small stack; a stack overflow ends the test process.
fn judge_on_a_small_stack(text: String) -> Vec<bool> {
    std::thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(move || {
            let plain = ALL.map(|dialect| check(&text, &writable(dialect)).is_ok()).to_vec();
            // Printed and compared as well, as far as the tree may be deep for that.
            for (dialect, plain) in ALL.iter().zip(&plain) {
                let printed = check(&text, &rewriting(&writable(*dialect))).is_ok();
                assert!(*plain || !printed, "{text}");
            }
            plain
        })
        .unwrap()
        .join()
        .unwrap()
}

/// `head`, then `part` as often as the size cap lets it, then `tail`.
fn longest(head: &str, part: &str, tail: &str) -> String {
    let room = super::super::text::TEXT_BYTES_MAX - head.len() - tail.len();
    format!("{head}{}{tail}", part.repeat(room / part.len()))
}

#[test]
fn chains_at_the_size_cap_fit_a_small_stack() {
    let where_ = "SELECT id FROM merchants WHERE id = 1";
    for part in [
        " OR id = 1",
        "+1",
        "*1",
        "-1",
        " || 1",
        "::int",
        " IS NULL",
        " AND 1",
        " LIKE 1",
        " IN (1)",
        " NOT IN (1)",
        " BETWEEN 1 AND 1",
        "[1]",
        ".a",
        " NOTNULL",
        " DIV 1",
        " GLOB 1",
        " COLLATE x",
        " AT TIME ZONE 'x'",
        " = ANY (SELECT 1)",
        " IS DISTINCT FROM 1",
        "(1)",
        "!",
    ] {
        judge_on_a_small_stack(longest(where_, part, " LIMIT 5"));
    }
    for part in [
        " UNION SELECT id FROM merchants",
        " UNION ALL SELECT 1",
        " EXCEPT SELECT 1",
        ", merchants",
        " JOIN merchants",
        " CROSS JOIN merchants",
        " NATURAL JOIN merchants",
        " LEFT JOIN x ON 1",
    ] {
        judge_on_a_small_stack(longest("SELECT id FROM merchants", part, " LIMIT 5"));
    }
    judge_on_a_small_stack(longest("SELECT id FROM merchants LIMIT 1", "+1", ""));
}

#[test]
fn nests_at_the_size_cap_fit_a_small_stack() {
    for part in [
        "(",
        "-",
        "- ",
        "NOT ",
        "+",
        "CASE ",
        "CASE WHEN ",
        "EXISTS (SELECT ",
        "(SELECT ",
        "lower(",
        "cast(",
        "interval ",
        "position(",
        "position( NOT ",
        "substring(",
        "extract(day from ",
        "trim(",
        "array[",
        "x IN (",
        "INTERVAL (",
        "count(*) OVER (ORDER BY ",
        "date ",
        "DISTINCT ",
        "any(",
        "struct(",
        "map(",
        "ROW(",
        "CASE (",
        "WITH x AS (SELECT ",
    ] {
        judge_on_a_small_stack(longest("SELECT ", part, ""));
        judge_on_a_small_stack(longest("SELECT id FROM merchants WHERE ", part, ""));
        judge_on_a_small_stack(format!("SELECT {}", part.repeat(16)));
    }
    for part in ["(", "(SELECT 1 FROM ", "merchants JOIN ", "(merchants JOIN ", "LATERAL ("] {
        judge_on_a_small_stack(longest("SELECT 1 FROM ", part, ""));
        judge_on_a_small_stack(format!("SELECT 1 FROM {}", part.repeat(16)));
    }
    judge_on_a_small_stack(longest("", "(", ""));
    judge_on_a_small_stack(longest("", "WITH x AS (", ""));
}

#[test]
fn a_long_honest_chain_still_passes_on_a_small_stack() {
    let terms: Vec<String> = (0..300).map(|id| format!("id = {id}")).collect();
    let sql = format!("SELECT id FROM merchants WHERE {} LIMIT 5", terms.join(" OR "));
    assert_eq!(judge_on_a_small_stack(sql), [true; 4]);
    assert!(judge(Dialect::Sqlite, "SELECT id FROM merchants LIMIT 5").is_ok());
}

#[test]
fn writes_at_the_size_cap_fit_a_small_stack() {
    let (insert, update) =
        ("INSERT INTO ledger_entries (status) VALUES (", "UPDATE ledger_entries SET status = ");
    let by_key = " WHERE id = 1";
    for part in
        ["1+", "(", "-", "NOT ", "lower(", "CASE WHEN ", "(SELECT ", "'a' || ", "1 = 1 AND "]
    {
        judge_on_a_small_stack(longest(insert, part, "1)"));
        judge_on_a_small_stack(longest(update, part, by_key));
        judge_on_a_small_stack(longest(&format!("{update}'a' WHERE "), part, "id = 1"));
        judge_on_a_small_stack(longest("DELETE FROM ledger_entries WHERE ", part, "id = 1"));
    }
    for (head, part, tail) in [
        (insert, "1), (", "1)"),
        ("INSERT INTO ledger_entries (status", ", status", ") VALUES (1)"),
        ("UPDATE ledger_entries SET status = 1", ", status = 1", by_key),
        ("UPDATE ledger_entries SET status = 1 WHERE id = 1", " AND id = 1", ""),
        ("DELETE FROM ledger_entries WHERE id IN (1", ", 1", ")"),
        ("DELETE FROM ledger_entries WHERE id = 1", " OR id = 1", ""),
        ("INSERT INTO ledger_entries (status) VALUES (1)", " UNION SELECT 1", ""),
        ("DELETE FROM ledger_entries", " JOIN merchants ON 1 = 1", by_key),
    ] {
        judge_on_a_small_stack(longest(head, part, tail));
    }
    let long =
        longest("UPDATE ledger_entries SET status = 'a' WHERE id = 1", " AND status = 'b'", "");
    assert_eq!(judge_on_a_small_stack(long), [true; 4], "the control: a long honest chain");
}
