//! R3: the text parses, as exactly one statement of a class that the profile allows. Only the parser's
//! entries for these are used, so that none of its hundred other statements can be reached from outside.

use std::fmt;

use sqlparser::ast::{Delete, Insert, Query, Statement, Update};
use sqlparser::dialect::{Dialect, MySqlDialect, PostgreSqlDialect, SQLiteDialect};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Span, Token, TokenWithSpan, Tokenizer, Whitespace};

use super::agree;
use super::brisk::Brisk;
use super::facts::Class;
use super::lists;
use super::profile::{Engine, SqlProfile};
use super::refusal::{Rule, SqlRefusal, quote};
use super::scan::{Kind, Lexeme};
use super::walk;

/// Deepest recursion of the parser: a sub-query costs three levels, a call or a pair of parentheses
/// one; honest statements of the measured sets need eight. A level takes up to 95 KB of stack in a
/// debug build, so that all of them fit the 2 MiB of a thread.
const RECURSION_MAX: usize = 16;

/// One statement. Places in the text are no part of what is compared.
#[derive(Debug, PartialEq)]
pub(super) enum Parsed {
    Query(Box<Query>),
    Insert(Box<Insert>),
    Update(Box<Update>),
    Delete(Box<Delete>),
}

impl Parsed {
    pub(super) fn class(&self) -> Class {
        match self {
            Self::Query(_) => Class::Select,
            Self::Insert(_) => Class::Insert,
            Self::Update(_) => Class::Update,
            Self::Delete(_) => Class::Delete,
        }
    }
}

impl fmt::Display for Parsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Query(query) => query.fmt(f),
            Self::Insert(insert) => insert.fmt(f),
            Self::Update(update) => update.fmt(f),
            Self::Delete(delete) => delete.fmt(f),
        }
    }
}

/// How the tree has its literals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Literals {
    /// As what they mean.
    Read,
    /// As they are written, with each quote twice: the parser's printer takes a pair of quotes for one that
    /// is written so, and would print less than it was given.
    Written,
}

/// Parses scanned text.
pub(super) fn parse(
    text: &str,
    lexemes: &[Lexeme<'_>],
    (profile, literals): (&SqlProfile, Literals),
    engine: Engine,
) -> Result<Parsed, SqlRefusal> {
    let class = class(lexemes, profile)?;
    let dialect: &dyn Dialect = match engine {
        Engine::Postgres => &Brisk(PostgreSqlDialect {}),
        Engine::Mysql => &Brisk(MySqlDialect {}),
        Engine::Sqlite => &Brisk(SQLiteDialect {}),
    };
    let unread = |detail: String| {
        SqlRefusal::new(Rule::R3, None, "a text that does not parse", "one SELECT")
            .with_detail(detail)
    };
    // Room for a space behind each.
    let mut tokens = Vec::with_capacity(2 * lexemes.len());
    Tokenizer::new(dialect, text)
        .tokenize_with_location_into_buf(&mut tokens)
        .map_err(|error| unread(error.to_string()))?;
    let mut tokens = part_signs(tokens);
    agree::agree(lexemes, &tokens)?;
    tokens.retain(|TokenWithSpan { token, span: _ }| !is_gap(token));
    if literals == Literals::Written {
        tokens.iter_mut().for_each(write_out);
    }
    // What is printed has to be whole, and a write is known by how many keys it names.
    if class == Class::Select && profile.rewrite.is_none() {
        walk::cap_list(lists::shorten(&mut tokens), profile)?;
    }

    let mut parser =
        Parser::new(dialect).with_recursion_limit(RECURSION_MAX).with_tokens_with_locations(tokens);
    let statement = statement(&mut parser, class).map_err(|error| unread(error.to_string()))?;
    let mut rest = parser.next_token();
    // The scanner lets `;` stand at the very end alone.
    if rest.token == Token::SemiColon {
        rest = parser.next_token();
    }
    if rest.token == Token::EOF {
        Ok(statement)
    } else {
        Err(SqlRefusal::new(
            Rule::R3,
            agree::position(rest.span),
            format!("{} behind the query", quote(&rest.token.to_string())),
            "one SELECT and nothing behind it",
        ))
    }
}

/// White space that says nothing to the parser, which asks of line ends alone: whether one parts two texts.
pub(super) fn is_gap(token: &Token) -> bool {
    matches!(token, Token::Whitespace(Whitespace::Space | Whitespace::Tab))
}

fn write_out(TokenWithSpan { token, span: _ }: &mut TokenWithSpan) {
    if let Token::SingleQuotedString(text) = token {
        *text = text.replace('\'', "''");
    }
}

/// PostgreSQL ends an operator of these characters before a sign, `a>-1` as `a > -1`; the parser's
/// tokenizer makes one of the two.
fn part_signs(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    if tokens.iter().all(|token| two(token).is_none()) {
        return tokens;
    }
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

/// Reads a statement of this class. A query's nesting needs the stack, so that nothing of the writes is
/// in its frame.
fn statement(parser: &mut Parser<'_>, class: Class) -> Result<Parsed, ParserError> {
    match class {
        Class::Select => parser.parse_query().map(Parsed::Query),
        Class::Insert => insert(parser),
        Class::Update => update(parser),
        Class::Delete => delete(parser),
    }
}

fn insert(parser: &mut Parser<'_>) -> Result<Parsed, ParserError> {
    let verb = parser.next_token();
    match parser.parse_insert(verb)? {
        Statement::Insert(insert) => Ok(Parsed::Insert(Box::new(insert))),
        _ => Err(another()),
    }
}

fn update(parser: &mut Parser<'_>) -> Result<Parsed, ParserError> {
    let verb = parser.next_token();
    match parser.parse_update(verb)? {
        Statement::Update(update) => Ok(Parsed::Update(Box::new(update))),
        _ => Err(another()),
    }
}

fn delete(parser: &mut Parser<'_>) -> Result<Parsed, ParserError> {
    let verb = parser.next_token();
    match parser.parse_delete(verb)? {
        Statement::Delete(delete) => Ok(Parsed::Delete(Box::new(delete))),
        _ => Err(another()),
    }
}

/// What it is instead is not printed: printing recurses, and a chain may be long.
fn another() -> ParserError {
    ParserError::ParserError("another statement than its verb says".to_owned())
}

/// The class that the verb says, when the profile allows it. Other statements are named by their verb,
/// which says more than a parser's error.
fn class(lexemes: &[Lexeme<'_>], profile: &SqlProfile) -> Result<Class, SqlRefusal> {
    let classes = [
        ("select", Class::Select, profile.select),
        ("with", Class::Select, profile.select),
        ("insert", Class::Insert, !profile.insert.is_empty()),
        ("update", Class::Update, !profile.update.is_empty()),
        ("delete", Class::Delete, !profile.delete.is_empty()),
    ];
    let allowed = classes.iter().filter(|(_, _, is_allowed)| *is_allowed);
    let no = |at, found| {
        let verbs = allowed.clone().map(|(verb, _, _)| match *verb {
            "with" => "WITH .. SELECT".to_owned(),
            verb => verb.to_ascii_uppercase(),
        });
        Err(SqlRefusal::new(Rule::R3, at, found, verbs.collect::<Vec<_>>().join(", ")))
    };
    // A query may stand in parentheses, a write may not.
    let first = lexemes.iter().find(|lexeme| lexeme.kind != Kind::Open);
    let Some(first) = first else {
        return no(None, "no statement".to_owned());
    };
    let found = allowed.clone().find(|(verb, ..)| first.text.eq_ignore_ascii_case(verb));
    match found {
        Some((_, class @ Class::Select, _)) => Ok(*class),
        Some((_, class, _)) if lexemes.first().is_some_and(|lexeme| lexeme.kind == Kind::Word) => {
            Ok(*class)
        }
        Some(_) | None => no(Some(first.at), quote(first.text)),
    }
}
