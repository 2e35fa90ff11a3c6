//! The calls that are judged: a small one, a typical query and the largest that the pin takes.

use atf_agent::call::Digest;
use serde_json::{Value, json};

/// A kind of call, with other arguments each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    /// Three short arguments, no SQL.
    Small,
    /// A join of two tables.
    Typical,
    /// Three joins, a sub-query and a long list: close to the 8 KiB of the pin.
    Large,
}

impl Size {
    /// All sizes, in the order of the report.
    pub(super) const ALL: [Self; 3] = [Self::Small, Self::Typical, Self::Large];

    /// Its name in the report.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Typical => "a join",
            Self::Large => "large SQL",
        }
    }

    /// The statement of call number `i`.
    pub(super) fn sql(self, i: usize) -> Option<String> {
        match self {
            Self::Small => None,
            Self::Typical => Some(format!(
                "SELECT e.id, e.amount_cents, m.name FROM ledger_entries e \
                 JOIN merchants m ON m.id = e.merchant_id WHERE e.id = {} ORDER BY e.id LIMIT 10",
                i % 200 + 1
            )),
            Self::Large => Some(large(i)),
        }
    }

    /// The arguments of call number `i`.
    pub(super) fn arguments(self, i: usize) -> Value {
        match self.sql(i) {
            Some(sql) => json!({ "sql": sql }),
            None => json!({"entry_id": 1, "amount_cents": i % 100 + 1, "reason": "bench"}),
        }
    }

    /// The tool that is called.
    pub(super) fn tool(self) -> &'static str {
        match self {
            Self::Small => "ledger.adjust",
            Self::Typical | Self::Large => "ledger.query",
        }
    }

    /// The message of call number `i`.
    pub(super) fn message(self, i: usize, prompt: Digest) -> Vec<u8> {
        let params = json!({
            "name": self.tool(), "arguments": self.arguments(i),
            "_meta": {"io.atf/promptSha256": prompt},
        });
        let message = json!({"jsonrpc": "2.0", "id": i, "method": "tools/call", "params": params});
        message.to_string().into_bytes()
    }
}

fn large(i: usize) -> String {
    let entries = (0..450).map(|entry| (1_000_000_000 + i % 200 + entry).to_string());
    let list = entries.collect::<Vec<_>>().join(", ");
    format!(
        "SELECT m.name, e.status, count(e.id), sum(f.amount_cents) FROM ledger_entries e \
         JOIN merchants m ON m.id = e.merchant_id JOIN ledger_entries f ON f.id = e.id \
         LEFT JOIN ledger_entries g ON g.merchant_id = m.id AND g.status = 'open' \
         WHERE e.id IN ({list}) AND m.id IN (SELECT merchant_id FROM ledger_entries \
         WHERE amount_cents > 100 AND created_at >= '2026-01-01') \
         GROUP BY m.name, e.status HAVING count(e.id) > 1 ORDER BY m.name LIMIT 100"
    )
}
