//! R2 on the parser's tokens: they must be the scanner's, one by one, in kind, place and text. What
//! only the parser's tokenizer would see (a hint, an escape, a glued word) ends here.

use sqlparser::tokenizer::{Span, Token, TokenWithSpan, Whitespace};

use super::refusal::{Position, Rule, SqlRefusal, quote};
use super::scan::{Kind, Lexeme};

/// Compares the two readings.
pub(super) fn agree(lexemes: &[Lexeme<'_>], tokens: &[TokenWithSpan]) -> Result<(), SqlRefusal> {
    let mut ours = lexemes.iter();
    for TokenWithSpan { token, span } in tokens {
        let theirs = match reading(token) {
            Reading::Nothing => continue,
            Reading::Refused => None,
            Reading::Token(kind) => Some(kind),
        };
        let same = ours.next().is_some_and(|lexeme| {
            theirs == Some(lexeme.kind)
                && position(*span) == Some(lexeme.at)
                && same_text(token, lexeme)
        });
        if !same {
            return Err(SqlRefusal::new(
                Rule::R2,
                position(*span),
                format!("{}, which can be cut in two ways", quote(&token.to_string())),
                "plain SQL with spaces between its parts",
            ));
        }
    }
    match ours.next() {
        None => Ok(()),
        Some(lexeme) => Err(SqlRefusal::new(
            Rule::R2,
            Some(lexeme.at),
            quote(lexeme.text),
            "text that every reader reads to its end",
        )),
    }
}

/// A parser's place, which is 0:0 where it has none.
pub(super) fn position(span: Span) -> Option<Position> {
    let Span { start, end: _ } = span;
    (start.line > 0).then_some(Position { line: start.line, column: start.column })
}

fn same_text(token: &Token, lexeme: &Lexeme<'_>) -> bool {
    match (token, lexeme.kind) {
        (Token::Word(word), Kind::Word) => word.value == lexeme.text,
        (Token::Word(word), Kind::Quoted) => {
            lexeme.text.get(1..lexeme.text.len() - 1) == Some(&word.value)
        }
        (Token::SingleQuotedString(value), Kind::Text) => {
            lexeme.text.len() >= 2
                && lexeme.text[1..lexeme.text.len() - 1].replace("''", "'") == *value
        }
        (Token::Number(digits, _), Kind::Number) => digits == lexeme.text,
        (Token::Neq, _) => matches!(lexeme.text, "<>" | "!="),
        // The most frequent signs, which need no text of their own to be compared.
        (Token::Comma, _) => lexeme.text == ",",
        (Token::Period, _) => lexeme.text == ".",
        (Token::LParen, _) => lexeme.text == "(",
        (Token::RParen, _) => lexeme.text == ")",
        (Token::Eq, _) => lexeme.text == "=",
        (token, _) => token.to_string() == lexeme.text,
    }
}

enum Reading {
    /// White space and the end.
    Nothing,
    Token(Kind),
    Refused,
}

/// Every kind of token by name, so that a new one has to be judged.
#[expect(clippy::too_many_lines, reason = "each kind by name")]
fn reading(token: &Token) -> Reading {
    use Reading::{Nothing, Refused};
    match token {
        Token::EOF => Nothing,
        Token::Whitespace(Whitespace::Space | Whitespace::Newline | Whitespace::Tab) => Nothing,
        Token::Whitespace(
            Whitespace::SingleLineComment { .. } | Whitespace::MultiLineComment(_),
        ) => Refused,
        Token::Word(word) if word.quote_style.is_none() => Reading::Token(Kind::Word),
        Token::Word(_) => Reading::Token(Kind::Quoted),
        // The flag is the suffix `L` of other dialects.
        Token::Number(_, long) if !long => Reading::Token(Kind::Number),
        Token::Number(..) => Refused,
        Token::SingleQuotedString(_) => Reading::Token(Kind::Text),
        Token::LParen => Reading::Token(Kind::Open),
        Token::RParen => Reading::Token(Kind::Close),
        Token::Comma => Reading::Token(Kind::Comma),
        Token::Period => Reading::Token(Kind::Period),
        Token::SemiColon => Reading::Token(Kind::Semicolon),
        Token::DoubleColon => Reading::Token(Kind::Cast),
        Token::Eq
        | Token::DoubleEq
        | Token::Neq
        | Token::Lt
        | Token::Gt
        | Token::LtEq
        | Token::GtEq
        | Token::Plus
        | Token::Minus
        | Token::Mul
        | Token::Div
        | Token::Mod
        | Token::StringConcat => Reading::Token(Kind::Operator),
        Token::Char(_)
        | Token::DoubleQuotedString(_)
        | Token::TripleSingleQuotedString(_)
        | Token::TripleDoubleQuotedString(_)
        | Token::DollarQuotedString(_)
        | Token::SingleQuotedByteStringLiteral(_)
        | Token::DoubleQuotedByteStringLiteral(_)
        | Token::TripleSingleQuotedByteStringLiteral(_)
        | Token::TripleDoubleQuotedByteStringLiteral(_)
        | Token::SingleQuotedRawStringLiteral(_)
        | Token::DoubleQuotedRawStringLiteral(_)
        | Token::TripleSingleQuotedRawStringLiteral(_)
        | Token::TripleDoubleQuotedRawStringLiteral(_)
        | Token::NationalStringLiteral(_)
        | Token::QuoteDelimitedStringLiteral(_)
        | Token::NationalQuoteDelimitedStringLiteral(_)
        | Token::EscapedStringLiteral(_)
        | Token::UnicodeStringLiteral(_)
        | Token::HexStringLiteral(_)
        | Token::Spaceship
        | Token::DuckIntDiv
        | Token::Colon
        | Token::Assignment
        | Token::Backslash
        | Token::LBracket
        | Token::RBracket
        | Token::Ampersand
        | Token::Pipe
        | Token::Caret
        | Token::LBrace
        | Token::RBrace
        | Token::RArrow
        | Token::Sharp
        | Token::DoubleSharp
        | Token::Tilde
        | Token::TildeAsterisk
        | Token::ExclamationMarkTilde
        | Token::ExclamationMarkTildeAsterisk
        | Token::DoubleTilde
        | Token::DoubleTildeAsterisk
        | Token::ExclamationMarkDoubleTilde
        | Token::ExclamationMarkDoubleTildeAsterisk
        | Token::ShiftLeft
        | Token::ShiftRight
        | Token::Overlap
        | Token::ExclamationMark
        | Token::DoubleExclamationMark
        | Token::AtSign
        | Token::CaretAt
        | Token::PGSquareRoot
        | Token::PGCubeRoot
        | Token::Placeholder(_)
        | Token::Arrow
        | Token::LongArrow
        | Token::HashArrow
        | Token::AtDashAt
        | Token::QuestionMarkDash
        | Token::AmpersandLeftAngleBracket
        | Token::AmpersandRightAngleBracket
        | Token::AmpersandLeftAngleBracketVerticalBar
        | Token::VerticalBarAmpersandRightAngleBracket
        | Token::TwoWayArrow
        | Token::LeftAngleBracketCaret
        | Token::RightAngleBracketCaret
        | Token::QuestionMarkSharp
        | Token::QuestionMarkDashVerticalBar
        | Token::QuestionMarkDoubleVerticalBar
        | Token::TildeEqual
        | Token::ShiftLeftVerticalBar
        | Token::VerticalBarShiftRight
        | Token::VerticalBarRightAngleBracket
        | Token::HashLongArrow
        | Token::AtArrow
        | Token::ArrowAt
        | Token::HashMinus
        | Token::AtQuestion
        | Token::AtAt
        | Token::Question
        | Token::QuestionAnd
        | Token::QuestionPipe
        | Token::CustomBinaryOperator(_) => Refused,
    }
}
