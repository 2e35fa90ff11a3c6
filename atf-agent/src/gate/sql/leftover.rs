//! The closing check of R4 and R5: each word of the text was read as a name by the walk, or is a
//! keyword of an allowed clause. What the parser swallowed without a trace in its tree ends here.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::facts::Class;
use super::refusal::{Position, Rule, SqlRefusal, quote};
use super::scan::{Kind, Lexeme};

/// Keywords of the allowed clauses, types and literals, and of functions with a syntax of their own.
const KEYWORDS: &str = "
    all and any as asc at between bigint bool boolean both by case cast ceil century char character cross
    cube current date datetime day days dec decade decimal desc distinct double dow doy else end epoch
    escape except exists extract false filter first float float4 float8 floor following from full
    group grouping groups having hour hours ilike in inner int int2 int4 int8 integer intersect interval is
    join last leading left like limit materialized minute minutes month months not notnull null nulls
    numeric offset on or order outer over partition position preceding precision quarter range real
    right rollup row rows second seconds select separator sets signed smallint some substr substring text then time
    timestamp timestamptz trailing trim true unbounded union unknown unsigned using uuid varchar varying
    week weeks when where window with within without year years zone
";

/// Keywords of writes, whose values are expressions without queries.
const WRITE_KEYWORDS: &str = "
    and as bigint bool boolean both case cast ceil char character date decimal delete double else end
    extract false float floor from in insert int integer into is leading not null numeric or position precision
    real set smallint substr substring text then time timestamp trailing trim true update values varchar varying
    when where
";

/// The same, for looking one up.
static KEYWORD_SET: LazyLock<HashSet<&str>> =
    LazyLock::new(|| KEYWORDS.split_ascii_whitespace().collect());
static WRITE_KEYWORD_SET: LazyLock<HashSet<&str>> =
    LazyLock::new(|| WRITE_KEYWORDS.split_ascii_whitespace().collect());

/// Refuses a word that nobody accounts for. `seen` is sorted.
pub(super) fn account(
    lexemes: &[Lexeme<'_>],
    seen: &[Position],
    class: Class,
) -> Result<(), SqlRefusal> {
    let keywords = match class {
        Class::Select => &KEYWORD_SET,
        Class::Insert | Class::Update | Class::Delete => &WRITE_KEYWORD_SET,
    };
    for (at, lexeme) in lexemes.iter().enumerate() {
        let read = match lexeme.kind {
            Kind::Word => {
                seen.binary_search(&lexeme.at).is_ok() || {
                    let word = lexeme.text.to_ascii_lowercase();
                    keywords.contains(word.as_str())
                        && (word != "filter" || is_filter(&lexemes[at..]))
                }
            }
            Kind::Quoted => seen.binary_search(&lexeme.at).is_ok(),
            Kind::Text
            | Kind::Number
            | Kind::Open
            | Kind::Close
            | Kind::Comma
            | Kind::Period
            | Kind::Semicolon
            | Kind::Cast
            | Kind::Operator => true,
        };
        if !read {
            return Err(SqlRefusal::new(
                Rule::R5,
                Some(lexeme.at),
                format!("the word {}", quote(lexeme.text)),
                "names that resolve, and keywords of plain statements",
            ));
        }
    }
    Ok(())
}

/// Whether these begin with the clause `FILTER (WHERE`. Where they do not, the parser takes the word, and a parenthesis
/// behind it, for nothing.
fn is_filter(lexemes: &[Lexeme<'_>]) -> bool {
    match lexemes {
        [_, open, word, ..] => {
            matches!(open.kind, Kind::Open)
                && matches!(word.kind, Kind::Word)
                && word.text.eq_ignore_ascii_case("where")
        }
        _ => false,
    }
}
