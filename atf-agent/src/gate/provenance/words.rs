//! Words: the one reading of texts and of values. A value is in a text when its words stand there one
//! after the other. Both sides are read alike: case counts among ASCII letters no more, nor how much
//! ASCII white space there is, nor how a number is written; all else counts, byte for byte. Nothing is
//! folded beyond ASCII, so that a look-alike is another word.

use std::borrow::Cow;

use crate::call::{Mark, MarkKey};

/// One word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word<'a> {
    /// White space of any length.
    Gap,
    /// A character that stands between words.
    Sign(char),
    /// Where a whole value of a result begins or ends; in no text.
    Edge,
    /// A longest run of other characters, in lower case; a number in its one spelling.
    Text(Cow<'a, str>),
}

impl Word<'_> {
    /// Whether it is more than what stands between words.
    pub(super) fn is_text(&self) -> bool {
        match self {
            Word::Text(_) => true,
            Word::Gap | Word::Sign(_) | Word::Edge => false,
        }
    }

    /// Appends it as it is read.
    pub(super) fn spell(&self, to: &mut String) {
        match self {
            // A word with a gap in it is none that a text has.
            Word::Edge => to.push_str(" edge"),
            Word::Gap => to.push(' '),
            Word::Sign(sign) => to.push(*sign),
            Word::Text(text) => to.push_str(text),
        }
    }

    /// Its mark under `key`.
    pub(super) fn mark(&self, key: &MarkKey) -> Mark {
        match self {
            Word::Gap => key.mark(" "),
            // A word with a gap in it is none that a text has.
            Word::Edge => key.mark(" edge"),
            Word::Sign(sign) => key.mark(sign.encode_utf8(&mut [0; 4])),
            Word::Text(text) => key.mark(text),
        }
    }
}

/// What stands between words wherever it stands: white space is a word of its own.
fn is_sign(c: char) -> bool {
    matches!(
        c,
        '"' | '\''
            | '`'
            | ','
            | ';'
            | '|'
            | '<'
            | '>'
            | '('
            | ')'
            | '['
            | ']'
            | '{'
            | '}'
            | '\u{2018}'
            | '\u{2019}'
            | '\u{201c}'
            | '\u{201d}'
    )
}

/// What ends a sentence or a clause, and stands within names, addresses and hosts as well.
fn is_stop(c: char) -> bool {
    matches!(c, '.' | ':' | '!' | '?')
}

fn is_gap(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// The words of `text`.
pub(super) fn words(text: &str) -> impl Iterator<Item = Word<'_>> {
    Words { rest: text }
}

struct Words<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Words<'a> {
    type Item = Word<'a>;

    fn next(&mut self) -> Option<Word<'a>> {
        let first = self.rest.chars().next()?;
        if is_gap(first) {
            self.rest = self.rest.trim_start_matches(is_gap);
            return Some(Word::Gap);
        }
        let run = &self.rest[..run_bytes(self.rest)];
        let text = run.trim_end_matches(is_stop);
        if text.is_empty() {
            self.rest = &self.rest[first.len_utf8()..];
            return Some(Word::Sign(first));
        }
        self.rest = &self.rest[text.len()..];
        Some(Word::Text(super::number::spelled(text).map_or_else(|| lower(text), Cow::Owned)))
    }
}

/// How far the word at the start of `rest` reaches. A comma between two digits is within it.
fn run_bytes(rest: &str) -> usize {
    let mut before = None;
    for (at, c) in rest.char_indices() {
        let after = rest[at + c.len_utf8()..].chars().next();
        let between = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
        let grouped = c == ',' && between(before) && between(after);
        if is_gap(c) || (is_sign(c) && !grouped) {
            return at;
        }
        before = Some(c);
    }
    rest.len()
}

fn lower(text: &str) -> Cow<'_, str> {
    match text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(text.to_ascii_lowercase()),
        false => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_into_words() {
        let read = |text: &str| -> String {
            let spelling = |word| match word {
                Word::Gap => " ".to_owned(),
                Word::Edge => "an edge, which is in no text".to_owned(),
                Word::Sign(sign) => sign.to_string(),
                Word::Text(text) => text.into_owned(),
            };
            words(text).map(spelling).collect::<Vec<_>>().join("\u{b7}")
        };
        for (text, expected) in [
            ("", ""),
            ("Pay  Bob.", "pay· ·bob·."),
            ("<Bob@X.org>,", "<·bob@x.org·>·,"),
            ("see http://x.org/a?b=1.", "see· ·http://x.org/a?b=1·."),
            ("a\r\n\tb", "a· ·b"),
            ("a\u{a0}b\u{200b}", "a\u{a0}b\u{200b}"),
            ("$1,100.50,", "1100.5·,"),
            ("1,2,3", "1,2,3"),
            ("'don't'", "'·don·'·t·'"),
            ("...", ".·.·."),
            (".bashrc", ".bashrc"),
            ("IBAN:GB29", "iban:gb29"),
        ] {
            assert_eq!(read(text), expected, "{text:?}");
        }
    }
}
