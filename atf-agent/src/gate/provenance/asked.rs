//! What is asked of a marked argument: where the whole of its values comes from, or a part of them.

use serde::Deserialize;
use serde_json::Value;

use super::links::links;
use super::{Known, Origin};

/// What a pin's `x-atf-provenance` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gate) enum Asked {
    /// Each string and number as a whole.
    Whole,
    /// The links in each string: text around them is the run's own.
    Links,
    /// The day with which each string begins.
    Day,
}

/// An argument that a pin marks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::gate) struct Sensitive {
    pub(super) argument: String,
    pub(super) asked: Asked,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Part {
    Links,
    Day,
}

impl Asked {
    /// What a mark asks for; none when it is no mark.
    pub(in crate::gate) fn read(mark: &Value) -> Option<Self> {
        if *mark == Value::Bool(true) {
            return Some(Self::Whole);
        }
        match Part::deserialize(mark).ok()? {
            Part::Links => Some(Self::Links),
            Part::Day => Some(Self::Day),
        }
    }

    /// Calls `each` with the origin of what is asked for in `value`, a string or a number, until it
    /// says no.
    pub(super) fn origins(
        self,
        value: &Value,
        known: &Known,
        each: &mut impl FnMut(Origin) -> bool,
    ) -> bool {
        match (self, value) {
            (Self::Whole, _) | (Self::Links, Value::Number(_)) => each(known.origin(value)),
            (Self::Day, _) => each(known.origin_of_day(value)),
            (Self::Links, Value::String(text)) => {
                links(text).all(|link| each(known.origin(&Value::String(link))))
            }
            (Self::Links, Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) => {
                true
            }
        }
    }
}

impl Sensitive {
    /// The argument `argument` with its mark.
    pub(in crate::gate) fn new(argument: &str, asked: Asked) -> Self {
        Self { argument: argument.to_owned(), asked }
    }
}
