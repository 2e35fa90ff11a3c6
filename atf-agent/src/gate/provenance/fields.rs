//! Whole values that a trusted place of a result held, up to a bound.

use std::collections::HashSet;

use serde_json::Value;

use super::number;
use super::words::words;
use crate::call::{Mark, MarkKey};

/// Most values that are kept.
pub(super) const FIELDS_MAX: usize = 8_192;

/// Longest value that is kept, in bytes: an identifier, an address, a name.
const FIELD_BYTES_MAX: usize = 512;

/// Whole values, each as one mark.
#[derive(Debug, Default)]
pub(super) struct Fields(HashSet<Mark>);

impl Fields {
    /// Keeps `value`, unless there is no room any more.
    pub(super) fn keep(&mut self, key: &MarkKey, value: &Value) {
        if self.0.len() < FIELDS_MAX
            && let Some(mark) = mark(key, value)
        {
            self.0.insert(mark);
        }
    }

    /// Whether a whole value was the same as `value`.
    pub(super) fn has(&self, key: &MarkKey, value: &Value) -> bool {
        mark(key, value).is_some_and(|mark| self.0.contains(&mark))
    }

    /// How many are kept.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// The mark of a whole value: of its words in their order, with a beginning that no word has. None for
/// one that is too long, or has nothing but signs.
fn mark(key: &MarkKey, value: &Value) -> Option<Mark> {
    let mut spelled = String::from(" whole ");
    match value {
        Value::Number(number) => spelled.push_str(&number::spelled_json(number)),
        Value::String(text) => {
            let text = text.trim_matches([' ', '\t', '\r', '\n']);
            if text.len() > FIELD_BYTES_MAX {
                return None;
            }
            let mut says_something = false;
            for word in words(text) {
                says_something |= word.is_text();
                word.spell(&mut spelled);
            }
            if !says_something {
                return None;
            }
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    }
    Some(key.mark(&spelled))
}
