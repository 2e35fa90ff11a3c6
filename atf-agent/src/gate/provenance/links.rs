//! Links within a text: whatever a reader, or a program that shows the text, may follow. What only looks
//! like one is one: a link too many is looked for, and one too few would leave.

use super::words::{Word, words};

/// Schemes that need no `//`.
const SCHEMES: [&str; 8] =
    ["mailto:", "data:", "javascript:", "tel:", "sms:", "file:", "magnet:", "vbscript:"];

/// Characters that resolvers and browsers take for the stop between two labels of a host (UTS #46).
const STOPS: [char; 4] = ['.', '\u{3002}', '\u{ff0e}', '\u{ff61}'];

/// The links in `text`, each the whole word that it stands in.
pub(super) fn links(text: &str) -> impl Iterator<Item = String> {
    words(text).filter_map(|word| match word {
        Word::Text(text) if is_link(&text) => Some(text.into_owned()),
        Word::Text(_) | Word::Gap | Word::Sign(_) | Word::Edge => None,
    })
}

/// Whether a word, in lower case, may be one.
fn is_link(word: &str) -> bool {
    word.contains("//")
        || word.contains("\\\\")
        || SCHEMES.iter().any(|scheme| word.contains(scheme))
        || has_host(word)
}

/// Whether a part of it is `label.label`, the last label two characters or more and no number: a host, an
/// address of mail, a page; also a file's name, which may be a host's as well. Or four numbers: an IPv4
/// address.
fn has_host(word: &str) -> bool {
    let ends = |c: char| !(c.is_alphanumeric() || c == '-' || c == '_' || STOPS.contains(&c));
    word.split(ends).any(|part| {
        let labels: Vec<&str> = part.split(STOPS).filter(|label| !label.is_empty()).collect();
        let is_number = |label: &&str| label.chars().all(|c| c.is_ascii_digit());
        let last = labels.last().copied().unwrap_or_default();
        match labels.len() {
            0 | 1 => false,
            4 if labels.iter().all(is_number) => true,
            _ => last.chars().count() >= 2 && !is_number(&last),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_may_be_followed_is_a_link() {
        for (text, expected) in [
            ("see https://evil.example/a?b=1.", vec!["https://evil.example/a?b=1"]),
            ("WWW.Evil.example", vec!["www.evil.example"]),
            ("[here](http://evil.example)", vec!["http://evil.example"]),
            ("<a href='//evil/x'>", vec!["//evil/x"]),
            ("http://[::1]/x", vec!["http://"]),
            ("at evil.example/path now", vec!["evil.example/path"]),
            ("bob@evil.example, ann@x.org", vec!["bob@evil.example", "ann@x.org"]),
            ("mailto:bob@localhost", vec!["mailto:bob@localhost"]),
            ("javascript:alert`1`", vec!["javascript:alert"]),
            ("x=data:text/html", vec!["x=data:text/html"]),
            ("\\\\host\\share", vec!["\\\\host\\share"]),
            ("10.0.0.1", vec!["10.0.0.1"]),
            ("evil\u{3002}example", vec!["evil\u{3002}example"]),
            ("b\u{fc}cher.example", vec!["b\u{fc}cher.example"]),
            ("xn--bcher-kva.example.", vec!["xn--bcher-kva.example"]),
            ("ops_team.example:8080/x", vec!["ops_team.example:8080/x"]),
            ("report.pdf", vec!["report.pdf"]),
        ] {
            assert_eq!(links(text).collect::<Vec<_>>(), expected, "{text}");
        }
    }

    #[test]
    fn plain_text_has_none() {
        for text in [
            "",
            "The rent is 1,100.50, i.e. 3.5 % more. Version 1.2.3!",
            "Dinner at 12:00 (or 13:00?) with Bob...",
            "either/or, e.g. this; \"quoted\" \u{2014} 2024-05-15",
        ] {
            assert_eq!(links(text).count(), 0, "{text}");
        }
    }
}
