//! R14: the grammar of PostgreSQL itself (libpg_query) reads an allowed text once more, where the profile asks
//! for it. It is asked only of what all other rules took, and can only refuse.
//!
//! The grammar is C, and is part of a build only with the feature `second-parser`; without it, a profile that
//! asks for it is no profile.

use super::facts::SqlFacts;
use super::refusal::SqlRefusal;

/// Whether this build can ask it.
pub(super) const IS_BUILT: bool = cfg!(feature = "second-parser");

/// Compares what the grammar reads with what the walk found: kind of statement, relations, functions.
#[cfg(feature = "second-parser")]
pub(super) fn agree(text: &str, facts: &SqlFacts) -> Result<(), SqlRefusal> {
    let read = pg_query::parse(text, pg_query::ParserOptions::DEFAULT).map_err(|error| {
        refused("a text that PostgreSQL does not take").with_detail(error.to_string())
    })?;
    if class(&read) != Some(facts.class) {
        return Err(refused("a statement that PostgreSQL takes for one of another kind"));
    }
    if read.tables().into_iter().collect::<std::collections::BTreeSet<_>>() != facts.tables {
        return Err(refused("relations that PostgreSQL reads otherwise"));
    }
    let known = |(name, _): &(String, _)| facts.functions.contains(ours(name));
    if !read.functions.iter().all(known) {
        return Err(refused("functions that PostgreSQL reads otherwise"));
    }
    Ok(())
}

/// Compares what the grammar makes of the text that came and of its canonical print (R13): the fingerprints, which
/// are of the trees without their literals, and its own prints of both, which have them.
#[cfg(feature = "second-parser")]
pub(super) fn same(came: &str, canonical: &str) -> Result<(), SqlRefusal> {
    let read = |text: &str| -> pg_query::Result<(String, String)> {
        let print = pg_query::parse(text, pg_query::ParserOptions::DEFAULT)?
            .deparse(pg_query::DeparseOptions::default())?;
        Ok((
            pg_query::fingerprint(
                text,
                pg_query::ParserOptions::DEFAULT,
                pg_query::FingerprintOptions::DEFAULT,
            )?
            .hex,
            print,
        ))
    };
    let differ = || super::rewrite::refused("a print that PostgreSQL reads as another statement");
    match (read(came), read(canonical)) {
        (Ok(came), Ok(canonical)) if came == canonical => Ok(()),
        (Ok(_), Ok(_)) => Err(differ()),
        (Err(error), _) | (_, Err(error)) => Err(differ().with_detail(error.to_string())),
    }
}

/// As [`agree`].
#[cfg(not(feature = "second-parser"))]
pub(super) fn same(_came: &str, _canonical: &str) -> Result<(), SqlRefusal> {
    Err(super::rewrite::refused("a print that no second parser has read"))
}

/// No profile comes here; if one did, it could have no answer but no.
#[cfg(not(feature = "second-parser"))]
pub(super) fn agree(_text: &str, _facts: &SqlFacts) -> Result<(), SqlRefusal> {
    Err(refused("a text that no second parser has read"))
}

fn refused(found: &str) -> SqlRefusal {
    super::refusal::SqlRefusal::new(
        super::refusal::Rule::R14,
        None,
        found,
        "a statement that two parsers read alike",
    )
}

/// The class of the one statement.
#[cfg(feature = "second-parser")]
fn class(read: &pg_query::ParseResult) -> Option<super::facts::Class> {
    use super::facts::Class;
    use pg_query::NodeEnum;

    let [statement] = read.protobuf.stmts.as_slice() else { return None };
    match statement.stmt.as_ref()?.node.as_ref()? {
        NodeEnum::SelectStmt(_) => Some(Class::Select),
        NodeEnum::InsertStmt(_) => Some(Class::Insert),
        NodeEnum::UpdateStmt(_) => Some(Class::Update),
        NodeEnum::DeleteStmt(_) => Some(Class::Delete),
        _ => None,
    }
}

/// The name that a profile lists for what the grammar makes of a function with a syntax of its own.
#[cfg(feature = "second-parser")]
fn ours(name: &str) -> &str {
    match name.strip_prefix("pg_catalog.") {
        Some("btrim" | "ltrim" | "rtrim") => "trim",
        Some(name) => name,
        None => name,
    }
}
