//! Long lists of literals. Of the literals behind `IN` the rules want to know that they are literals, and how many;
//! both are known before there is a tree. A tree of all takes the parser as long as the rest of a statement does.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

/// Literals of a list that the parser reads: enough to be told from a value in parentheses, and from a pair.
const READ: usize = 3;

/// Takes the rest out of each list behind `IN` that consists of plain literals alone. Between tokens there are no spaces;
/// where a line ends in a list, it stays. Returns how many the longest of these lists had.
pub(super) fn shorten(tokens: &mut Vec<TokenWithSpan>) -> usize {
    let (mut left_out, mut longest) = (Vec::new(), 0);
    let mut at = 0;
    while let Some(rest) = tokens.get(at..).filter(|rest| !rest.is_empty()) {
        let length = literals_behind_in(rest).unwrap_or_default();
        // The first literal stands behind IN and the parenthesis, and each has a comma before the next one.
        let behind = |literals: usize| at + 1 + 2 * literals;
        longest = longest.max(length);
        if length > READ {
            left_out.push(behind(READ)..behind(length));
        }
        at = behind(length);
    }
    for range in left_out.into_iter().rev() {
        tokens.drain(range);
    }
    longest
}

/// How many literals stand in the list that these begin with, `IN (1, 2, 3)`; `None` where they begin with anything
/// else.
fn literals_behind_in(tokens: &[TokenWithSpan]) -> Option<usize> {
    let mut tokens = tokens.iter().map(|TokenWithSpan { token, span: _ }| token);
    let Token::Word(Word { keyword: Keyword::IN, quote_style: None, value: _ }) = tokens.next()?
    else {
        return None;
    };
    if *tokens.next()? != Token::LParen {
        return None;
    }
    let mut length = 0;
    loop {
        if !is_literal(tokens.next()?) {
            return None;
        }
        length += 1;
        match tokens.next()? {
            Token::Comma => {}
            Token::RParen => return Some(length),
            _ => return None,
        }
    }
}

/// A literal that the rules take wherever they take one, and every dialect alike.
pub(super) fn is_literal(token: &Token) -> bool {
    matches!(token, Token::Number(_, false) | Token::SingleQuotedString(_))
}

#[cfg(test)]
mod tests {
    use sqlparser::dialect::PostgreSqlDialect;
    use sqlparser::tokenizer::Tokenizer;

    use super::super::parse::is_gap;
    use super::*;

    fn tokens(text: &str) -> Vec<TokenWithSpan> {
        let read = Tokenizer::new(&PostgreSqlDialect {}, text).tokenize_with_location();
        let mut tokens = read.unwrap();
        tokens.retain(|TokenWithSpan { token, span: _ }| !is_gap(token));
        tokens
    }

    fn words(tokens: &[TokenWithSpan]) -> String {
        let words: Vec<_> = tokens.iter().map(|token| token.token.to_string()).collect();
        words.join(" ")
    }

    #[test]
    fn of_a_list_of_literals_three_are_read() {
        for (text, left, longest) in [
            ("a IN (1, 2, 3, 4)", "a IN ( 1 , 2 , 3 )", 4),
            ("a in ('x', 2, 'y', 4.5, 1e3) AND b", "a in ( 'x' , 2 , 'y' ) AND b", 5),
            ("a IN (1, 2, 3)", "a IN ( 1 , 2 , 3 )", 3),
            (
                "a NOT IN (1,2,3,4,5) OR b IN (6, 7, 8, 9) OR c IN (1)",
                "a NOT IN ( 1 , 2 , 3 ) OR b IN ( 6 , 7 , 8 ) OR c IN ( 1 )",
                5,
            ),
        ] {
            let mut read = tokens(text);
            let all = read.clone();
            assert_eq!(shorten(&mut read), longest, "{text}");
            assert_eq!(words(&read), left, "{text}");
            // What is read keeps its place.
            assert!(read.iter().all(|token| all.contains(token)));
        }
    }

    /// The attack: something that the rules have to judge, where they would not see it.
    #[test]
    fn whatever_is_no_list_of_literals_is_read_whole() {
        for text in [
            "a IN (1, 2, 3, x)",
            "a IN (1, 2, 3, -4)",
            "a IN (1, 2, 3, f(4))",
            "a IN (1, 2, 3, (SELECT b FROM c))",
            "a IN (1, 2, 3, 4::int)",
            "a IN (1, 2, 3, 4 + 5)",
            "a IN (1, 2, 3, 4 OR TRUE)",
            "a IN (1, 2, 3, E'x')",
            "a IN (1, 2, 3, N'x')",
            "a IN (1, 2, 3, \"x\")",
            "a IN (1, 2, 3, NULL)",
            "a IN (1, 2, 3, $1)",
            "a IN (1, 2, 3, 4,)",
            "a IN (1, 2, 3, , 4)",
            "a IN (1, 2, 3, 4",
            "a IN (1, 2, 3, 4\n, 5)",
            "a IN (1, 2, 3, 4 UNION SELECT 5)",
            "a IN ((1, 2, 3, 4))",
            "a IN (SELECT 1, 2, 3, 4)",
            "\"in\" (1, 2, 3, 4)",
            "f(1, 2, 3, 4)",
            "(1, 2, 3, 4)",
            "VALUES (1, 2, 3, 4)",
            "",
            "IN",
            "IN (",
        ] {
            let mut read = tokens(text);
            let all = read.clone();
            assert_eq!(shorten(&mut read), 0, "{text}");
            assert_eq!(read, all, "{text}");
        }
    }
}
