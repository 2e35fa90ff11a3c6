//! The SQL step: may this text run under this profile? Deny by default, by the rules of [`Rule`]. Nothing here
//! talks to a database. Where the profile asks for it, the canonical print is sent in the text's place.
//!
//! The text is read twice before its tree is trusted: by our own strict scanner and by `sqlparser`,
//! which must agree on every token. Then every node of the tree is matched by name, with every
//! field named, so that a new kind of node in the parser breaks the build instead of passing. At
//! the end every word must have been read by the walk or be a known keyword.
//!
//! Not the only layer: views, synonyms and rewrite rules behind an allowed name are invisible to any
//! reader of text, so the database role must be limited as well.

mod agree;
mod aliases;
mod brisk;
mod expr;
mod facts;
mod from;
mod functions;
mod grants;
mod joins;
mod keyed;
mod leftover;
mod limit;
mod lists;
mod literals;
mod names;
mod operators;
mod order;
mod parse;
mod profile;
mod query;
mod refusal;
mod rewrite;
mod scan;
mod scope;
mod second;
mod select;
mod text;
mod types;
mod walk;
mod wildcards;
mod windows;
mod with;
mod writes;

#[cfg(any(test, fuzzing))]
#[allow(clippy::unwrap_used, reason = "what does not hold ends a test, and a target")]
pub(in crate::gate) mod promises;
#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub use facts::{Class, SqlFacts};
pub use grants::{DeleteGrant, InsertGrant, KeyKind, UpdateGrant};
pub use profile::{Dialect, Rewrite, SqlProfile};
pub use refusal::{Position, Rule, SqlRefusal};

use parse::{Literals, Parsed};
use profile::Engine;
use walk::Walk;

/// A statement that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// What it does.
    pub facts: SqlFacts,
    /// What is to be sent in its place, where the profile asks for that.
    pub canonical: Option<String>,
}

/// What an allowed statement does, for who sends nothing: see [`judge`].
///
/// # Errors
/// As [`judge`].
pub fn check(text: &str, profile: &SqlProfile) -> Result<SqlFacts, SqlRefusal> {
    judge(text, profile).map(|passed| passed.facts)
}

/// Judges one statement.
///
/// The generic dialect is the strictest: a text passes only if PostgreSQL, MySQL and SQLite would
/// each pass it and all three give the same facts, and the same canonical text.
///
/// # Errors
/// The first rule that the text breaks, in the order of the rules as far as the text could be read.
pub fn judge(text: &str, profile: &SqlProfile) -> Result<Passed, SqlRefusal> {
    match profile.dialect {
        Dialect::Postgres => guarded(text, profile, Engine::Postgres),
        Dialect::Mysql => guarded(text, profile, Engine::Mysql),
        Dialect::Sqlite => guarded(text, profile, Engine::Sqlite),
        Dialect::Generic => {
            let passed = guarded(text, profile, Engine::Postgres)?;
            for engine in [Engine::Mysql, Engine::Sqlite] {
                let other = guarded(text, profile, engine)?;
                let differs = |rule, found| {
                    let allowed = "one that postgres, mysql and sqlite read alike";
                    Err(SqlRefusal::new(rule, None, found, allowed))
                };
                if other.facts != passed.facts {
                    return differs(Rule::R1, "a statement that databases read differently");
                }
                if other.canonical != passed.canonical {
                    return differs(Rule::R13, "a statement with two prints");
                }
            }
            Ok(passed)
        }
    }
}

/// A panic of the parser is a refusal like any other.
fn guarded(text: &str, profile: &SqlProfile, engine: Engine) -> Result<Passed, SqlRefusal> {
    // Nothing outlives the closure but its result, so no broken invariant can be seen afterwards.
    catch_unwind(AssertUnwindSafe(|| pass(text, profile, engine))).unwrap_or_else(|_| {
        Err(SqlRefusal::new(
            Rule::R3,
            None,
            "a text that the parser failed on",
            "one SELECT that it can read",
        ))
    })
}

/// The life of a statement: it is read and judged, printed where that is asked for, and read once more by a second
/// parser where that is.
fn pass(text: &str, profile: &SqlProfile, engine: Engine) -> Result<Passed, SqlRefusal> {
    let read = read(text, profile, engine)?;
    let canonical = match profile.rewrite {
        None => None,
        Some(Rewrite::Canonical) => Some(rewrite::canonical(text, &read, profile, engine)?),
    };
    if profile.second_parser {
        second::agree(text, &read.facts)?;
        if let Some(canonical) = &canonical {
            second::agree(canonical, &read.facts)?;
            second::same(text, canonical)?;
        }
    }
    Ok(Passed { facts: read.facts, canonical })
}

/// What was read, and that the rules allow it.
#[derive(Debug)]
struct Read {
    statement: Parsed,
    facts: SqlFacts,
    /// Levels of the tree, left-deep chains counted too.
    levels: u32,
}

/// Guard, scan, parse, walk, account for every word.
fn read(text: &str, profile: &SqlProfile, engine: Engine) -> Result<Read, SqlRefusal> {
    text::guard(text)?;
    let lexemes = scan::scan(text, engine)?;
    let statement = parse::parse(text, &lexemes, (profile, Literals::Read), engine)?;
    let mut walk = Walk::new(profile, engine);
    walk.statement(&statement)?;
    leftover::account(&lexemes, walk.seen(), statement.class())?;
    let (facts, levels) = walk.into_facts();
    Ok(Read { statement, facts, levels })
}
