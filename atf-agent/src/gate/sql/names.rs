//! R6: names have one part and the engine's case rules. A name that differs from a known one in
//! nothing but case is refused: engines and settings disagree about whose it is.

use sqlparser::ast::{Ident, ObjectName, ObjectNamePart};

use super::agree::position;
use super::profile::Engine;
use super::refusal::{Position, Rule, SqlRefusal, quote};

/// Names that are functions where they stand without quotes and parentheses.
const NILADIC: [&str; 15] = [
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "localtime",
    "localtimestamp",
    "session_user",
    "system_user",
    "user",
    "utc_date",
    "utc_time",
    "utc_timestamp",
];

/// Of these, the ones that tell the time.
const CLOCKS: [&str; 5] =
    ["current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"];

/// Words that open a clause where an alias could stand. No honest alias needs them.
const CLAUSES: [&str; 24] = [
    "apply",
    "asof",
    "at",
    "fetch",
    "for",
    "force",
    "from",
    "ignore",
    "indexed",
    "into",
    "lateral",
    "lock",
    "not",
    "only",
    "partition",
    "pivot",
    "procedure",
    "qualify",
    "table",
    "tablesample",
    "unpivot",
    "use",
    "values",
    "with",
];

/// How two names compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Same {
    Yes,
    /// The same letters in another case.
    ButCase,
    No,
}

/// Compares names of relations: aliases, CTEs, tables.
pub(super) fn relation(key: &str, known: &str, engine: Engine) -> Same {
    match engine {
        // MySQL's depend on the server's file system, so only the exact spelling is safe there.
        Engine::Postgres | Engine::Mysql => exact(key, known),
        Engine::Sqlite => folded(key, known),
    }
}

/// Compares names of columns and of output columns.
pub(super) fn column(key: &str, known: &str, engine: Engine) -> Same {
    match engine {
        Engine::Postgres => exact(key, known),
        Engine::Mysql | Engine::Sqlite => folded(key, known),
    }
}

fn exact(key: &str, known: &str) -> Same {
    if key == known {
        Same::Yes
    } else if key.eq_ignore_ascii_case(known) {
        Same::ButCase
    } else {
        Same::No
    }
}

fn folded(key: &str, known: &str) -> Same {
    if key.eq_ignore_ascii_case(known) { Same::Yes } else { Same::No }
}

/// The name as the engine sees it: PostgreSQL folds what is not quoted.
pub(super) fn key(ident: &Ident, engine: Engine) -> String {
    let Ident { value, quote_style, span: _ } = ident;
    if engine == Engine::Postgres && quote_style.is_none() {
        value.to_ascii_lowercase()
    } else {
        value.clone()
    }
}

/// Where a name stands.
pub(super) fn place(ident: &Ident) -> Option<Position> {
    position(ident.span)
}

/// The only part of a name.
pub(super) fn one_part(name: &ObjectName) -> Result<&Ident, SqlRefusal> {
    let ObjectName(parts) = name;
    match parts.as_slice() {
        [ObjectNamePart::Identifier(ident)] => is_no_text(ident).map(|()| ident),
        [ObjectNamePart::Identifier(first), ..] => Err(SqlRefusal::new(
            Rule::R6,
            place(first),
            "a name of several parts",
            "names of one part, without schema or catalog",
        )),
        [] | [ObjectNamePart::Function(_), ..] => {
            Err(SqlRefusal::new(Rule::R6, None, "a name that is a call", "plain names"))
        }
    }
}

/// Refuses a text where a name must stand: SQLite takes it for the name, the others for an error.
pub(super) fn is_no_text(ident: &Ident) -> Result<(), SqlRefusal> {
    if ident.quote_style == Some('\'') {
        let found = format!("the text {} for a name", quote(&ident.value));
        return Err(SqlRefusal::new(Rule::R6, place(ident), found, "names, not in text quotes"));
    }
    Ok(())
}

/// Refuses names that an engine would call instead of look up.
pub(super) fn is_no_call(ident: &Ident) -> Result<(), SqlRefusal> {
    let calls = ident.quote_style.is_none()
        && NILADIC.iter().any(|name| ident.value.eq_ignore_ascii_case(name));
    if calls {
        return Err(SqlRefusal::new(
            Rule::R9,
            place(ident),
            format!("the function {}", quote(&ident.value)),
            "columns, or listed functions with parentheses",
        ));
    }
    Ok(())
}

/// Whether a name without parentheses is the time of the statement, whatever the tables have: a function that a
/// profile can list.
pub(super) fn is_clock(ident: &Ident, engine: Engine) -> bool {
    let clocks: &[&str] = match engine {
        Engine::Postgres | Engine::Mysql => &CLOCKS,
        // The others are names of columns there.
        Engine::Sqlite => &CLOCKS[..3],
    };
    ident.quote_style.is_none() && clocks.iter().any(|name| ident.value.eq_ignore_ascii_case(name))
}

/// Refuses aliases that another reader could take for a clause or a text.
pub(super) fn is_plain_alias(ident: &Ident) -> Result<(), SqlRefusal> {
    let plain = match ident.quote_style {
        None => !CLAUSES.iter().any(|word| ident.value.eq_ignore_ascii_case(word)),
        Some('"' | '`' | '[') => true,
        // MySQL takes a text for an alias.
        Some(_) => false,
    };
    if plain {
        Ok(())
    } else {
        Err(SqlRefusal::new(
            Rule::R6,
            place(ident),
            format!("the alias {}", quote(&ident.value)),
            "a name that opens no clause, not in text quotes",
        ))
    }
}

/// Refuses a name that is like a known one in all but case.
pub(super) fn differs_in_case(ident: &Ident, known: &str) -> SqlRefusal {
    SqlRefusal::new(
        Rule::R6,
        place(ident),
        format!("the name {}", quote(&ident.value)),
        format!("{}, in that case", quote(known)),
    )
}
