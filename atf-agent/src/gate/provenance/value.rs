//! A string or number among the arguments, as it is looked for in what a run has seen.

use serde_json::{Number, Value};

use super::number;
use super::sequence::Sequence;
use super::words::{Word, words};
use crate::call::{Mark, MarkKey};

/// Longest value that is looked for, in bytes: a name, an address, a path, a line. A longer one comes
/// from nowhere.
const VALUE_BYTES_MAX: usize = 4_096;

/// Letters and digits that a text needs to be looked for among other words. A shorter one has to stand
/// alone: in quotes, or as a whole value of a result.
const ALONE_BELOW: usize = 3;

/// What has to stand in a text.
pub(super) struct Sought {
    marks: Vec<Mark>,
    /// What stands around it, one pair of it.
    around: Option<[Mark; 4]>,
}

impl Sought {
    /// What is sought of a string; `None` for one that no text can name: it is empty, has no word, or is
    /// too long.
    pub(super) fn text(key: &MarkKey, text: &str) -> Option<Self> {
        let text = text.trim_matches([' ', '\t', '\r', '\n']);
        if text.len() > VALUE_BYTES_MAX {
            return None;
        }
        let (mut marks, mut plain, mut numbers) = (Vec::new(), 0, true);
        for word in words(text) {
            if let Word::Text(text) = &word {
                plain += text.chars().filter(|c| c.is_alphanumeric()).count();
                numbers &= number::spelled(text).is_some();
            }
            marks.push(word.mark(key));
        }
        let is_short = plain < ALONE_BELOW && !numbers;
        let around = [Word::Sign('"'), Word::Sign('\''), Word::Sign('`'), Word::Edge];
        let around = is_short.then(|| around.map(|word| word.mark(key)));
        (plain > 0).then_some(Self { marks, around })
    }

    /// What is sought of a number.
    pub(super) fn number(key: &MarkKey, number: &Number) -> Self {
        Self { marks: vec![key.mark(&number::spelled_json(number))], around: None }
    }

    /// Whether it stands in `sequence`.
    pub(super) fn is_in(&self, sequence: &Sequence) -> bool {
        match self.around {
            None => sequence.has(&self.marks),
            Some(around) => around.iter().any(|mark| {
                let mut whole = vec![*mark];
                whole.extend(&self.marks);
                whole.push(*mark);
                sequence.has(&whole)
            }),
        }
    }
}

/// Calls `each` with every string and number in `value` and where it stands (RFC 6901), until it says no.
pub(super) fn leaves<'v>(
    at: &str,
    value: &'v Value,
    each: &mut impl FnMut(&str, &'v Value) -> bool,
) -> bool {
    match value {
        Value::String(_) | Value::Number(_) => each(at, value),
        Value::Array(items) => {
            (0..).zip(items).all(|(i, item): (usize, _)| leaves(&format!("{at}/{i}"), item, each))
        }
        Value::Object(members) => members.iter().all(|(name, member)| {
            let name = name.replace('~', "~0").replace('/', "~1");
            leaves(&format!("{at}/{name}"), member, each)
        }),
        Value::Null | Value::Bool(_) => true,
    }
}
