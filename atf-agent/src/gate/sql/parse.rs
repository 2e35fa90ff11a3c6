//! R3: the text parses, as exactly one query. Only the parser's entry for queries is used, so that
//! none of its hundred statements can be reached from outside.

use sqlparser::ast::Query;
use sqlparser::dialect::{Dialect, MySqlDialect, PostgreSqlDialect, SQLiteDialect};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Span, Token, TokenWithSpan, Tokenizer};

use super::agree;
use super::profile::Engine;
use super::refusal::{Rule, SqlRefusal, quote};
use super::scan::{Kind, Lexeme};

/// Deepest recursion of the parser: a sub-query costs three levels, a call or a pair of parentheses
/// one; honest statements of the measured sets need eight. A level takes up to 95 KB of stack in a
/// debug build, so that all of them fit the 2 MiB of a thread.
const RECURSION_MAX: usize = 16;

/// Parses scanned text.
pub(super) fn parse(
    text: &str,
    lexemes: &[Lexeme<'_>],
    engine: Engine,
) -> Result<Box<Query>, SqlRefusal> {
    first_word(lexemes)?;
    let dialect: &dyn Dialect = match engine {
        Engine::Postgres => &PostgreSqlDialect {},
        Engine::Mysql => &MySqlDialect {},
        Engine::Sqlite => &SQLiteDialect {},
    };
    let unread = |detail: String| {
        SqlRefusal::new(Rule::R3, None, "a text that does not parse", "one SELECT")
            .with_detail(detail)
    };
    let tokens = Tokenizer::new(dialect, text)
        .tokenize_with_location()
        .map_err(|error| unread(error.to_string()))?;
    let tokens = part_signs(tokens);
    agree::agree(lexemes, &tokens)?;

    let mut parser =
        Parser::new(dialect).with_recursion_limit(RECURSION_MAX).with_tokens_with_locations(tokens);
    let query = parser.parse_query().map_err(|error| unread(error.to_string()))?;
    let mut rest = parser.next_token();
    // The scanner lets `;` stand at the very end alone.
    if rest.token == Token::SemiColon {
        rest = parser.next_token();
    }
    if rest.token == Token::EOF {
        Ok(query)
    } else {
        Err(SqlRefusal::new(
            Rule::R3,
            agree::position(rest.span),
            format!("{} behind the query", quote(&rest.token.to_string())),
            "one SELECT and nothing behind it",
        ))
    }
}

/// PostgreSQL ends an operator of these characters before a sign, `a>-1` as `a > -1`; the parser's
/// tokenizer makes one of the two.
fn part_signs(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut parted = Vec::with_capacity(tokens.len());
    for token in tokens {
        match two(&token) {
            Some(both) => parted.extend(both),
            None => parted.push(token),
        }
    }
    parted
}

/// An operator and the sign behind it, when the token is both.
fn two(token: &TokenWithSpan) -> Option<[TokenWithSpan; 2]> {
    let TokenWithSpan { token: Token::CustomBinaryOperator(text), span } = token else {
        return None;
    };
    let (operator, sign) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let first = match operator {
        "<>" => Token::Neq,
        ">=" => Token::GtEq,
        ">" => Token::Gt,
        "-" => Token::Minus,
        _ => return None,
    };
    let second = match sign {
        "+" => Token::Plus,
        "-" => Token::Minus,
        _ => return None,
    };
    let mut between = span.start;
    between.column += operator.len() as u64;
    Some([
        TokenWithSpan { token: first, span: Span::new(span.start, between) },
        TokenWithSpan { token: second, span: Span::new(between, span.end) },
    ])
}

/// Names other statements by their verb, which says more than a parser's error.
fn first_word(lexemes: &[Lexeme<'_>]) -> Result<(), SqlRefusal> {
    let no = |at, found| Err(SqlRefusal::new(Rule::R3, at, found, "SELECT, WITH .. SELECT"));
    match lexemes.iter().find(|lexeme| lexeme.kind != Kind::Open) {
        None => no(None, "no statement".to_owned()),
        Some(first) => {
            let reads = ["select", "with"].iter().any(|verb| first.text.eq_ignore_ascii_case(verb));
            if reads { Ok(()) } else { no(Some(first.at), quote(first.text)) }
        }
    }
}
