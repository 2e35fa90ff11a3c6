//! R4 to R9: nodes, clauses, names, scopes, columns, functions.

#![expect(clippy::too_many_lines, reason = "a test is its rows")]

use super::super::Rule::{R3, R4, R5, R6, R7, R8, R9, R10};
use super::rows::{ANY, MYSQL, POSTGRES, Row, SQLITE, check};

const PLAIN: &str = "SELECT id FROM merchants LIMIT 5";

#[test]
fn nodes_and_clauses_that_are_not_known_are_refused() {
    let union = "SELECT id FROM merchants UNION SELECT id FROM ledger_entries LIMIT 5";
    let list = "SELECT id FROM merchants WHERE id IN (1, 2) LIMIT 5";
    let rows: &[Row] = &[
        (ANY, R4, "SELECT id FROM merchants WHERE id = (1, 2) LIMIT 5", list),
        (ANY, R4, "SELECT id FROM merchants WHERE (id, name) IN ((1, 'a')) LIMIT 5", list),
        (ANY, R4, "SELECT id FROM merchants WHERE (1, 2) = (1, 2) LIMIT 5", list),
        (POSTGRES, R4, "SELECT id FROM merchants UNION TABLE merchants LIMIT 5 LIMIT 5", union),
        (ANY, R4, "SELECT id FROM merchants UNION (VALUES (1)) LIMIT 5", union),
        (
            ANY,
            R4,
            "SELECT id FROM merchants UNION SELECT id, id FROM ledger_entries LIMIT 5",
            union,
        ),
        (ANY, R4, "SELECT id FROM merchants UNION SELECT 1 UNION SELECT 1, 2, 3 LIMIT 5", union),
        (
            ANY,
            R4,
            "WITH t AS (SELECT id FROM merchants) DELETE FROM merchants",
            "WITH t AS (SELECT id FROM merchants) SELECT id FROM t LIMIT 5",
        ),
        (
            POSTGRES,
            R4,
            "WITH t AS (DELETE FROM merchants RETURNING id) SELECT id FROM t LIMIT 5",
            "WITH t AS (SELECT id FROM merchants) SELECT id FROM t LIMIT 5",
        ),
        (POSTGRES, R4, "SELECT x FROM pg_read_file('/etc/passwd') AS x LIMIT 5", PLAIN),
        (POSTGRES, R4, "SELECT m.id FROM merchants m, LATERAL pg_ls_dir('.') f LIMIT 5", PLAIN),
        (POSTGRES, R4, "SELECT id FROM unnest(1) LIMIT 5", PLAIN),
        (
            ANY,
            R4,
            "SELECT m.id FROM merchants m NATURAL JOIN ledger_entries e LIMIT 5",
            "SELECT m.id FROM merchants m CROSS JOIN ledger_entries e LIMIT 5",
        ),
        (MYSQL, R4, "SELECT m.id FROM merchants m STRAIGHT_JOIN ledger_entries e LIMIT 5", PLAIN),
        (POSTGRES, R4, "SELECT (m).id FROM merchants m LIMIT 5", PLAIN),
        (POSTGRES, R5, "SELECT id INTO x FROM merchants LIMIT 5", PLAIN),
        (ANY, R5, "SELECT id FROM merchants LIMIT 5 FOR UPDATE", PLAIN),
        (ANY, R5, "SELECT id FROM merchants LIMIT 5 FETCH FIRST 5 ROWS ONLY", PLAIN),
        (
            ANY,
            R5,
            "SELECT x.id FROM LATERAL (SELECT id FROM merchants) x LIMIT 5",
            "SELECT x.id FROM (SELECT id FROM merchants) x LIMIT 5",
        ),
        (POSTGRES, R5, "SELECT id FROM merchants TABLESAMPLE system (5) LIMIT 5", PLAIN),
        (MYSQL, R5, "SELECT sql_no_cache id FROM merchants LIMIT 5", PLAIN),
        (MYSQL, R5, "SELECT id FROM merchants USE INDEX (x) LIMIT 5", PLAIN),
        (MYSQL, R5, "SELECT id FROM merchants GROUP BY id WITH ROLLUP LIMIT 5", PLAIN),
        (ANY, R5, "WITH RECURSIVE t AS (SELECT id FROM merchants) SELECT id FROM t LIMIT 5", PLAIN),
        (POSTGRES, R5, "SELECT FROM merchants LIMIT 5", PLAIN),
        (SQLITE, R3, "SELECT id FROM merchants NOT INDEXED LIMIT 5", PLAIN),
    ];
    check(rows);
}

#[test]
fn names_have_one_part_and_their_case() {
    let quoted = "SELECT \"id\" FROM \"merchants\" LIMIT 5";
    let rows: &[Row] = &[
        (
            ANY,
            R6,
            "SELECT id AS a123456789012345678901234567890123456789012345678901234567890123 FROM \
             merchants LIMIT 5",
            "SELECT id AS a12345678901234567890123456789012345678901234567890123456789012 FROM \
             merchants LIMIT 5",
        ),
        (ANY, R6, "SELECT id FROM evil.merchants LIMIT 5", PLAIN),
        (ANY, R6, "SELECT evil.merchants.id FROM merchants LIMIT 5", PLAIN),
        (
            ANY,
            R6,
            "SELECT evil.lower(name) FROM merchants LIMIT 5",
            "SELECT lower(name) FROM merchants LIMIT 5",
        ),
        (POSTGRES, R6, "SELECT id FROM \"Merchants\" LIMIT 5", quoted),
        (POSTGRES, R6, "SELECT \"ID\" FROM merchants LIMIT 5", quoted),
        (POSTGRES, R7, "SELECT id FROM \"public.merchants\" LIMIT 5", quoted),
        (POSTGRES, R7, "SELECT id FROM ONLY merchants LIMIT 5", "SELECT ID FROM Merchants LIMIT 5"),
        (MYSQL, R6, "SELECT id FROM Merchants LIMIT 5", "SELECT ID FROM merchants LIMIT 5"),
        (MYSQL, R6, "SELECT M.id FROM merchants m LIMIT 5", "SELECT m.ID FROM merchants m LIMIT 5"),
        (MYSQL, R6, "SELECT id 'x' FROM merchants LIMIT 5", "SELECT id x FROM merchants LIMIT 5"),
        (SQLITE, R7, "SELECT id FROM sqlite_master LIMIT 5", "SELECT Id FROM MERCHANTS LIMIT 5"),
        (ANY, R6, "SELECT id FROM 'merchants' LIMIT 5", PLAIN),
        (ANY, R6, "SELECT m.'id' FROM merchants m LIMIT 5", PLAIN),
        (
            POSTGRES,
            R6,
            "SELECT name AS \"API_KEY\" FROM merchants ORDER BY api_key LIMIT 5",
            "SELECT name AS \"API_KEY\" FROM merchants ORDER BY \"API_KEY\" LIMIT 5",
        ),
    ];
    check(rows);
}

#[test]
fn relations_are_those_in_scope() {
    let with = "WITH t AS (SELECT id FROM merchants) SELECT id FROM t LIMIT 5";
    let rows: &[Row] = &[
        (ANY, R7, "SELECT id FROM agent_credentials LIMIT 5", PLAIN),
        (
            ANY,
            R7,
            "SELECT id FROM merchants WHERE EXISTS (SELECT 1 FROM agent_credentials) LIMIT 5",
            "SELECT id FROM merchants WHERE EXISTS (SELECT 1 FROM ledger_entries) LIMIT 5",
        ),
        (
            ANY,
            R7,
            "WITH a AS (SELECT token AS id FROM agent_credentials), agent_credentials AS (SELECT id \
             FROM merchants) SELECT id FROM a LIMIT 5",
            "WITH a AS (SELECT id FROM merchants), b AS (SELECT id FROM a) SELECT id FROM b LIMIT 5",
        ),
        (ANY, R7, "WITH t AS (SELECT id FROM t) SELECT id FROM t LIMIT 5", with),
        (
            SQLITE,
            R7,
            "WITH merchants AS (SELECT id FROM merchants) SELECT id FROM merchants LIMIT 5",
            with,
        ),
        (ANY, R7, "WITH t(a) AS (SELECT id FROM merchants) SELECT a FROM t LIMIT 5", with),
        (
            ANY,
            R7,
            "WITH t AS (SELECT id FROM merchants), T AS (SELECT id FROM merchants) SELECT 1 LIMIT 5",
            with,
        ),
        (
            ANY,
            R7,
            "SELECT e.a FROM merchants AS e(a) LIMIT 5",
            "SELECT e.id FROM merchants AS e LIMIT 5",
        ),
        (
            ANY,
            R7,
            "SELECT m.api_key FROM merchants m, (SELECT id AS api_key FROM merchants) m LIMIT 5",
            "SELECT x.api_key FROM merchants m, (SELECT id AS api_key FROM merchants) x LIMIT 5",
        ),
        (
            ANY,
            R7,
            "SELECT merchants.id FROM merchants m LIMIT 5",
            "SELECT m.id FROM merchants m LIMIT 5",
        ),
        (
            ANY,
            R7,
            "SELECT id FROM merchants m, ledger_entries e LIMIT 5",
            "SELECT m.id FROM merchants m, ledger_entries e LIMIT 5",
        ),
        (
            ANY,
            R7,
            "SELECT a.id FROM merchants a JOIN merchants b ON b.id = c.id JOIN merchants c ON c.id = \
             a.id LIMIT 5",
            "SELECT a.id FROM merchants a JOIN merchants b ON b.id = a.id JOIN merchants c ON c.id = \
             b.id LIMIT 5",
        ),
        (
            ANY,
            R7,
            "SELECT m.id FROM merchants m WHERE EXISTS (SELECT 1 FROM (SELECT m.name AS n) x) LIMIT 5",
            "SELECT m.id FROM merchants m WHERE EXISTS (SELECT 1 FROM ledger_entries e WHERE \
             e.merchant_id = m.id) LIMIT 5",
        ),
    ];
    check(rows);
}

#[test]
fn columns_are_listed_wherever_they_stand() {
    let group = "SELECT merchant_id, sum(amount_cents) AS s FROM ledger_entries GROUP BY 1 ORDER BY \
                 s DESC LIMIT 5";
    let rows: &[Row] = &[
        (ANY, R8, "SELECT * FROM merchants LIMIT 5", "SELECT count(*) FROM merchants LIMIT 5"),
        (ANY, R8, "SELECT m.* FROM merchants m LIMIT 5", PLAIN),
        (
            ANY,
            R8,
            "SELECT count(m.*) FROM merchants m LIMIT 5",
            "SELECT count(m.id) FROM merchants m LIMIT 5",
        ),
        (ANY, R8, "SELECT api_key FROM merchants LIMIT 5", PLAIN),
        (ANY, R8, "SELECT m.api_key FROM merchants m LIMIT 5", PLAIN),
        (ANY, R8, "SELECT m.amount_cents FROM merchants m LIMIT 5", PLAIN),
        (ANY, R8, "SELECT x.api_key FROM (SELECT id FROM merchants) x LIMIT 5", PLAIN),
        (ANY, R8, "SELECT m FROM merchants m LIMIT 5", PLAIN),
        (ANY, R8, "SELECT coalesce(merchants) FROM merchants LIMIT 5", PLAIN),
        (ANY, R8, "SELECT m.row_to_json FROM merchants m LIMIT 5", PLAIN),
        (ANY, R8, "SELECT rowid FROM merchants LIMIT 5", PLAIN),
        (ANY, R8, "SELECT ctid FROM merchants LIMIT 5", PLAIN),
        (
            ANY,
            R8,
            "SELECT id FROM merchants WHERE api_key LIKE 'K%' LIMIT 5",
            "SELECT id FROM merchants WHERE name LIKE 'K%' LIMIT 5",
        ),
        (
            ANY,
            R8,
            "SELECT id FROM merchants ORDER BY api_key LIMIT 5",
            "SELECT id FROM merchants ORDER BY name LIMIT 5",
        ),
        (ANY, R8, "SELECT lower(name) AS api_key FROM merchants GROUP BY api_key LIMIT 5", group),
        (ANY, R8, "SELECT id AS card_pan FROM ledger_entries WHERE card_pan > 5 LIMIT 5", group),
        (ANY, R8, "SELECT id AS card_pan FROM ledger_entries ORDER BY card_pan + 1 LIMIT 5", group),
        (
            ANY,
            R8,
            "SELECT id AS x FROM merchants UNION SELECT id FROM ledger_entries ORDER BY api_key LIMIT 5",
            "SELECT id AS x FROM merchants UNION SELECT id FROM ledger_entries ORDER BY x LIMIT 5",
        ),
        (
            ANY,
            R8,
            "SELECT a.id FROM merchants a JOIN merchants b USING (api_key) LIMIT 5",
            "SELECT id FROM merchants a JOIN merchants b USING (id) LIMIT 5",
        ),
        (
            ANY,
            R8,
            "SELECT y.api_key FROM merchants m CROSS JOIN (SELECT id AS api_key FROM ledger_entries) \
             x JOIN (SELECT id AS api_key FROM merchants) y USING (api_key) LIMIT 5",
            "SELECT y.k FROM (SELECT id AS k FROM ledger_entries) x JOIN (SELECT id AS k FROM \
             merchants) y USING (k) LIMIT 5",
        ),
        (
            ANY,
            R8,
            "SELECT sum(id) OVER (PARTITION BY api_key) FROM merchants LIMIT 5",
            "SELECT sum(id) OVER (PARTITION BY name ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT \
             ROW) FROM merchants LIMIT 5",
        ),
        (
            ANY,
            R8,
            "SELECT sum(id) OVER w FROM merchants WINDOW w AS (ORDER BY api_key) LIMIT 5",
            "SELECT sum(id) OVER w FROM merchants WINDOW w AS (ORDER BY name) LIMIT 5",
        ),
        (
            ANY,
            R8,
            "SELECT m.id FROM merchants m WHERE EXISTS (SELECT 1 FROM ledger_entries e WHERE name = \
             'x') LIMIT 5",
            "SELECT m.id FROM merchants m WHERE EXISTS (SELECT 1 FROM ledger_entries e WHERE m.name \
             = 'x') LIMIT 5",
        ),
        (
            ANY,
            R8,
            "SELECT y.api_key FROM merchants m, (SELECT id AS api_key FROM ledger_entries) x JOIN \
             (SELECT id AS api_key FROM merchants) y USING (api_key) LIMIT 5",
            "SELECT y.k FROM (SELECT id AS k FROM ledger_entries) x JOIN (SELECT id AS k FROM \
             merchants) y USING (k) LIMIT 5",
        ),
        (
            SQLITE,
            R8,
            "SELECT (SELECT o.api_key FROM merchants m ORDER BY api_key LIMIT 1) FROM (SELECT id AS \
             api_key FROM ledger_entries) o LIMIT 5",
            "SELECT (SELECT o.api_key AS k FROM merchants m ORDER BY k LIMIT 1) FROM (SELECT id AS \
             api_key FROM ledger_entries) o LIMIT 5",
        ),
        (
            MYSQL,
            R8,
            "SELECT (SELECT o.api_key FROM merchants m ORDER BY api_key LIMIT 1) FROM (SELECT id AS \
             api_key FROM ledger_entries) o LIMIT 5",
            "SELECT e.id FROM ledger_entries e JOIN merchants m ON m.id = e.merchant_id ORDER BY id \
             LIMIT 5",
        ),
        (
            POSTGRES,
            R8,
            "SELECT DISTINCT ON (api_key) id FROM merchants LIMIT 5",
            "SELECT DISTINCT ON (name) id FROM merchants LIMIT 5",
        ),
    ];
    check(rows);
}

#[test]
fn functions_are_listed_also_those_that_look_like_keywords() {
    let call = "SELECT Lower(name), count(DISTINCT id) FROM merchants GROUP BY name LIMIT 5";
    let rows: &[Row] = &[
        (ANY, R9, "SELECT pg_sleep(10) FROM merchants LIMIT 5", call),
        (ANY, R9, "SELECT lower(load_file('/etc/passwd')) FROM merchants LIMIT 5", call),
        (ANY, R9, "SELECT id FROM merchants ORDER BY hex(name) LIMIT 5", call),
        (ANY, R9, "SELECT current_user FROM merchants LIMIT 5", call),
        (ANY, R9, "SELECT user FROM merchants LIMIT 5", call),
        (
            ANY,
            R9,
            "SELECT current_user FROM (SELECT id AS current_user FROM merchants) x LIMIT 5",
            "SELECT u FROM (SELECT id AS u FROM merchants) x LIMIT 5",
        ),
        (ANY, R9, "SELECT substring(name, 1, 2) FROM merchants LIMIT 5", call),
        (ANY, R9, "SELECT trim(name) FROM merchants LIMIT 5", call),
        (ANY, R9, "SELECT floor(id) FROM merchants LIMIT 5", call),
        (ANY, R9, "SELECT position('a' IN name) FROM merchants LIMIT 5", call),
        (ANY, R9, "SELECT extract(year FROM created_at) FROM ledger_entries LIMIT 5", call),
        (ANY, R9, "SELECT name COLLATE nocase FROM merchants LIMIT 5", call),
        (POSTGRES, R9, "SELECT created_at AT TIME ZONE 'UTC' FROM ledger_entries LIMIT 5", call),
        (POSTGRES, R9, "SELECT id FROM merchants WHERE name SIMILAR TO 'a' LIMIT 5", call),
        (
            POSTGRES,
            R9,
            "SELECT \"coalesce\"(name, name) FROM merchants LIMIT 5",
            "SELECT coalesce(name, name) FROM merchants LIMIT 5",
        ),
        (
            POSTGRES,
            R9,
            "SELECT \"LOWER\"(name) FROM merchants LIMIT 5",
            "SELECT \"lower\"(name) FROM merchants LIMIT 5",
        ),
        (MYSQL, R9, "SELECT `lower`(name) FROM merchants LIMIT 5", call),
        (MYSQL, R9, "SELECT id FROM merchants WHERE MATCH (name) AGAINST ('x') LIMIT 5", call),
        (
            ANY,
            R9,
            "SELECT max(id, 5) FROM merchants LIMIT 5",
            "SELECT max(id) FROM merchants LIMIT 5",
        ),
        (ANY, R9, "SELECT count() FROM merchants LIMIT 5", call),
        (
            MYSQL,
            R9,
            "SELECT count(id, name) FROM merchants LIMIT 5",
            "SELECT count(DISTINCT id, name) FROM merchants LIMIT 5",
        ),
        (MYSQL, R8, "SELECT count(DISTINCT id, api_key) FROM merchants LIMIT 5", call),
        (MYSQL, R8, "SELECT count(DISTINCT id, *) FROM merchants LIMIT 5", call),
        (SQLITE, R9, "SELECT count(DISTINCT id, name) FROM merchants LIMIT 5", call),
        (ANY, R8, "SELECT count(DISTINCT *) FROM merchants LIMIT 5", call),
        (ANY, R8, "SELECT sum(*) FROM merchants LIMIT 5", call),
        (POSTGRES, R10, "SELECT lower(x => name) FROM merchants LIMIT 5", call),
        (POSTGRES, R9, "SELECT sum(id ORDER BY id) FROM merchants LIMIT 5", call),
        (
            POSTGRES,
            R9,
            "SELECT max(0.5) WITHIN GROUP (ORDER BY id) FROM merchants LIMIT 5",
            "SELECT max(id) FILTER (WHERE name = 'x') FROM merchants LIMIT 5",
        ),
        (ANY, R3, "SELECT lower(SELECT name FROM merchants) FROM merchants LIMIT 5", call),
    ];
    check(rows);
}
