//! Plain good SQL, as honest clients write it: each statement passes. A refusal of one of these costs a task, and
//! teaches its operator to widen the policy.

use super::rows::{ANY, MYSQL, POSTGRES, SQLITE};
use super::{Dialect, judge};

fn pass(dialects: &[Dialect], statements: &[&str]) {
    for dialect in dialects {
        for sql in statements {
            if let Err(refusal) = judge(*dialect, sql) {
                panic!("{dialect:?} refuses {sql}\n{refusal} {:?}", refusal.detail);
            }
        }
    }
}

const EVERYWHERE: &[&str] = &[
    "SELECT id, merchant_id, amount_cents, status, created_at FROM ledger_entries LIMIT 1000",
    "SELECT x.id FROM (SELECT id, amount_cents FROM ledger_entries ORDER BY amount_cents LIMIT 5000) AS x \
     LIMIT 10",
    "SELECT id FROM ledger_entries WHERE amount_cents > 0 AND amount_cents <= 1000 OR status <> \
     'x' LIMIT 10",
    "SELECT id FROM ledger_entries WHERE status IS NOT NULL LIMIT 10",
    "SELECT id FROM ledger_entries WHERE status NOT IN ('a', 'b') LIMIT 10",
    "SELECT id FROM ledger_entries WHERE amount_cents NOT BETWEEN 1 AND 2 LIMIT 10",
    "SELECT id FROM merchants WHERE name NOT LIKE '%x%' LIMIT 10",
    "SELECT id FROM merchants WHERE lower(name) = 'acme' LIMIT 10",
    "SELECT id FROM merchants WHERE lower(name) LIKE lower('%Acme%') LIMIT 10",
    "SELECT id FROM ledger_entries ORDER BY created_at DESC, id ASC LIMIT 10",
    "SELECT id FROM ledger_entries ORDER BY 1 LIMIT 10",
    "SELECT id, amount_cents FROM ledger_entries ORDER BY 2 DESC, 1 LIMIT 10 OFFSET 10",
    "SELECT status, count(*) FROM ledger_entries GROUP BY status LIMIT 10",
    "SELECT status, count(*) AS n FROM ledger_entries GROUP BY status ORDER BY n DESC LIMIT 10",
    "SELECT status, count(*) n FROM ledger_entries GROUP BY status ORDER BY count(*) DESC LIMIT \
     10",
    "SELECT status, count(*) AS n FROM ledger_entries GROUP BY status HAVING count(*) > 5 ORDER \
     BY n DESC LIMIT 10",
    "SELECT status, count(*) FROM ledger_entries GROUP BY 1 LIMIT 10",
    "SELECT merchant_id, status, sum(amount_cents) FROM ledger_entries GROUP BY merchant_id, \
     status LIMIT 10",
    "SELECT Count(id), SUM(amount_cents), Avg(amount_cents), MIN(id), mAX(id) FROM \
     ledger_entries LIMIT 1",
    "SELECT sum(amount_cents) / 100.0 AS dollars FROM ledger_entries LIMIT 1",
    "SELECT sum(CASE WHEN status = 'failed' THEN 1 ELSE 0 END) AS failed FROM ledger_entries \
     LIMIT 1",
    "SELECT CASE status WHEN 'a' THEN 1 WHEN 'b' THEN 2 END AS c FROM ledger_entries LIMIT 1",
    "SELECT coalesce(sum(amount_cents), 0) FROM ledger_entries WHERE merchant_id = 5 LIMIT 1",
    "SELECT coalesce(status, 'none', 'x') FROM ledger_entries LIMIT 1",
    "SELECT m.name, e.amount_cents FROM merchants m JOIN ledger_entries e ON e.merchant_id = \
     m.id LIMIT 10",
    "SELECT m.name, e.amount_cents FROM merchants AS m INNER JOIN ledger_entries AS e ON m.id = \
     e.merchant_id WHERE e.status = 'open' ORDER BY e.amount_cents DESC LIMIT 10",
    "SELECT merchants.name, ledger_entries.id FROM merchants JOIN ledger_entries ON \
     merchants.id = ledger_entries.merchant_id LIMIT 10",
    "SELECT m.name, count(e.id) AS n FROM merchants m LEFT JOIN ledger_entries e ON \
     e.merchant_id = m.id GROUP BY m.id, m.name ORDER BY n DESC LIMIT 10",
    "SELECT m.name FROM merchants m LEFT OUTER JOIN ledger_entries e ON e.merchant_id = m.id \
     WHERE e.id IS NULL LIMIT 10",
    "SELECT m.name, e.id FROM merchants m, ledger_entries e WHERE m.id = e.merchant_id LIMIT 10",
    "SELECT a.id, b.id FROM ledger_entries a JOIN ledger_entries b ON a.merchant_id = \
     b.merchant_id AND a.id < b.id LIMIT 10",
    "SELECT m.id FROM merchants m CROSS JOIN ledger_entries e LIMIT 10",
    "SELECT name FROM merchants WHERE id IN (SELECT merchant_id FROM ledger_entries GROUP BY \
     merchant_id HAVING sum(amount_cents) > 100000) LIMIT 10",
    "SELECT name FROM merchants WHERE id NOT IN (SELECT merchant_id FROM ledger_entries WHERE \
     merchant_id IS NOT NULL) LIMIT 10",
    "SELECT m.name FROM merchants m WHERE NOT EXISTS (SELECT 1 FROM ledger_entries e WHERE \
     e.merchant_id = m.id) LIMIT 10",
    "SELECT m.name FROM merchants m WHERE EXISTS (SELECT e.id FROM ledger_entries e WHERE \
     e.merchant_id = m.id AND e.status = 'failed') ORDER BY m.name LIMIT 10",
    "SELECT id FROM ledger_entries WHERE amount_cents = (SELECT max(amount_cents) FROM \
     ledger_entries) LIMIT 10",
    "SELECT id FROM ledger_entries WHERE amount_cents > (SELECT avg(amount_cents) FROM \
     ledger_entries) LIMIT 10",
    "SELECT e.id FROM ledger_entries e WHERE e.amount_cents > (SELECT avg(x.amount_cents) FROM \
     ledger_entries x WHERE x.merchant_id = e.merchant_id) LIMIT 10",
    "SELECT name, (SELECT sum(amount_cents) FROM ledger_entries WHERE merchant_id = \
     merchants.id) AS total FROM merchants LIMIT 10",
    "SELECT t.status, t.n FROM (SELECT status, count(*) AS n FROM ledger_entries GROUP BY \
     status) t WHERE t.n > 10 ORDER BY t.n LIMIT 10",
    "SELECT status, n FROM (SELECT status, count(*) AS n FROM ledger_entries GROUP BY status) t \
     WHERE n > 10 LIMIT 10",
    "SELECT avg(total) FROM (SELECT merchant_id, sum(amount_cents) AS total FROM ledger_entries \
     GROUP BY merchant_id) AS totals LIMIT 1",
    "WITH totals AS (SELECT merchant_id, sum(amount_cents) AS total FROM ledger_entries GROUP \
     BY merchant_id) SELECT merchant_id, total FROM totals WHERE total > 100 ORDER BY total \
     DESC LIMIT 10",
    "WITH open AS (SELECT id, merchant_id FROM ledger_entries WHERE status = 'open') SELECT \
     m.name, count(o.id) FROM merchants m JOIN open o ON o.merchant_id = m.id GROUP BY m.name \
     LIMIT 10",
    "WITH a AS (SELECT id, name FROM merchants), b AS (SELECT merchant_id, count(*) AS n FROM \
     ledger_entries GROUP BY merchant_id) SELECT a.name, b.n FROM a LEFT JOIN b ON \
     b.merchant_id = a.id ORDER BY b.n DESC LIMIT 10",
    "SELECT id FROM merchants UNION ALL SELECT merchant_id FROM ledger_entries LIMIT 10",
    "SELECT id FROM merchants UNION SELECT merchant_id FROM ledger_entries ORDER BY 1 LIMIT 10",
    "SELECT id, name FROM merchants UNION ALL SELECT id, status FROM ledger_entries ORDER BY id \
     LIMIT 10",
    "SELECT id FROM merchants EXCEPT SELECT merchant_id FROM ledger_entries LIMIT 10",
    "SELECT id FROM merchants INTERSECT SELECT merchant_id FROM ledger_entries LIMIT 10",
    "SELECT 'high' AS band, count(*) AS n FROM ledger_entries WHERE amount_cents > 1000 UNION \
     ALL SELECT 'low', count(*) FROM ledger_entries WHERE amount_cents <= 1000 LIMIT 2",
    "SELECT id FROM ledger_entries WHERE created_at >= '2024-01-01' AND created_at < \
     '2024-02-01' LIMIT 100",
    "SELECT id FROM ledger_entries WHERE created_at BETWEEN '2024-01-01 00:00:00' AND \
     '2024-01-31 23:59:59' LIMIT 100",
    "SELECT id FROM ledger_entries WHERE (status = 'a' OR status = 'b') AND NOT amount_cents < \
     0 LIMIT 100",
    "SELECT id, amount_cents * 2 + 1 - 3, -amount_cents, amount_cents / 7 FROM ledger_entries \
     LIMIT 100",
    "SELECT id FROM ledger_entries WHERE amount_cents % 2 = 0 LIMIT 100",
    "SELECT id AS entry, status AS state FROM ledger_entries AS le WHERE le.id > 5 LIMIT 10",
    "SELECT le.id FROM ledger_entries le WHERE le.status = 'x' ORDER BY le.id DESC LIMIT 10",
    "SELECT DISTINCT merchant_id, status FROM ledger_entries ORDER BY merchant_id LIMIT 10",
    "SELECT id FROM ledger_entries WHERE amount_cents > 1e3 LIMIT 5",
    "SELECT id FROM ledger_entries WHERE amount_cents > 1.5 LIMIT 5",
    "SELECT id FROM ledger_entries WHERE amount_cents >= -100 LIMIT 5",
    "SELECT id FROM merchants WHERE name = '' LIMIT 5",
    "SELECT id FROM merchants WHERE name = 'SELECT * FROM agent_credentials' LIMIT 5",
    "SELECT id FROM merchants WHERE name = 'it''s; -- /* not */ # a comment' LIMIT 5",
    "SELECT id FROM merchants WHERE name = '100% \"quoted\" `tick` [b] $1 :x ?' LIMIT 5",
    "SELECT id FROM merchants WHERE name = '😀 emoji' LIMIT 5",
    "SELECT id FROM merchants WHERE id IN (1,2,3,4,5,6,7,8,9,10) LIMIT 10",
    "SELECT id FROM merchants WHERE NOT (NOT (id = 1)) LIMIT 10",
    "SELECT (id) FROM merchants WHERE ((id = 1)) LIMIT 10",
    "SELECT ((id) + (1)) AS nxt FROM merchants LIMIT 10",
    "SELECT max(amount_cents) - min(amount_cents) AS spread FROM ledger_entries LIMIT 1",
    "SELECT status, avg(amount_cents) FROM ledger_entries WHERE merchant_id = 3 GROUP BY status \
     HAVING avg(amount_cents) > 10 AND count(*) > 1 LIMIT 10",
    "SELECT sum(amount_cents) FROM ledger_entries WHERE status = 'settled' AND merchant_id IN \
     (SELECT id FROM merchants WHERE name LIKE 'A%') LIMIT 1",
    "SELECT x.id FROM (SELECT id FROM (SELECT id, status FROM ledger_entries) y WHERE y.status \
     = 'a') x LIMIT 5",
    "SELECT 1 AS one, id FROM merchants LIMIT 5",
    "SELECT 'x' AS label, id FROM merchants LIMIT 5",
    "SELECT id FROM merchants WHERE 1 = 1 LIMIT 5",
    "SELECT id FROM ledger_entries WHERE amount_cents > merchant_id LIMIT 5",
    "SELECT count(*), count(status), count(DISTINCT status) FROM ledger_entries LIMIT 1",
    "SELECT min(created_at), max(created_at) FROM ledger_entries LIMIT 1",
    "SELECT id FROM ledger_entries LIMIT 1000 OFFSET 0",
    "SELECT cast(amount_cents AS char(10)) FROM ledger_entries LIMIT 5",
    "SELECT sum(amount_cents) OVER (PARTITION BY merchant_id ORDER BY id) AS running FROM \
     ledger_entries LIMIT 5",
    "SELECT id, sum(amount_cents) OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) \
     AS r FROM ledger_entries LIMIT 5",
    "SELECT id, count(*) OVER () AS total FROM ledger_entries LIMIT 5",
    "SELECT id, avg(amount_cents) OVER w FROM ledger_entries WINDOW w AS (PARTITION BY status) \
     LIMIT 5",
    "SELECT e1.id FROM ledger_entries e1 WHERE e1.amount_cents >= 100 AND e1.merchant_id IN \
     (SELECT m.id FROM merchants m WHERE m.id = e1.merchant_id) LIMIT 5",
    "SELECT m.name FROM merchants m JOIN (SELECT merchant_id, max(amount_cents) AS top FROM \
     ledger_entries GROUP BY merchant_id) t ON t.merchant_id = m.id WHERE t.top > 1000 LIMIT 5",
    "SELECT m.name, e.status FROM ledger_entries e JOIN merchants m ON m.id = e.merchant_id \
     JOIN merchants m2 ON m2.id <> m.id LIMIT 5",
    "SELECT m.id FROM merchants m RIGHT JOIN ledger_entries e ON e.merchant_id = m.id LIMIT 5",
    "SELECT id FROM ledger_entries JOIN (SELECT id AS mid FROM merchants) x ON x.mid = \
     ledger_entries.merchant_id LIMIT 5",
    "SELECT id AS day FROM ledger_entries LIMIT 5",
    "SELECT id AS value FROM ledger_entries LIMIT 5",
    "SELECT id AS count FROM ledger_entries LIMIT 5",
    "SELECT id AS first FROM ledger_entries LIMIT 5",
    "SELECT id AS key_no FROM ledger_entries LIMIT 5",
    "SELECT id AS time FROM ledger_entries LIMIT 5",
    "SELECT id FROM merchants JOIN (SELECT id FROM ledger_entries) e USING (id) LIMIT 5",
    "SELECT m.name FROM merchants m JOIN ledger_entries e USING (id) LIMIT 5",
    "SELECT id FROM merchants WHERE id>=1 AND id<=-1 OR id<>2 LIMIT 5",
    "SELECT id FROM merchants WHERE name IN('a','b') LIMIT 5",
    "SELECT count(*)FROM merchants LIMIT 1",
    "SELECT (id)FROM merchants LIMIT 1",
    "SELECT a.id FROM merchants a JOIN ledger_entries b ON a.id=b.merchant_id LIMIT 5",
    "SELECT id FROM ledger_entries WHERE amount_cents>.5 LIMIT 5",
    "SELECT id FROM ledger_entries WHERE amount_cents > 5. LIMIT 5",
    "SELECT id FROM ledger_entries WHERE amount_cents > 1E-3 LIMIT 5",
    "SELECT id FROM ledger_entries WHERE amount_cents > 1e+3 LIMIT 5",
    "SELECT sum(amount_cents)/100 FROM ledger_entries LIMIT 1",
    "SELECT sum(amount_cents)/count(*) FROM ledger_entries LIMIT 1",
    "SELECT amount_cents*-1 FROM ledger_entries LIMIT 1",
    "SELECT -(amount_cents) FROM ledger_entries LIMIT 1",
    "SELECT amount_cents+merchant_id*2 FROM ledger_entries LIMIT 1",
    "SELECT e.id,e.status FROM ledger_entries e WHERE e.status='a' ORDER BY e.id DESC LIMIT 5 \
     OFFSET 5",
    "SELECT status FROM ledger_entries GROUP BY status HAVING count(*)>5 LIMIT 5",
    "SELECT CASE WHEN amount_cents>0 THEN 'credit' ELSE 'debit' END AS kind FROM ledger_entries \
     LIMIT 5",
    "SELECT CASE WHEN amount_cents > 0 THEN 'credit' ELSE 'debit' END AS kind, count(*) FROM \
     ledger_entries GROUP BY CASE WHEN amount_cents > 0 THEN 'credit' ELSE 'debit' END LIMIT 5",
    "SELECT CASE WHEN amount_cents > 0 THEN 'credit' ELSE 'debit' END AS kind, count(*) FROM \
     ledger_entries GROUP BY 1 LIMIT 5",
    "SELECT kind, count(*) FROM (SELECT CASE WHEN amount_cents > 0 THEN 'credit' ELSE 'debit' \
     END AS kind FROM ledger_entries) t GROUP BY kind LIMIT 5",
    "SELECT count(*) AS n FROM ledger_entries e JOIN merchants m ON m.id = e.merchant_id AND \
     m.name LIKE 'A%' WHERE e.status IN ('a') AND e.amount_cents BETWEEN 1 AND 5 LIMIT 1",
    "SELECT m.id, m.name, coalesce(t.n, 0) AS n FROM merchants m LEFT JOIN (SELECT merchant_id, \
     count(*) AS n FROM ledger_entries WHERE status = 'failed' GROUP BY merchant_id) t ON \
     t.merchant_id = m.id ORDER BY n DESC, m.name LIMIT 50",
    "SELECT m.name, max(e.created_at) AS last_seen FROM merchants m JOIN ledger_entries e ON \
     e.merchant_id = m.id GROUP BY m.name HAVING max(e.created_at) < '2024-01-01' ORDER BY \
     last_seen LIMIT 50",
    "SELECT a.merchant_id FROM ledger_entries a WHERE a.amount_cents = (SELECT \
     max(b.amount_cents) FROM ledger_entries b WHERE b.merchant_id = a.merchant_id) LIMIT 5",
    "SELECT id FROM ledger_entries WHERE merchant_id = (SELECT id FROM merchants WHERE name = \
     'Acme') LIMIT 5",
    "SELECT id FROM ledger_entries WHERE merchant_id = (SELECT id FROM merchants WHERE name = \
     'Acme' LIMIT 1) LIMIT 5",
    "WITH t AS (SELECT id FROM merchants LIMIT 10) SELECT id FROM t LIMIT 5",
    "SELECT x.id FROM (SELECT id FROM merchants ORDER BY name LIMIT 10) x LIMIT 5",
    "WITH a AS (SELECT merchant_id, sum(amount_cents) AS s FROM ledger_entries GROUP BY \
     merchant_id), b AS (SELECT avg(s) AS mean FROM a) SELECT a.merchant_id FROM a, b WHERE a.s \
     > b.mean LIMIT 5",
    "WITH a AS (SELECT merchant_id, sum(amount_cents) AS s FROM ledger_entries GROUP BY \
     merchant_id) SELECT merchant_id FROM a WHERE s > (SELECT avg(s) FROM a) LIMIT 5",
    "SELECT DISTINCT e.status FROM ledger_entries e WHERE e.merchant_id IN (SELECT m.id FROM \
     merchants m WHERE m.name LIKE 'A%' OR m.name LIKE 'B%') ORDER BY e.status LIMIT 5",
    "SELECT count(*) AS count FROM merchants LIMIT 1",
    "SELECT id FROM merchants WHERE name LIKE '%' || 'a' LIMIT 5",
    "SELECT id FROM merchants WHERE name = lower('ACME') LIMIT 5",
    "SELECT id FROM merchants WHERE NOT EXISTS (SELECT 1 FROM ledger_entries WHERE \
     ledger_entries.merchant_id = merchants.id AND status = 'failed') LIMIT 5",
    "SELECT count(id) * 1.0 / 5 FROM merchants LIMIT 1",
    "SELECT id FROM ledger_entries WHERE status = 'a' AND (amount_cents > 5 OR (merchant_id = 3 \
     AND NOT (created_at < '2024-01-01'))) LIMIT 5",
    "SELECT id FROM ledger_entries WHERE status IN (SELECT status FROM ledger_entries GROUP BY \
     status HAVING count(*) > 3) LIMIT 5",
    "SELECT m.id FROM merchants m INNER JOIN ledger_entries e ON m.id = e.merchant_id LEFT JOIN \
     ledger_entries f ON f.merchant_id = m.id AND f.id <> e.id LIMIT 5",
    "SELECT u.id FROM (SELECT id FROM merchants UNION ALL SELECT merchant_id FROM \
     ledger_entries) u ORDER BY u.id LIMIT 5",
    "SELECT id FROM merchants WHERE id IN (SELECT merchant_id FROM ledger_entries UNION SELECT \
     id FROM ledger_entries) LIMIT 5",
    "SELECT status, min(amount_cents), max(amount_cents), avg(amount_cents), sum(amount_cents), \
     count(*) FROM ledger_entries WHERE created_at >= '2024-01-01' GROUP BY status ORDER BY \
     sum(amount_cents) DESC LIMIT 20",
    "SELECT e.id AS id, e.status AS status FROM ledger_entries e LIMIT 5",
    "SELECT name FROM merchants WHERE name > 'M' AND name < 'N' LIMIT 5",
    "SELECT id FROM ledger_entries WHERE status LIKE 'set_led' AND status NOT LIKE 'x%' LIMIT 5",
    "SELECT id FROM ledger_entries WHERE CASE WHEN status = 'a' THEN amount_cents ELSE 0 END > \
     5 LIMIT 5",
    "SELECT sum(amount_cents * CASE WHEN status = 'refunded' THEN -1 ELSE 1 END) FROM \
     ledger_entries LIMIT 1",
    "SELECT id FROM ledger_entries ORDER BY CASE WHEN status = 'failed' THEN 0 ELSE 1 END, id \
     LIMIT 5",
    "SELECT id, status FROM ledger_entries ORDER BY lower(status) DESC LIMIT 5",
    "SELECT merchant_id FROM ledger_entries GROUP BY merchant_id ORDER BY sum(amount_cents) \
     DESC LIMIT 5",
    "SELECT lower(status), count(*) FROM ledger_entries GROUP BY lower(status) LIMIT 5",
    "SELECT id FROM ledger_entries WHERE amount_cents IN (1, -2, 3.5) LIMIT 5",
    "SELECT id FROM merchants WHERE name IS NOT NULL AND name <> '' ORDER BY name ASC LIMIT 999",
];

const IN_POSTGRES: &[&str] = &[
    "SELECT id FROM ledger_entries WHERE created_at >= '2024-01-01'::date LIMIT 5",
    "SELECT id FROM ledger_entries WHERE created_at >= '2024-01-01'::timestamp LIMIT 5",
    "SELECT id FROM ledger_entries WHERE created_at >= '2024-01-01'::timestamptz LIMIT 5",
    "SELECT id FROM ledger_entries WHERE created_at >= TIMESTAMPTZ '2024-01-01 00:00:00+00' \
     LIMIT 5",
    "SELECT id FROM ledger_entries WHERE created_at >= CAST('2024-01-01' AS timestamp with time \
     zone) LIMIT 5",
    "SELECT id FROM ledger_entries WHERE created_at > DATE '2024-01-31' - INTERVAL '7 days' \
     LIMIT 5",
    "SELECT id FROM ledger_entries WHERE created_at > '2024-01-31'::date - interval '1 month' \
     LIMIT 5",
    "SELECT id FROM ledger_entries WHERE created_at > '2024-01-31'::date - '1 month'::interval \
     LIMIT 5",
    "SELECT created_at::date AS day, sum(amount_cents) FROM ledger_entries GROUP BY \
     created_at::date ORDER BY day LIMIT 31",
    "SELECT created_at::date, sum(amount_cents) FROM ledger_entries GROUP BY 1 ORDER BY 1 LIMIT \
     31",
    "SELECT date_trunc('day', created_at) AS d, count(*) FROM ledger_entries GROUP BY 1 ORDER \
     BY 1 LIMIT 31",
    "SELECT date_trunc('month', created_at)::date AS m, sum(amount_cents)::numeric / 100 AS usd \
     FROM ledger_entries GROUP BY 1 LIMIT 12",
    "SELECT amount_cents::numeric(12,2) / 100 FROM ledger_entries LIMIT 5",
    "SELECT amount_cents::float8, amount_cents::double precision, id::text, id::bigint, \
     id::varchar(20) FROM ledger_entries LIMIT 5",
    "SELECT CAST(amount_cents AS numeric) / 100 FROM ledger_entries LIMIT 5",
    "SELECT CAST(amount_cents AS decimal(10, 2)) FROM ledger_entries LIMIT 5",
    "SELECT name || ' (' || id::text || ')' AS label FROM merchants LIMIT 5",
    "SELECT id FROM merchants WHERE name ILIKE '%acme%' LIMIT 5",
    "SELECT id FROM merchants WHERE name NOT ILIKE '%acme%' LIMIT 5",
    "SELECT DISTINCT ON (merchant_id) merchant_id, id, amount_cents FROM ledger_entries ORDER \
     BY merchant_id, created_at DESC LIMIT 5",
    "SELECT id FROM ledger_entries ORDER BY amount_cents DESC NULLS FIRST LIMIT 5",
    "SELECT id FROM ledger_entries OFFSET 5 LIMIT 10",
    "SELECT id FROM ledger_entries LIMIT 10 OFFSET 5 ROWS",
    "SELECT id FROM ledger_entries WHERE (amount_cents > 5) IS TRUE LIMIT 5",
    "SELECT id FROM ledger_entries WHERE (amount_cents > 5) IS NOT FALSE LIMIT 5",
    "SELECT id FROM ledger_entries WHERE status IS NOT DISTINCT FROM 'a' LIMIT 5",
    "SELECT id FROM ledger_entries WHERE amount_cents > ALL (SELECT amount_cents FROM \
     ledger_entries WHERE status = 'x') LIMIT 5",
    "SELECT id FROM ledger_entries WHERE merchant_id = ANY (SELECT id FROM merchants) LIMIT 5",
    "SELECT m.name, sum(e.amount_cents) FILTER (WHERE e.status = 'settled') AS settled FROM \
     merchants m JOIN ledger_entries e ON e.merchant_id = m.id GROUP BY m.name LIMIT 5",
    "WITH x AS NOT MATERIALIZED (SELECT id FROM merchants) SELECT id FROM x LIMIT 5",
    "(SELECT id FROM merchants ORDER BY id LIMIT 5) UNION ALL (SELECT id FROM ledger_entries \
     ORDER BY id LIMIT 5) LIMIT 10",
    "SELECT id FROM Merchants LIMIT 5",
    "SELECT ID, Name FROM MERCHANTS LIMIT 5",
    "SELECT m.\"name\" AS \"Merchant Name\" FROM merchants AS m LIMIT 5",
    "SELECT id FROM ledger_entries WHERE id IN (SELECT id FROM ledger_entries UNION SELECT id \
     FROM merchants) LIMIT 5",
    "SELECT COUNT(*) FILTER (WHERE amount_cents > 0) * 100.0 / COUNT(*) AS pct FROM \
     ledger_entries LIMIT 1",
    "SELECT id FROM ledger_entries WHERE amount_cents>-1 LIMIT 5",
    "SELECT id FROM ledger_entries WHERE amount_cents=-1 LIMIT 5",
    "SELECT id FROM ledger_entries WHERE amount_cents =+1 LIMIT 5",
    "SELECT merchant_id, sum(amount_cents) AS s, avg(sum(amount_cents)) OVER () FROM \
     ledger_entries GROUP BY merchant_id LIMIT 5",
    "SELECT id, amount_cents, sum(amount_cents) OVER (PARTITION BY merchant_id ORDER BY \
     created_at RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) FROM ledger_entries LIMIT 5",
    "SELECT id FROM merchants WHERE TRUE LIMIT 5",
    "SELECT id FROM merchants WHERE id = 1 OR FALSE LIMIT 5",
    "SELECT id FROM ledger_entries WHERE amount_cents NOTNULL LIMIT 5",
    "SELECT max(date_trunc('week', created_at)) FROM ledger_entries LIMIT 1",
    "SELECT date_trunc('quarter', created_at) FROM ledger_entries LIMIT 1",
    "SELECT id FROM merchants WHERE (SELECT count(*) FROM ledger_entries e WHERE e.merchant_id \
     = merchants.id) > 3 LIMIT 5",
    "SELECT id FROM merchants WHERE name < 'b' LIMIT 1",
    "SELECT a.id FROM ledger_entries AS a, merchants AS b WHERE a.merchant_id = b.id AND b.name \
     = 'x' LIMIT 5",
    "SELECT m.name AS merchant, date_trunc('month', e.created_at) AS month, sum(e.amount_cents) \
     AS total FROM ledger_entries e JOIN merchants m ON m.id = e.merchant_id WHERE e.status = \
     'settled' AND e.created_at >= '2024-01-01' GROUP BY m.name, date_trunc('month', \
     e.created_at) ORDER BY month, total DESC LIMIT 100",
    "WITH monthly AS (SELECT merchant_id, date_trunc('month', created_at) AS m, \
     sum(amount_cents) AS s FROM ledger_entries GROUP BY merchant_id, date_trunc('month', \
     created_at)) SELECT m, max(s) FROM monthly GROUP BY m ORDER BY m LIMIT 24",
    "SELECT id FROM ledger_entries WHERE status = 'a' UNION (SELECT id FROM merchants) ORDER BY \
     id LIMIT 5",
    "SELECT id FROM ledger_entries AS \"E\" WHERE \"E\".id = 1 LIMIT 5",
    "SELECT x.\"Total\" FROM (SELECT sum(amount_cents) AS \"Total\" FROM ledger_entries) x \
     LIMIT 5",
    "SELECT \"count\"(*) FROM ledger_entries LIMIT 1",
    "SELECT id::int4, id::int8, id::smallint, id::real, true::boolean, name::char(3) FROM \
     merchants LIMIT 1",
];

const IN_MYSQL: &[&str] = &[
    "SELECT id FROM ledger_entries WHERE created_at > '2024-01-31' - INTERVAL 7 DAY LIMIT 5",
    "SELECT CAST(amount_cents AS SIGNED) FROM ledger_entries LIMIT 5",
    "SELECT CAST(amount_cents AS UNSIGNED) FROM ledger_entries LIMIT 5",
    "SELECT CAST(amount_cents AS DECIMAL(10,2)) / 100 FROM ledger_entries LIMIT 5",
    "SELECT CAST(id AS CHAR) FROM ledger_entries LIMIT 5",
    "SELECT CAST(created_at AS DATE) AS d, count(*) FROM ledger_entries GROUP BY \
     CAST(created_at AS DATE) LIMIT 5",
    "SELECT CAST(created_at AS DATETIME) FROM ledger_entries LIMIT 5",
    "SELECT status, sum(amount_cents) AS total FROM ledger_entries GROUP BY status HAVING total \
     > 100 ORDER BY total DESC LIMIT 5",
    "SELECT count(DISTINCT merchant_id, status) FROM ledger_entries LIMIT 1",
    "SELECT `m`.`name` FROM `merchants` AS `m` LIMIT 5",
    "SELECT m.name AS `Merchant Name` FROM merchants m LIMIT 5",
    "SELECT id FROM ledger_entries LIMIT 10 OFFSET 20",
    "SELECT id FROM ledger_entries WHERE status = 'a' AND id BETWEEN 1 AND 5 ORDER BY status \
     ASC LIMIT 5",
    "(SELECT id FROM merchants LIMIT 5) UNION ALL (SELECT id FROM ledger_entries LIMIT 5) LIMIT \
     10",
    "SELECT ID FROM merchants LIMIT 5",
    "SELECT m.ID, m.Name FROM merchants m LIMIT 5",
    "SELECT id FROM ledger_entries WHERE amount_cents <> 0 AND NOT status = 'x' LIMIT 5",
    "SELECT id FROM ledger_entries WHERE status IS TRUE LIMIT 5",
    "SELECT id FROM ledger_entries WHERE amount_cents > ALL (SELECT id FROM merchants) LIMIT 5",
    "SELECT DISTINCT m.id FROM merchants m INNER JOIN ledger_entries e ON m.id = e.merchant_id \
     ORDER BY m.id LIMIT 5",
];

const IN_SQLITE: &[&str] = &[
    "SELECT [id], [name] FROM [merchants] LIMIT 5",
    "SELECT `id` FROM `merchants` LIMIT 5",
    "SELECT \"id\" FROM \"merchants\" LIMIT 5",
    "SELECT ID FROM Merchants LIMIT 5",
    "SELECT CAST(amount_cents AS REAL) / 100 FROM ledger_entries LIMIT 5",
    "SELECT CAST(amount_cents AS TEXT) FROM ledger_entries LIMIT 5",
    "SELECT CAST(amount_cents AS INTEGER) FROM ledger_entries LIMIT 5",
    "SELECT name || ' ' || id FROM merchants LIMIT 5",
    "SELECT id FROM ledger_entries LIMIT 20, 10",
    "SELECT id FROM ledger_entries ORDER BY amount_cents DESC NULLS LAST LIMIT 5",
    "SELECT count(*) FILTER (WHERE status = 'a') FROM ledger_entries LIMIT 1",
    "SELECT id FROM ledger_entries WHERE status NOTNULL LIMIT 5",
    "SELECT id FROM ledger_entries WHERE status NOT NULL LIMIT 5",
    "SELECT id FROM ledger_entries WHERE status == 'a' LIMIT 5",
    "SELECT id FROM ledger_entries WHERE status IS DISTINCT FROM 'a' LIMIT 5",
    "SELECT status, count(*) AS n FROM ledger_entries GROUP BY status HAVING count(*) > 1 ORDER \
     BY n LIMIT 5",
    "SELECT id FROM merchants WHERE name = 'back\\slash' LIMIT 5",
    "SELECT sum(amount_cents) FILTER (WHERE status = 'a') OVER (ORDER BY id) FROM \
     ledger_entries LIMIT 5",
];

#[test]
fn honest_statements_pass_everywhere() {
    pass(ANY, EVERYWHERE);
}

#[test]
fn honest_statements_of_one_database_pass_there() {
    pass(POSTGRES, IN_POSTGRES);
    pass(MYSQL, IN_MYSQL);
    pass(SQLITE, IN_SQLITE);
}
