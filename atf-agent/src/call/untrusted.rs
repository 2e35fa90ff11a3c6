//! Text that an agent, a server or a file supplied. It escapes itself wherever it is shown.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Most characters of a text that says why: more is read by nobody, and would fill the log.
const BEGIN_CHARS_MAX: usize = 1_000;

/// A text from outside. `Display` escapes every character that could steer a terminal or hide in a
/// line: control characters, bidirectional and invisible ones, and the backslash itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Untrusted(String);

impl Untrusted {
    /// Wraps a text from outside.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Wraps as much of a text as is read of one that says why. Who wrote it may have gone on without end.
    pub fn begin_of(text: &str) -> Self {
        match text.char_indices().nth(BEGIN_CHARS_MAX) {
            Some((end, _)) => Self(format!("{}...", &text[..end])),
            None => Self::new(text),
        }
    }

    /// The text as it came, for comparing, hashing and forwarding; never for showing.
    pub fn raw(&self) -> &str {
        &self.0
    }

    /// The first character that is not seen or that steers; line ends and tabs are seen.
    pub fn hidden(&self) -> Option<char> {
        let plain = |c: char| matches!(c, '\n' | '\r' | '\t');
        self.0.chars().find(|c| hides(*c) || (c.is_control() && !plain(*c)))
    }
}

impl From<&str> for Untrusted {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Untrusted {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for c in self.0.chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                c if c.is_control() || hides(c) => write!(f, "{}", c.escape_unicode())?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// Characters that take no room or turn the direction of text (Unicode 17 `Cf`, the line and
/// paragraph separators, variation selectors, and the fillers that render as nothing).
fn hides(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
        | '\u{890}'..='\u{891}' | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}'
        | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_says_why_has_an_end() {
        let begin = |count: usize| Untrusted::begin_of(&"é".repeat(count));
        assert_eq!(begin(1_000).raw().chars().count(), 1_000);
        assert_eq!(begin(1_001).raw(), format!("{}...", "é".repeat(1_000)));
    }

    #[test]
    fn what_is_not_seen_is_found() {
        for (text, found) in [
            ("plain é 漢\n\tline", None),
            ("a\u{200b}b", Some('\u{200b}')),
            ("\u{202e}txt", Some('\u{202e}')),
            ("tag \u{e0041}", Some('\u{e0041}')),
            ("\x1b[2J", Some('\x1b')),
        ] {
            assert_eq!(Untrusted::from(text).hidden(), found, "{text:?}");
        }
    }

    #[test]
    fn nothing_that_steers_a_terminal_or_hides_is_shown() {
        for (text, shown) in [
            ("plain é 漢", "plain é 漢"),
            ("\x1b[2Jgone", "\\u{1b}[2Jgone"),
            ("a\nb\r", "a\\u{a}b\\u{d}"),
            ("\u{202e}txt", "\\u{202e}txt"),
            ("a\u{200b}b\u{e0041}", "a\\u{200b}b\\u{e0041}"),
            ("c:\\u{41}", "c:\\\\u{41}"),
            ("\u{9b}31m", "\\u{9b}31m"),
        ] {
            assert_eq!(Untrusted::from(text).to_string(), shown);
        }
    }
}
