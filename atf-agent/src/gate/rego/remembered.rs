//! What the shipped rules have said, by all that they were told. They read neither a clock nor anything else besides, so
//! that they say the same of the same for as long as they are loaded with their data.

use std::collections::HashMap;

use regorus::Value;

/// Most bytes that all keys of a generation have together. Answers are of the order of their keys.
const KEYS_BYTES_MAX: usize = 256 * 1024;

/// Longest key. What has a longer one is asked each time.
const KEY_BYTES_MAX: usize = 4 * 1024;

/// Longest number, as text. A longer one may be written as another one is that the rules tell from it: a number with a
/// fraction has some 16 digits of its own, and zeros behind them.
const NUMBER_BYTES_MAX: usize = 15;

/// All that rules were told, letter by letter: two things that they could tell from each other have two keys.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Told(Vec<u8>);

/// Answers, of two generations: when the younger one is full, it becomes the elder, and who was not asked for since the
/// last time is forgotten.
#[derive(Default)]
pub(super) struct Remembered {
    younger: Generation,
    elder: Generation,
}

#[derive(Default)]
struct Generation {
    said: HashMap<Told, Value>,
    keys_bytes: usize,
}

impl Told {
    /// `None` for what is not remembered: see the limits.
    pub(super) fn of(input: &Value) -> Option<Self> {
        let mut key = Self(Vec::with_capacity(512));
        key.write(input)?;
        Some(key)
    }

    fn write(&mut self, value: &Value) -> Option<()> {
        match value {
            Value::Null => self.push(b'-', &[]),
            Value::Bool(said) => self.push(b'?', &[u8::from(*said)]),
            Value::Number(number) => {
                let text = number.format_decimal();
                (text.len() <= NUMBER_BYTES_MAX).then(|| self.push(b'#', text.as_bytes()))?
            }
            Value::String(text) => self.push(b'"', text.as_bytes()),
            Value::Array(elements) => {
                self.begin(b'[', elements.len())?;
                elements.iter().try_for_each(|element| self.write(element))
            }
            Value::Object(members) => {
                self.begin(b'{', members.len())?;
                members.iter().try_for_each(|(name, value)| {
                    self.write(name)?;
                    self.write(value)
                })
            }
            // No part of an input.
            Value::Set(_) | Value::Undefined => None,
        }
    }

    fn push(&mut self, kind: u8, text: &[u8]) -> Option<()> {
        self.begin(kind, text.len())?;
        self.0.extend_from_slice(text);
        (self.0.len() <= KEY_BYTES_MAX).then_some(())
    }

    /// What follows has this kind and this length, so that its end is not looked for in it.
    fn begin(&mut self, kind: u8, length: usize) -> Option<()> {
        self.0.push(kind);
        self.0.extend_from_slice(&u32::try_from(length).ok()?.to_le_bytes());
        (self.0.len() <= KEY_BYTES_MAX).then_some(())
    }
}

impl Remembered {
    /// What was said, if it is known.
    pub(super) fn said(&mut self, told: &Told) -> Option<Value> {
        if let Some(said) = self.younger.said.get(told) {
            return Some(said.clone());
        }
        let (told, said) = self.elder.said.remove_entry(told)?;
        self.keep(told, said.clone());
        Some(said)
    }

    /// Keeps what was said.
    pub(super) fn keep(&mut self, told: Told, said: Value) {
        let bytes = told.0.len();
        if self.younger.keys_bytes + bytes > KEYS_BYTES_MAX {
            self.elder = std::mem::take(&mut self.younger);
        }
        if self.younger.said.insert(told, said).is_none() {
            self.younger.keys_bytes += bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn told(text: &str) -> Option<Told> {
        Told::of(&Value::from_json_str(text).unwrap())
    }

    #[test]
    fn what_differs_has_another_key() {
        let texts = [
            "null",
            "true",
            "false",
            "5",
            "-5",
            "0.5",
            "\"5\"",
            "\"\"",
            "[]",
            "{}",
            "[5]",
            "[[5]]",
            "[\"5\"]",
            "{\"5\": 5}",
            "{\"a\": \"b\", \"c\": \"d\"}",
            "{\"a\": \"b\\\"\\u0001\\u0000\\u0000\\u0000c\\\"\\u0001\\u0000\\u0000\\u0000d\"}",
            "[\"a\", \"b\"]",
            "[\"ab\"]",
            "[\"a\", [\"b\"]]",
            "[[\"a\"], \"b\"]",
            "[[\"a\", \"b\"]]",
            "{\"a\": {}, \"b\": []}",
            "{\"a\": [], \"b\": {}}",
            "{\"a\": null}",
        ];
        let keys: BTreeSet<_> = texts.iter().map(|text| told(text).unwrap().0).collect();
        assert_eq!(keys.len(), texts.len());
        // Their order is none of an object.
        assert_eq!(told("{\"a\": 1, \"b\": 2}"), told("{\"b\": 2, \"a\": 1}"));
    }

    /// The attack: an amount that is written as another one is.
    #[test]
    fn what_two_numbers_are_written_as_has_no_key() {
        let numbers = ["18446744073709551999.5", "18446744073709552000"];
        let [fraction, whole] = numbers.map(|text| Value::from_json_str(text).unwrap());
        assert_eq!(fraction.to_string(), whole.to_string(), "the control");
        assert_eq!((Told::of(&fraction), Told::of(&whole)), (None, None));
        assert!(told("999999999999999").is_some());
    }

    #[test]
    fn what_is_large_is_not_remembered() {
        let text = |length: usize| format!("{{\"a\": [\"{}\"]}}", "x".repeat(length));
        assert!(told(&text(KEY_BYTES_MAX - 100)).is_some());
        assert!(told(&text(KEY_BYTES_MAX)).is_none());
        assert!(told(&format!("[{}]", vec!["[]"; KEY_BYTES_MAX].join(","))).is_none());
    }

    #[test]
    fn of_many_the_last_are_remembered_and_the_rest_takes_no_memory() {
        let mut remembered = Remembered::default();
        let told = |number: usize| Told::of(&Value::from(number.to_string())).unwrap();
        let often = Told::of(&Value::from("often")).unwrap();
        remembered.keep(often.clone(), Value::Null);
        for number in 0..100_000 {
            remembered.keep(told(number), Value::from(number));
            assert_eq!(remembered.said(&told(number)), Some(Value::from(number)));
            assert_eq!(remembered.said(&often), Some(Value::Null));
        }
        for generation in [&remembered.younger, &remembered.elder] {
            let bytes = generation.said.keys().map(|told| told.0.len()).sum::<usize>();
            assert!(bytes <= generation.keys_bytes && bytes <= KEYS_BYTES_MAX, "{bytes}");
            assert!(bytes > 0);
        }
        assert_eq!(remembered.said(&told(0)), None);
        assert_eq!(remembered.said(&told(99_000)), Some(Value::from(99_000)));
    }
}
