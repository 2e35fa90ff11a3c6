//! The executor's own tools: what SQLite itself lets through, and what is cut short or kept whole.

use super::*;

#[test]
fn sqlite_itself_lets_nothing_but_a_plain_query_through() {
    let world = World::new();
    let run = |sql: &str| world.result(world.draft("ledger.query", &json!({"sql": sql})));
    for good in [
        "SELECT * FROM merchants",
        "SELECT count(*) FROM ledger_entries",
        "SELECT m.name, sum(e.amount_cents) AS total FROM ledger_entries e
         JOIN merchants m ON m.id = e.merchant_id WHERE e.status LIKE 's%'
         GROUP BY m.name HAVING count(*) > 1 ORDER BY total DESC LIMIT 3",
        "WITH big AS (SELECT id FROM ledger_entries WHERE amount_cents > 5) SELECT count(*) FROM big",
        "SELECT id FROM merchants;",
    ] {
        assert_eq!(run(good)["isError"], false, "{good}: {}", run(good));
    }
    for bad in [
        "SELECT * FROM api_keys",
        "SELECT (SELECT secret FROM api_keys) FROM merchants",
        "SELECT name FROM sqlite_master",
        "SELECT * FROM adjustments",
        "SELECT * FROM pragma_table_info('api_keys')",
        "DELETE FROM merchants",
        "DROP TABLE merchants",
        "UPDATE merchants SET name = 'x' RETURNING name",
        "SELECT 1; DROP TABLE merchants",
        "PRAGMA query_only = 0",
        "ATTACH 'x.db' AS x",
        "VACUUM INTO '/tmp/x'",
        "BEGIN",
        "SELECT load_extension('x')",
        "SELECT randomblob(1000000000)",
        "SELECT sqlite_version()",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
        "",
        "-- nothing",
    ] {
        let result = run(bad);
        assert_eq!(result["isError"], true, "{bad}: {result}");
    }
    assert_eq!(world.amount(1), 8_019, "and nothing changed");
}

#[test]
fn a_query_is_cut_short_by_rows_and_by_time() {
    let world = World::new();
    let many = json!({"sql": "SELECT a.id FROM ledger_entries a, ledger_entries b"});
    let cut = world.result(world.draft("ledger.query", &many));
    assert_eq!(cut["structuredContent"]["truncated"], true);
    assert_eq!(cut["structuredContent"]["rows"].as_array().unwrap().len(), 1_000);

    let settings = Settings { query_timeout_ms: 50, ..Settings::default() };
    let path = world.places.state("executor").join("ledger.db");
    let ledger = ledger::Ledger::open(&path, &settings).unwrap();
    let slow = "SELECT count(*) FROM ledger_entries a, ledger_entries b, ledger_entries c,
        ledger_entries d";
    let arguments = json!({"sql": slow}).to_string();
    let outcome::Outcome::Answered(result) = ledger.query(&arguments, &|| Ok(())) else {
        panic!("no answer");
    };
    assert!(result.get().contains("interrupted"), "{result}");
}

#[test]
fn an_adjustment_is_kept_whole_or_not_at_all() {
    let world = World::new();
    let adjust = |entry: i64, cents: i64| {
        let arguments = json!({"entry_id": entry, "amount_cents": cents, "reason": "a'); DROP --"});
        world.draft("ledger.adjust", &arguments)
    };
    let before = world.amount(7);
    let result = world.result(adjust(7, 250));
    assert_eq!(result["structuredContent"]["amount_cents"], before + 250);
    assert_eq!(world.amount(7), before + 250);

    // Sealed between the first check and the commit.
    world.seals(&[0, 1]);
    assert!(world.refused(adjust(7, 1)).contains("sealed"));
    world.seals(&[]);
    for (entry, cents) in [(0, 1), (9_999, 1), (7, i64::MAX)] {
        let result = world.result(adjust(entry, cents));
        assert_eq!(result["isError"], true, "{entry} {cents}: {result}");
    }
    let extra = json!({"entry_id": 7, "amount_cents": 1, "reason": "r", "sql": "x"});
    assert_eq!(world.result(world.draft("ledger.adjust", &extra))["isError"], true);
    assert_eq!(world.amount(7), before + 250);
}
