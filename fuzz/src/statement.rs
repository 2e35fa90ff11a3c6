//! Statements out of the fuzzer's bytes: a byte of ASCII is itself, any other one stands for a word. So most
//! changes that the fuzzer makes change a word into another, and many statements stay ones.

/// Words of all kinds, allowed and not: one for each byte that is no ASCII.
const WORDS: [&str; 128] = [
    "SELECT",
    "FROM",
    "WHERE",
    "AND",
    "OR",
    "NOT",
    "IN",
    "EXISTS",
    "CASE",
    "WHEN",
    "THEN",
    "END",
    "JOIN",
    "LEFT",
    "ON",
    "USING",
    "NATURAL",
    "UNION",
    "ALL",
    "GROUP BY",
    "ORDER BY",
    "HAVING",
    "LIMIT",
    "OFFSET",
    "1.5",
    "WITH",
    "RECURSIVE",
    "AS",
    "DISTINCT",
    "OVER",
    "PARTITION BY",
    "FILTER",
    "LATERAL",
    "DELETE",
    "INSERT",
    "INTO",
    "FOR UPDATE",
    "merchants",
    "ledger_entries",
    "agent_credentials",
    "name",
    "api_key",
    "lower",
    "count",
    "hex",
    "current_user",
    "interval",
    "date",
    "cast",
    "int",
    "::",
    "||",
    "->",
    "'a'",
    "''",
    "\"id\"",
    "`id`",
    "[id]",
    "--",
    "/*",
    "*/",
    ":x",
    "$1",
    "@x",
    "0x1F",
    "é",
    "LIKE",
    "BETWEEN",
    "IS",
    "NULL",
    "COLLATE",
    "AT TIME ZONE",
    "ARRAY",
    "ROW",
    "ANY",
    "merchant_id",
    "amount_cents",
    "status",
    "created_at",
    "card_pan",
    "tax_id",
    "sqlite_master",
    "max",
    "min",
    "sum",
    "avg",
    "upper",
    "coalesce",
    "length",
    "WINDOW",
    "UNBOUNDED PRECEDING",
    "INTERSECT",
    "EXCEPT",
    "CROSS JOIN",
    "ESCAPE",
    "NOTNULL",
    "ILIKE",
    "IS DISTINCT FROM",
    "FULL OUTER JOIN",
    "$$",
    "/*!",
    "-- ",
    "; ",
    "x'00'",
    "@@x",
    "rowid",
    "current_date",
    "RETURNING",
    "\u{a0}",
    "\u{202e}",
    "id",
    "x",
    "e.",
    "TABLE",
    "SET",
    "UPDATE",
    "RANGE",
    "ROWS",
    "TRIM",
    "EXTRACT",
    "INTERVAL",
    "VALUES",
    "token",
    "GLOB",
    "MATCH",
    "E'a'",
    "0x1",
    "1e5",
];

/// The statement that the bytes stand for.
#[must_use]
pub fn statement(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        match byte.checked_sub(128) {
            None => text.push(char::from(*byte)),
            Some(number) => text.push_str(WORDS[usize::from(number)]),
        }
    }
    text
}

/// Bytes that stand for a statement, with a byte for each word that has one.
#[must_use]
pub fn spelled(text: &&str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), *text);
    while let Some(first) = rest.chars().next() {
        let fits = |(_, word): &(u8, &&str)| rest.starts_with(**word);
        let words = (128..=u8::MAX).zip(&WORDS).filter(fits);
        let length = match words.max_by_key(|(_, word)| word.len()) {
            Some((byte, word)) => {
                bytes.push(byte);
                word.len()
            }
            None => {
                // There is no byte for it, nor is it in any seed.
                bytes.push(u8::try_from(first).ok().filter(u8::is_ascii).unwrap_or(b' '));
                first.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    bytes
}
