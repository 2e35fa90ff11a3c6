//! R13: the canonical text, which is sent in the place of the one that came where the profile asks for it. It is
//! the parser's print of the judged tree, and it is sent only if it is read as the same tree, the rules allow the
//! same of it, and its own print is itself.

use super::parse::{self, Literals};
use super::profile::{Engine, SqlProfile};
use super::refusal::{Rule, SqlRefusal};
use super::{Read, scan};

/// Most levels of a tree that is printed and compared: both recurse, with some kilobytes of stack for a level in a
/// debug build. Chains of as many terms are far beyond what honest statements have.
const LEVELS_MAX: u32 = 200;

/// The print of what was `read` in `text`.
pub(super) fn canonical(
    text: &str,
    read: &Read,
    profile: &SqlProfile,
    engine: Engine,
) -> Result<String, SqlRefusal> {
    if read.levels > LEVELS_MAX {
        let found = format!("a tree of {} levels", read.levels);
        return Err(SqlRefusal::new(
            Rule::R13,
            None,
            found,
            format!("{LEVELS_MAX} levels to print"),
        ));
    }
    let canonical = print(text, profile, engine)?;
    let again = super::read(&canonical, profile, engine).map_err(|no| {
        refused("a print that the rules do not take").with_detail(format!("{canonical}: {no}"))
    })?;
    if again.statement != read.statement || again.facts != read.facts {
        return Err(refused("a print that is read as another statement").with_detail(canonical));
    }
    if print(&canonical, profile, engine)? != canonical {
        return Err(refused("a print that is printed otherwise").with_detail(canonical));
    }
    Ok(canonical)
}

fn print(text: &str, profile: &SqlProfile, engine: Engine) -> Result<String, SqlRefusal> {
    let lexemes = scan::scan(text, engine)?;
    let written = parse::parse(text, &lexemes, (profile, Literals::Written), engine)?;
    Ok(apart(&written.to_string()))
}

/// The printer leaves no space between two signs, which begin a comment then.
fn apart(print: &str) -> String {
    let (mut apart, mut within) = (String::with_capacity(print.len()), None);
    for c in print.chars() {
        match within {
            None if c == '-' && apart.ends_with('-') => apart.push(' '),
            None if matches!(c, '\'' | '"' | '`') => within = Some(c),
            None if c == '[' => within = Some(']'),
            // A quote that stands twice ends a text and begins the next one.
            Some(end) if c == end => within = None,
            None | Some(_) => {}
        }
        apart.push(c);
    }
    apart
}

pub(super) fn refused(found: &str) -> SqlRefusal {
    SqlRefusal::new(Rule::R13, None, found, "a statement whose print is read as the statement")
}
