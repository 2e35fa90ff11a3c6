//! The SQL step: may this text run under this profile? Deny by default, in fifteen rules (R0 to
//! R14, [`Rule`]). Nothing here talks to a database, and nothing rewrites the text.
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
mod expr;
mod facts;
mod from;
mod functions;
mod grants;
mod joins;
mod keyed;
mod leftover;
mod limit;
mod literals;
mod names;
mod operators;
mod order;
mod parse;
mod profile;
mod query;
mod refusal;
mod scan;
mod scope;
mod second;
mod select;
mod text;
mod types;
mod walk;
mod windows;
mod with;
mod writes;

#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub use facts::{Class, SqlFacts};
pub use grants::{DeleteGrant, InsertGrant, KeyKind, UpdateGrant};
pub use profile::{Dialect, SqlProfile};
pub use refusal::{Position, Rule, SqlRefusal};

use profile::Engine;
use walk::Walk;

/// Judges one statement.
///
/// The generic dialect is the strictest: a text passes only if PostgreSQL, MySQL and SQLite would
/// each pass it and all three give the same facts.
///
/// # Errors
/// The first rule that the text breaks, in the order of the rules as far as the text could be read.
pub fn check(text: &str, profile: &SqlProfile) -> Result<SqlFacts, SqlRefusal> {
    match profile.dialect {
        Dialect::Postgres => guarded(text, profile, Engine::Postgres),
        Dialect::Mysql => guarded(text, profile, Engine::Mysql),
        Dialect::Sqlite => guarded(text, profile, Engine::Sqlite),
        Dialect::Generic => {
            let facts = guarded(text, profile, Engine::Postgres)?;
            for engine in [Engine::Mysql, Engine::Sqlite] {
                if guarded(text, profile, engine)? != facts {
                    return Err(SqlRefusal::new(
                        Rule::R1,
                        None,
                        "a statement that databases read differently",
                        "one that postgres, mysql and sqlite read alike",
                    ));
                }
            }
            Ok(facts)
        }
    }
}

/// A panic of the parser is a refusal like any other.
fn guarded(text: &str, profile: &SqlProfile, engine: Engine) -> Result<SqlFacts, SqlRefusal> {
    // Nothing outlives the closure but its result, so no broken invariant can be seen afterwards.
    catch_unwind(AssertUnwindSafe(|| judge(text, profile, engine))).unwrap_or_else(|_| {
        Err(SqlRefusal::new(
            Rule::R3,
            None,
            "a text that the parser failed on",
            "one SELECT that it can read",
        ))
    })
}

/// The life of a statement: guard, scan, parse, walk, account for every word, and read it once more where that
/// is asked for.
fn judge(text: &str, profile: &SqlProfile, engine: Engine) -> Result<SqlFacts, SqlRefusal> {
    text::guard(text)?;
    let lexemes = scan::scan(text, engine)?;
    let statement = parse::parse(text, &lexemes, profile, engine)?;
    let mut walk = Walk::new(profile, engine);
    walk.statement(&statement)?;
    leftover::account(&lexemes, walk.seen(), statement.class())?;
    let facts = walk.into_facts();
    if profile.second_parser {
        second::agree(text, &facts)?;
    }
    Ok(facts)
}
