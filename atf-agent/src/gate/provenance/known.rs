//! What a run has seen: marks of what its task and prompt name, and of the results that it was given, and
//! whether it has read a secret. All of it is bounded, and what is past a bound was never seen.

use std::collections::HashSet;

use serde_json::Value;
use serde_json::value::RawValue;

use super::days::Day;
use super::fields::Fields;
use super::place::Place;
use super::results::{Results, Trust};
use super::sequence::Sequence;
use super::texts::{Given, Text, values, within};
use super::value::{Sought, leaves};
use super::words::{Word, words};
use super::{Origin, number};
use crate::call::{Mark, MarkKey, NAMED_MARKS_MAX, Named};

/// Most marks of the results of trusted tools, and as many of untrusted ones: some 120 kB of text each.
pub(super) const RESULT_MARKS_MAX: usize = 32_768;

/// Most words that are kept of what the run itself brought in.
pub(super) const BROUGHT_MAX: usize = 32_768;

/// Most words of one call's arguments that are noted.
const ARGUMENT_WORDS_MAX: usize = 8_192;

/// What one run has seen.
#[derive(Debug)]
pub struct Known {
    key: MarkKey,
    named: Sequence,
    trusted: Sequence,
    untrusted: Sequence,
    /// What trusted places of results held.
    fields: Fields,
    /// The words of the first two.
    vouched: HashSet<Mark>,
    /// Words that the run put into its calls and that nobody had vouched for: a result that shows one
    /// again does not vouch for it either.
    brought: HashSet<Mark>,
    /// False once something that the run brought in is not noted: no result vouches for anything then.
    vouches: bool,
    secret_read: bool,
}

impl Known {
    /// A run that has done nothing yet.
    pub fn fresh(named: &Named) -> Self {
        Self {
            key: named.key().clone(),
            named: Sequence::of(named.marks(), NAMED_MARKS_MAX),
            trusted: Sequence::new(RESULT_MARKS_MAX),
            untrusted: Sequence::new(RESULT_MARKS_MAX),
            fields: Fields::default(),
            vouched: named.marks().iter().copied().collect(),
            brought: HashSet::new(),
            vouches: true,
            secret_read: false,
        }
    }

    /// A run whose past was lost: its results are from nowhere, now and later, and it may have read a
    /// secret.
    pub fn resumed(named: &Named) -> Self {
        Self { vouches: false, secret_read: true, ..Self::fresh(named) }
    }

    /// A call is made that is not noted: from now on it is a run whose past was lost.
    pub fn overlooks(&mut self) {
        self.vouches = false;
        self.secret_read = true;
    }

    /// Whether a result with a secret may have reached the run.
    pub fn secret_read(&self) -> bool {
        self.secret_read
    }

    /// How many marks of trusted and of untrusted results are kept, and how many whole values.
    #[cfg(test)]
    pub(super) fn kept(&self) -> (usize, usize, usize) {
        (self.trusted.len(), self.untrusted.len(), self.fields.len())
    }

    /// Where `value`, a string or a number, comes from.
    pub(super) fn origin(&self, value: &Value) -> Origin {
        let sought = match value {
            Value::String(text) => Sought::text(&self.key, text),
            Value::Number(number) => Some(Sought::number(&self.key, number)),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        let Some(sought) = sought else {
            return Origin::Nowhere;
        };
        if sought.is_in(&self.named) {
            Origin::Named
        } else if sought.is_in(&self.trusted) || self.fields.has(&self.key, value) {
            Origin::Trusted
        } else if sought.is_in(&self.untrusted) {
            Origin::Untrusted
        } else {
            Origin::Nowhere
        }
    }

    /// Where the day comes from with which `value`, a string, begins.
    pub(super) fn origin_of_day(&self, value: &Value) -> Origin {
        let Some(day) = value.as_str().and_then(Day::at_the_start) else {
            return Origin::Nowhere;
        };
        [
            (&self.named, Origin::Named),
            (&self.trusted, Origin::Trusted),
            (&self.untrusted, Origin::Untrusted),
        ]
        .into_iter()
        .find(|(sequence, _)| day.is_in(&self.key, sequence))
        .map_or(Origin::Nowhere, |(_, origin)| origin)
    }

    /// A call is about to be made that brings in `arguments`, and whose results are what they are: its
    /// result may come, and the secret in it.
    pub(super) fn acts(&mut self, results: &Results, arguments: &Value) {
        self.secret_read |= results.secret;
        if !self.vouches {
            return;
        }
        let mut words_left = ARGUMENT_WORDS_MAX;
        leaves("", arguments, &mut |_, value| {
            match value {
                Value::String(text) => self.bring_text(text, &mut words_left),
                Value::Number(number) => self.bring(Text::Number(number), &mut words_left),
                Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {}
            }
            self.vouches
        });
    }

    /// The run brings in `said`, of which it chose the members' names, too: no pin does.
    pub(super) fn says(&mut self, said: &Value) {
        let mut words_left = ARGUMENT_WORDS_MAX;
        values(said, &mut |text| match text {
            Text::Whole(text) | Text::Prose(text) => self.bring_text(text, &mut words_left),
            Text::Number(_) => self.bring(text, &mut words_left),
        });
    }

    /// A text as it stands, and what it says where it is JSON: a result that repeats it is read so.
    fn bring_text(&mut self, text: &str, words_left: &mut usize) {
        self.bring(Text::Whole(text), words_left);
        if let Some(value) = within(text) {
            values(&value, &mut |text| self.bring(text, words_left));
        }
    }

    fn bring(&mut self, text: Text<'_>, words_left: &mut usize) {
        match text {
            Text::Whole(text) | Text::Prose(text) => {
                for word in words(text).filter(Word::is_text).take(*words_left) {
                    self.bring_word(&word);
                    *words_left -= 1;
                }
            }
            Text::Number(number) => {
                self.bring_word(&Word::Text(number::spelled_json(number).into()));
                *words_left = words_left.saturating_sub(1);
            }
        }
        self.vouches &= *words_left > 0 && self.brought.len() < BROUGHT_MAX;
    }

    fn bring_word(&mut self, word: &Word<'_>) {
        let mark = word.mark(&self.key);
        if self.vouches && !self.vouched.contains(&mark) {
            self.brought.insert(mark);
        }
    }

    /// The run is given `result`.
    pub(super) fn learns(&mut self, results: &Results, result: &RawValue) {
        let trusted = match results.trust {
            Trust::Trusted => self.vouches,
            Trust::Untrusted => false,
        };
        let Some(result) = Given::read(result) else {
            return;
        };
        if self.vouches {
            self.keep(results.trusted_at(), &result);
        }
        result.texts(&mut |text| match text {
            Text::Number(number) => {
                let word = Word::Text(number::spelled_json(number).into());
                self.learn([word].into_iter(), trusted);
            }
            Text::Prose(text) => self.learn(words(text), trusted),
            Text::Whole(text) => {
                let edge = || [Word::Edge].into_iter();
                self.learn(edge().chain(words(text)).chain(edge()), trusted);
            }
        });
    }

    /// The whole values at `places`, but for those with a word that the run brought in.
    fn keep(&mut self, places: &[Place], result: &Given) {
        for place in places {
            place.find(result.structured(), &mut |value| {
                let brought = match value {
                    Value::String(text) => {
                        words(text).any(|word| self.brought.contains(&word.mark(&self.key)))
                    }
                    Value::Number(number) => {
                        self.brought.contains(&self.key.mark(&number::spelled_json(number)))
                    }
                    Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => true,
                };
                if !brought {
                    self.fields.keep(&self.key, value);
                }
            });
        }
    }

    /// One text. Where a trusted one repeats what the run brought in, it breaks in two.
    fn learn<'w>(&mut self, words: impl Iterator<Item = Word<'w>>, trusted: bool) {
        let sequence = if trusted { &mut self.trusted } else { &mut self.untrusted };
        for word in words {
            if sequence.is_full() {
                return;
            }
            let mark = word.mark(&self.key);
            if trusted && self.brought.contains(&mark) {
                sequence.end_text();
                continue;
            }
            if trusted && word.is_text() {
                self.vouched.insert(mark);
            }
            sequence.push(mark);
        }
        sequence.end_text();
    }
}
