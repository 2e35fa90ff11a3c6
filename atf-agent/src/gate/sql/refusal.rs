//! How the SQL step says no: which rule, where, what was found, what would pass.

use std::fmt;

use serde::Serialize;

use crate::call::Untrusted;

/// Longest quotation of the caller's text in a refusal, in characters: enough to recognise it.
const QUOTE_CHARS_MAX: usize = 80;

/// The rules, by their number; the writes' came last and stands before the limits. There is no R15 here: that the
/// database's role is limited too is for who sets it up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum Rule {
    /// The raw text: size, tokens, control characters, letters outside ASCII.
    R0,
    /// The dialect is the tool's, never guessed.
    R1,
    /// The tokens: no comments, no second statement, no literal that engines read differently.
    R2,
    /// It parses, as exactly one query.
    R3,
    /// Only known kinds of node.
    R4,
    /// Only known clauses.
    R5,
    /// Names: one part, the engine's case rules.
    R6,
    /// Scopes: which relation a name means.
    R7,
    /// Columns: listed ones, no wildcard, no whole row.
    R8,
    /// Functions: listed ones, also those that look like keywords.
    R9,
    /// Casts, literals and operators.
    R10,
    /// LIMIT and OFFSET.
    R11,
    /// Resources: joins, depth, branches, lists.
    R12,
    /// The canonical text, where the profile asks for it: it must be read as the text that came.
    R13,
    /// A second parser, where the profile asks for it: it must read the same.
    R14,
    /// Writes: what the profile grants, and rows that can be counted.
    R16,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A place in the text, both counted from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Position {
    /// Line.
    pub line: u64,
    /// Column, in characters.
    pub column: u64,
}

/// Why a statement is refused.
#[must_use = "a refusal has to reach the caller and the log"]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SqlRefusal {
    /// The rule that it breaks.
    pub rule: Rule,
    /// Where, when that is known.
    pub at: Option<Position>,
    /// What was found there. It may quote the caller.
    pub found: Untrusted,
    /// What would have been allowed.
    pub allowed: String,
    /// More, for the log alone: the parser's own words.
    pub detail: Option<Untrusted>,
}

impl SqlRefusal {
    pub(super) fn new(
        rule: Rule,
        at: Option<Position>,
        found: impl Into<String>,
        allowed: impl Into<String>,
    ) -> Self {
        Self { rule, at, found: Untrusted::new(found), allowed: allowed.into(), detail: None }
    }

    pub(super) fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(Untrusted::new(detail));
        self
    }
}

impl fmt::Display for SqlRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.rule)?;
        if let Some(Position { line, column }) = self.at {
            write!(f, " at line {line}, column {column}")?;
        }
        write!(f, ": found {}; allowed: {}", self.found, self.allowed)
    }
}

impl std::error::Error for SqlRefusal {}

/// The caller's text, cut to what a reader needs.
pub(super) fn quote(text: &str) -> String {
    match text.char_indices().nth(QUOTE_CHARS_MAX) {
        Some((end, _)) => format!("`{}...`", &text[..end]),
        None => format!("`{text}`"),
    }
}

/// A list for the `allowed` side.
pub(super) fn one_of<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
