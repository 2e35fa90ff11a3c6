//! The project's own statements, for when no corpus is given.

use atf_agent::gate::sql::Dialect;

use super::Case;

/// Of all kinds of nodes that the gate allows, and, as the control, what it must refuse.
const STATEMENTS: [&str; 40] = [
    "SELECT id FROM merchants LIMIT 5",
    "SELECT count(*) FROM merchants LIMIT 5",
    "SELECT \"id\", name AS x FROM merchants m WHERE m.id IN (1, 2) ORDER BY x DESC LIMIT 5 OFFSET 1",
    "SELECT m.name, (SELECT count(*) FROM ledger_entries e WHERE e.merchant_id = m.id) AS n FROM \
     merchants m ORDER BY n DESC LIMIT 5",
    "WITH a AS (SELECT id FROM merchants), b AS (SELECT id FROM a) SELECT id FROM b LIMIT 5",
    "SELECT a.id FROM merchants a JOIN merchants b USING (id) LIMIT 5",
    "SELECT x.k FROM (SELECT id AS k FROM ledger_entries) x LEFT JOIN (SELECT id AS k FROM merchants) y \
     ON x.k = y.k LIMIT 5",
    "SELECT id FROM merchants UNION SELECT id FROM ledger_entries ORDER BY id LIMIT 5",
    "SELECT id FROM merchants EXCEPT SELECT merchant_id FROM ledger_entries LIMIT 5",
    "SELECT sum(id) OVER w FROM merchants WINDOW w AS (ORDER BY name) LIMIT 5",
    "SELECT merchant_id, sum(amount_cents) AS s FROM ledger_entries GROUP BY 1 HAVING count(*) > 1 ORDER \
     BY s DESC LIMIT 5",
    "SELECT date_trunc('month', created_at), sum(amount_cents) FROM ledger_entries GROUP BY 1 LIMIT 5",
    "SELECT CASE WHEN status LIKE 'o%' THEN upper(status) ELSE coalesce(status, '') END FROM \
     ledger_entries WHERE (id, status) IN ((1, 'open')) LIMIT 5",
    "SELECT max(id) FILTER (WHERE name IS NOT NULL) FROM merchants LIMIT 5",
    "SELECT amount_cents::numeric / 100 FROM ledger_entries WHERE created_at >= date '2026-01-10' LIMIT 5",
    "SELECT id FROM ledger_entries WHERE created_at > '2026-01-01'::timestamptz - interval '1 day' LIMIT 5",
    "SELECT id FROM ledger_entries WHERE amount_cents BETWEEN 10 AND 90 AND NOT status = 'void' LIMIT 5",
    "SELECT id FROM merchants WHERE EXISTS (SELECT e.id FROM ledger_entries e WHERE e.merchant_id = \
     merchants.id) LIMIT 5",
    "SELECT id FROM merchants WHERE id = ANY (SELECT merchant_id FROM ledger_entries) LIMIT 5",
    "SELECT DISTINCT ON (merchant_id) merchant_id, id FROM ledger_entries ORDER BY merchant_id, id LIMIT 5",
    "SELECT name FROM merchants WHERE name = ''' OR 1=1 --' LIMIT 5",
    "SELECT lower(name) || '-' || upper(name) FROM merchants LIMIT 5",
    "SELECT avg(amount_cents), min(created_at) FROM ledger_entries WHERE status IS DISTINCT FROM 'x' LIMIT 5",
    "SELECT id FROM merchants WHERE id = 'x' LIMIT 5",
    "SELECT api_key FROM merchants LIMIT 5",
    "SELECT * FROM merchants LIMIT 5",
    "SELECT m FROM merchants m LIMIT 5",
    "SELECT id FROM merchants ORDER BY tax_id LIMIT 5",
    "SELECT id FROM merchants m(a, b, id) LIMIT 5",
    "SELECT token FROM agent_credentials LIMIT 5",
    "SELECT id FROM merchants UNION ALL SELECT id FROM agent_credentials LIMIT 5",
    "SELECT id FROM merchants WHERE id IN (SELECT id FROM agent_credentials) LIMIT 5",
    "SELECT (SELECT token FROM agent_credentials LIMIT 1) FROM merchants LIMIT 5",
    "WITH merchants AS (SELECT id, token AS name FROM agent_credentials) SELECT name FROM merchants LIMIT 5",
    "SELECT rolname FROM pg_roles LIMIT 5",
    "SELECT relname FROM pg_class LIMIT 5",
    "SELECT table_name FROM information_schema.tables LIMIT 5",
    "SELECT x FROM pg_ls_dir('.') AS x LIMIT 5",
    "SELECT n FROM generate_series(1, 5) n LIMIT 5",
    "SELECT id FROM merchants, LATERAL (SELECT token FROM agent_credentials) t LIMIT 5",
];

/// The statements as cases.
pub(super) fn cases() -> impl Iterator<Item = Case> {
    STATEMENTS.into_iter().enumerate().map(|(nth, sql)| Case {
        id: format!("own-{:02}", nth + 1),
        dialect: Dialect::Postgres,
        sql: sql.to_owned(),
    })
}
