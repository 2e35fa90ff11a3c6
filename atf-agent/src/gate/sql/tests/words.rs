//! Words that are no names to the parser, and names to an engine: the column that such a name is need not be listed.

use rusqlite::Connection;
use rusqlite::types::Value;

use super::super::{Dialect, Rule};
use super::judge;
use super::rows::{ANY, GENERIC, MYSQL, POSTGRES, Row, SQLITE, check};

const NO_SQLITE: &[Dialect] = &[Dialect::Postgres, Dialect::Mysql];

/// Found by the fuzz target `sql`: the parser takes `FILTER` without its clause for nothing, where an engine takes it
/// for the name of the column.
#[test]
fn filter_is_a_keyword_with_its_clause_alone() {
    let clause = "SELECT max(id) FILTER (WHERE id > 1) FROM merchants LIMIT 5";
    let name = "SELECT max(id) AS x FROM merchants LIMIT 5";
    let alone = "SELECT max(id) FILTER FROM merchants LIMIT 5";
    let rows: &[Row] = &[
        (POSTGRES, Rule::R5, alone, clause),
        (SQLITE, Rule::R5, alone, clause),
        (GENERIC, Rule::R5, alone, name),
    ];
    check(rows);
}

/// The attack: `SELECT text null` is the column `text` under the name `null` in PostgreSQL, and in MySQL and
/// SQLite an alias may also be a text.
#[test]
fn a_column_and_its_alias_is_no_literal_with_its_type() {
    use Rule::R4;
    let plain = "SELECT id AS x FROM merchants LIMIT 5";
    let cast = "SELECT cast('x' AS char(5)) FROM merchants LIMIT 5";
    let rows: &[Row] = &[
        (ANY, R4, "SELECT text null FROM merchants LIMIT 5", plain),
        (ANY, R4, "SELECT date true FROM merchants LIMIT 5", plain),
        (ANY, R4, "SELECT uuid false FROM merchants LIMIT 5", plain),
        (ANY, R4, "SELECT timestamp null FROM merchants LIMIT 5", plain),
        (ANY, R4, "SELECT max(id), numeric 1 FROM merchants LIMIT 5", plain),
        (ANY, R4, "SELECT interval true day FROM merchants LIMIT 5", plain),
        (POSTGRES, R4, "SELECT interval null FROM merchants LIMIT 5", plain),
        (POSTGRES, R4, "SELECT interval 1 FROM merchants LIMIT 5", plain),
        (SQLITE, R4, "SELECT interval null FROM merchants LIMIT 5", plain),
        (SQLITE, R4, "SELECT interval '1' FROM merchants LIMIT 5", plain),
        (SQLITE, R4, "SELECT date '2026-01-01' FROM merchants LIMIT 5", plain),
        (GENERIC, R4, "SELECT date '2026-01-01' FROM merchants LIMIT 5", plain),
        (MYSQL, R4, "SELECT text 'x' FROM merchants LIMIT 5", cast),
        (GENERIC, R4, "SELECT text 'x' FROM merchants LIMIT 5", cast),
        (MYSQL, R4, "SELECT datetime 'x' FROM merchants LIMIT 5", cast),
        (MYSQL, R4, "SELECT char(65) 'x' FROM merchants LIMIT 5", cast),
        (MYSQL, R4, "SELECT time(3) 'x' FROM merchants LIMIT 5", cast),
    ];
    check(rows);
    for (dialects, text) in [
        (NO_SQLITE, "SELECT id FROM ledger_entries WHERE created_at > date '2026-01-01' LIMIT 5"),
        (NO_SQLITE, "SELECT id FROM ledger_entries WHERE created_at > time '10:00' LIMIT 5"),
        (NO_SQLITE, "SELECT timestamp '2026-01-01 10:00', id FROM merchants LIMIT 5"),
        (NO_SQLITE, "SELECT created_at + interval '1' day FROM ledger_entries LIMIT 5"),
        (POSTGRES, "SELECT text 'x', uuid 'y', interval '1 day' FROM merchants LIMIT 5"),
        (MYSQL, "SELECT created_at - interval 7 day FROM ledger_entries LIMIT 5"),
    ] {
        for dialect in dialects {
            assert!(
                judge(*dialect, text).is_ok(),
                "{dialect:?} {text}: {:?}",
                judge(*dialect, text)
            );
        }
    }
}

#[test]
fn words_that_only_some_engines_have_as_syntax_are_refused_for_the_others() {
    use Rule::R4;
    let null = "SELECT id FROM merchants WHERE name IS NULL LIMIT 5";
    let left = "SELECT m.id FROM merchants m LEFT JOIN ledger_entries e ON e.id = m.id LIMIT 5";
    let rows: &[Row] = &[
        (SQLITE, R4, "SELECT id FROM merchants WHERE name IS UNKNOWN LIMIT 5", null),
        (GENERIC, R4, "SELECT id FROM merchants WHERE name IS NOT UNKNOWN LIMIT 5", null),
        // MySQL joins `merchants AS full` here, so that the name is the outer table's.
        (
            MYSQL,
            R4,
            "SELECT (SELECT merchants.name FROM merchants full JOIN ledger_entries e ON e.id = 1 LIMIT 1) \
             FROM ledger_entries merchants LIMIT 5",
            left,
        ),
        (
            GENERIC,
            R4,
            "SELECT m.id FROM merchants m FULL OUTER JOIN ledger_entries e ON e.id = m.id LIMIT 5",
            left,
        ),
    ];
    check(rows);
    for dialect in [Dialect::Postgres, Dialect::Sqlite] {
        let full = "SELECT m.id FROM merchants m FULL JOIN ledger_entries e ON e.id = m.id LIMIT 5";
        assert!(judge(dialect, full).is_ok(), "{dialect:?}");
    }
    for dialect in NO_SQLITE {
        let unknown = "SELECT id FROM merchants WHERE (id = 1) IS UNKNOWN LIMIT 5";
        assert!(judge(*dialect, unknown).is_ok(), "{dialect:?}");
    }
}

#[test]
fn a_real_sqlite_reads_these_columns() {
    let connection = Connection::open_in_memory().unwrap();
    connection
        .execute_batch(
            "CREATE TABLE merchants (id INTEGER, name TEXT, date TEXT, text TEXT, interval TEXT, unknown TEXT);
             INSERT INTO merchants VALUES (1, 'a', 'a secret', 'a secret', 'a secret', 'a');",
        )
        .unwrap();
    for text in [
        "SELECT date '2026-01-01' FROM merchants LIMIT 5",
        "SELECT text true FROM merchants LIMIT 5",
        "SELECT interval '1 day' FROM merchants LIMIT 5",
    ] {
        let read: Value = connection.query_row(text, [], |row| row.get(0)).unwrap();
        assert_eq!(read, Value::Text("a secret".to_owned()), "{text}");
        assert!(judge(Dialect::Sqlite, text).is_err(), "{text}");
    }
    let unknown = "SELECT id FROM merchants WHERE name IS UNKNOWN LIMIT 5";
    assert_eq!(connection.query_row(unknown, [], |row| row.get::<_, i64>(0)).unwrap(), 1);
    assert!(judge(Dialect::Sqlite, unknown).is_err());
}
