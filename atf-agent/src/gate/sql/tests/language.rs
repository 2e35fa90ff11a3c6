//! R0 to R3 and R10: characters, tokens, statements, literals, operators, types.

use super::super::Rule::{R0, R2, R3, R4, R10};
use super::rows::{ANY, GENERIC, MYSQL, POSTGRES, Row, SQLITE, check};

const PLAIN: &str = "SELECT id FROM merchants LIMIT 5";

#[test]
fn control_characters_and_letters_outside_ascii_are_refused_unless_data() {
    let rows: &[Row] = &[
        (ANY, R0, "SELECT id FROM merchants\0 LIMIT 5", PLAIN),
        (ANY, R0, "SELECT\u{b}id FROM merchants LIMIT 5", "SELECT\tid\r\nFROM merchants LIMIT 5"),
        (
            ANY,
            R0,
            "SELECT id FROM merchants WHERE name = 'x\u{8}' LIMIT 5",
            "SELECT id FROM merchants WHERE name = 'x\t' LIMIT 5",
        ),
        (ANY, R0, "\u{feff}SELECT id FROM merchants LIMIT 5", PLAIN),
        (
            ANY,
            R0,
            "SELECT id FROM mеrchants LIMIT 5",
            "SELECT id FROM merchants WHERE name = 'mеrchants' LIMIT 5",
        ),
        (
            ANY,
            R0,
            "SELECT id FROM\u{a0}merchants LIMIT 5",
            "SELECT id FROM merchants WHERE name = '\u{a0}東京 Zoë' LIMIT 5",
        ),
        (
            ANY,
            R0,
            "SELECT id FROM merchants WHERE name = ‘x’ LIMIT 5",
            "SELECT id FROM merchants WHERE name = '‘x’' LIMIT 5",
        ),
        (
            POSTGRES,
            R2,
            "SELECT id AS \"größe\" FROM merchants LIMIT 5",
            "SELECT id AS \"total size\" FROM merchants LIMIT 5",
        ),
    ];
    check(rows);
}

#[test]
fn comments_are_refused_and_their_signs_are_data_in_literals() {
    let data = "SELECT id FROM merchants WHERE name = 'a -- /*! b */ # c' LIMIT 5";
    let rows: &[Row] = &[
        (ANY, R2, "SELECT id FROM merchants -- LIMIT 5", data),
        (ANY, R2, "SELECT/**/id FROM merchants LIMIT 5", data),
        (MYSQL, R2, "SELECT id /*!, api_key */ FROM merchants LIMIT 5", data),
        (MYSQL, R2, "SELECT id FROM merchants # x\n LIMIT 5", data),
        (MYSQL, R2, "SELECT /*+ MAX_EXECUTION_TIME(9) */ id FROM merchants LIMIT 5", data),
        (
            ANY,
            R2,
            "SELECT id FROM merchants WHERE id = 5--1 LIMIT 5",
            "SELECT id FROM merchants WHERE id = 5 - -1 LIMIT 5",
        ),
    ];
    check(rows);
}

#[test]
fn one_statement_passes_and_a_second_one_does_not() {
    let rows: &[Row] = &[
        (
            ANY,
            R2,
            "SELECT id FROM merchants LIMIT 5; DROP TABLE merchants",
            "SELECT id FROM merchants LIMIT 5;",
        ),
        (ANY, R2, "SELECT id FROM merchants LIMIT 5;;", "SELECT id FROM merchants LIMIT 5 ;\n"),
        (ANY, R2, "; DELETE FROM merchants", PLAIN),
        (ANY, R3, ";", PLAIN),
        (ANY, R3, "", PLAIN),
        (ANY, R3, " \n\t", PLAIN),
        (ANY, R3, "DROP TABLE merchants", PLAIN),
        (ANY, R3, "UPDATE merchants SET name = 'x'", PLAIN),
        (ANY, R3, "EXPLAIN SELECT id FROM merchants LIMIT 5", PLAIN),
        (ANY, R3, "PRAGMA table_info(merchants)", PLAIN),
        (ANY, R3, "VALUES (1) LIMIT 5", PLAIN),
        (ANY, R3, "TABLE merchants LIMIT 5", PLAIN),
        (ANY, R3, "FROM merchants SELECT id LIMIT 5", PLAIN),
        (ANY, R3, "SELECT id FROM merchants LIMIT 5 5", PLAIN),
        (ANY, R3, "SELECT id FROM merchants WHERE LIMIT 5", PLAIN),
        (ANY, R3, "SELECT id, FROM merchants LIMIT 5", "SELECT id, name FROM merchants LIMIT 5"),
        (
            ANY,
            R3,
            "SELECT id FROM merchants WHERE id IN agent_credentials LIMIT 5",
            "SELECT id FROM merchants WHERE id IN (SELECT merchant_id FROM ledger_entries) LIMIT 5",
        ),
    ];
    check(rows);
}

#[test]
fn quotes_are_read_as_the_dialect_reads_them() {
    let rows: &[Row] = &[
        (MYSQL, R2, "SELECT \"id\" FROM merchants LIMIT 5", "SELECT `id` FROM merchants LIMIT 5"),
        (
            POSTGRES,
            R10,
            "SELECT `id` FROM merchants LIMIT 5",
            "SELECT \"id\" FROM merchants LIMIT 5",
        ),
        (POSTGRES, R2, "SELECT [id] FROM merchants LIMIT 5", PLAIN),
        (GENERIC, R2, "SELECT \"id\" FROM merchants LIMIT 5", PLAIN),
        (
            SQLITE,
            super::super::Rule::R8,
            "SELECT id FROM merchants WHERE name = \"no_column\" LIMIT 5",
            "SELECT \"id\", [name], `id` FROM merchants LIMIT 5",
        ),
        (
            MYSQL,
            R2,
            "SELECT id FROM merchants WHERE name = 'a\\' LIMIT 5",
            "SELECT id FROM merchants WHERE name = 'a''' LIMIT 5",
        ),
        (
            GENERIC,
            R2,
            "SELECT id FROM merchants WHERE name = 'a\\b' LIMIT 5",
            "SELECT id FROM merchants WHERE name = 'a/b' LIMIT 5",
        ),
        (
            ANY,
            R2,
            "SELECT id FROM merchants WHERE name = 'a LIMIT 5",
            "SELECT id FROM merchants WHERE name = 'a' LIMIT 5",
        ),
        (
            ANY,
            R2,
            "SELECT id FROM merchants WHERE name = 'a' 'b' LIMIT 5",
            "SELECT id FROM merchants WHERE name IN ('a', 'b') LIMIT 5",
        ),
        (POSTGRES, R2, "SELECT id AS \"a\"\"b\" FROM merchants LIMIT 5", PLAIN),
        (MYSQL, R2, "SELECT id 'x' 'y' FROM merchants LIMIT 5", PLAIN),
    ];
    check(rows);
}

#[test]
fn literals_with_prefixes_and_placeholders_are_refused() {
    let text = "SELECT id FROM merchants WHERE name = 'x' LIMIT 5";
    let number = "SELECT id FROM merchants WHERE id = 1.5 OR id = .5 OR id = 1e3 LIMIT 5";
    let rows: &[Row] = &[
        (ANY, R2, "SELECT id FROM merchants WHERE name = E'x' LIMIT 5", text),
        (ANY, R2, "SELECT id FROM merchants WHERE name = N'x' LIMIT 5", text),
        (ANY, R2, "SELECT id FROM merchants WHERE name = X'78' LIMIT 5", text),
        (ANY, R10, "SELECT id FROM merchants WHERE name = U&'x' LIMIT 5", text),
        (ANY, R2, "SELECT id FROM merchants WHERE name = _utf8'x' LIMIT 5", text),
        (ANY, R2, "SELECT id FROM merchants WHERE name = $$x$$ LIMIT 5", text),
        (ANY, R2, "SELECT id FROM merchants WHERE name = $1 LIMIT 5", text),
        (ANY, R10, "SELECT id FROM merchants WHERE name = ? LIMIT 5", text),
        (ANY, R2, "SELECT id FROM merchants WHERE name = :x LIMIT 5", text),
        (ANY, R10, "SELECT id FROM merchants WHERE name = @x LIMIT 5", text),
        (ANY, R2, "SELECT id FROM merchants LIMIT 5 \\gexec", text),
        (ANY, R2, "SELECT {fn lower(name)} FROM merchants LIMIT 5", text),
        (ANY, R2, "SELECT id FROM merchants WHERE id = 0x1F LIMIT 5", number),
        (ANY, R2, "SELECT id FROM merchants WHERE id = 1_000 LIMIT 5", number),
        (ANY, R2, "SELECT id FROM merchants WHERE id=1OR id=2 LIMIT 5", number),
        (ANY, R2, "SELECT id FROM merchants WHERE id = 1.5.5 LIMIT 5", number),
        (
            MYSQL,
            super::super::Rule::R9,
            "SELECT id FROM merchants WHERE name = _utf8 'x' LIMIT 5",
            text,
        ),
    ];
    check(rows);
}

#[test]
fn operators_and_types_are_those_of_the_short_lists() {
    let plain = "SELECT id FROM merchants WHERE NOT (id*2=-1) AND name || 'x' <> 'y' LIMIT 5";
    let cast = "SELECT cast(amount_cents AS decimal(10, 2)) / 100 FROM ledger_entries LIMIT 5";
    let rows: &[Row] = &[
        (ANY, R10, "SELECT id FROM merchants WHERE id & 1 = 1 LIMIT 5", plain),
        (ANY, R10, "SELECT id FROM merchants WHERE id << 1 = 1 LIMIT 5", plain),
        (ANY, R10, "SELECT id FROM merchants WHERE name ~ '(a+)+$' LIMIT 5", plain),
        (ANY, R10, "SELECT id FROM merchants WHERE name -> 'a' = 'b' LIMIT 5", plain),
        (
            POSTGRES,
            R10,
            "SELECT id FROM merchants WHERE id!=-1 LIMIT 5",
            "SELECT id FROM merchants WHERE id>-1 AND id<>-1 AND id>=+1 AND id<-1 LIMIT 5",
        ),
        (GENERIC, R10, "SELECT id FROM merchants WHERE id!=-1 LIMIT 5", plain),
        (POSTGRES, R10, "SELECT id FROM merchants WHERE id>@-1 LIMIT 5", plain),
        (POSTGRES, R10, "SELECT id FROM merchants WHERE id>+-1 LIMIT 5", plain),
        (
            MYSQL,
            R10,
            "SELECT id FROM merchants WHERE id!=~1 LIMIT 5",
            "SELECT id FROM merchants WHERE id!=-1 AND id>-1 AND id%-2 = 0 LIMIT 5",
        ),
        (ANY, R10, "SELECT id FROM merchants WHERE id = 1 = 1 LIMIT 5", plain),
        (SQLITE, R10, "SELECT id FROM merchants WHERE name GLOB 'a*' LIMIT 5", plain),
        (POSTGRES, R10, "SELECT id FROM merchants WHERE id == 1 LIMIT 5", plain),
        (MYSQL, R10, "SELECT id FROM merchants WHERE id == 1 LIMIT 5", plain),
        (GENERIC, R10, "SELECT id FROM merchants WHERE id == 1 LIMIT 5", plain),
        (
            SQLITE,
            R10,
            "SELECT id FROM merchants WHERE id === 1 LIMIT 5",
            "SELECT id FROM merchants WHERE id == 1 OR id ==2 LIMIT 5",
        ),
        (MYSQL, R10, "SELECT id DIV 2 FROM merchants LIMIT 5", plain),
        (ANY, R10, "SELECT cast(amount_cents AS blob) FROM ledger_entries LIMIT 5", cast),
        (ANY, R10, "SELECT cast(amount_cents AS json) FROM ledger_entries LIMIT 5", cast),
        (ANY, R10, "SELECT cast(amount_cents AS evil) FROM ledger_entries LIMIT 5", cast),
        (ANY, R10, "SELECT cast(status AS char(9999999)) FROM ledger_entries LIMIT 5", cast),
        (POSTGRES, R10, "SELECT 'merchants'::regclass FROM merchants LIMIT 5", cast),
        (
            POSTGRES,
            R10,
            "SELECT id FROM ledger_entries WHERE created_at > xml '<x/>' LIMIT 5",
            "SELECT id FROM ledger_entries WHERE created_at > date '2026-01-01' - interval '7 days' \
             LIMIT 5",
        ),
        (
            MYSQL,
            R2,
            "SELECT amount_cents::int FROM ledger_entries LIMIT 5",
            "SELECT cast(amount_cents AS signed) FROM ledger_entries LIMIT 5",
        ),
        (POSTGRES, R4, "SELECT id FROM merchants ORDER BY name USING > LIMIT 5", PLAIN),
    ];
    check(rows);
}

#[test]
fn the_generic_dialect_passes_only_what_all_read_alike() {
    let rows: &[Row] = &[(
        GENERIC,
        R3,
        "SELECT id FROM merchants LIMIT 2, 5",
        "SELECT id FROM merchants LIMIT 5 OFFSET 2",
    )];
    check(rows);
}
