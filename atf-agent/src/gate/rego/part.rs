//! What rules read of what they are told. The rest need not be made a value for them: that takes longer than they do.

use regorus::Value;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Error;
use serde_json::value::RawValue;

/// A part of a value. What is no object or array is read as it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it.
    Whole,
    /// Of an object these members. An array is read whole.
    Members(Vec<Member>),
    /// Of each member of an object or an array the same part.
    Each(Box<Self>),
}

/// A member that is read. The name is a value already, which is shared by all that have the member.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Member {
    name: Value,
    part: Part,
}

impl Part {
    /// What the shipped rules read over `data`.
    pub(super) fn of_shipped(data: &Value) -> Self {
        let arguments = amounts(data).unwrap_or(Self::Whole);
        let value = members([("argument", Self::Whole), ("origin", Self::Whole)]);
        members([
            (
                "call",
                members([
                    ("method", Self::Whole),
                    ("server", Self::Whole),
                    ("tool", Self::Whole),
                    ("arguments", arguments),
                    ("sink", Self::Whole),
                ]),
            ),
            ("identity", members([("tools", Self::Whole), ("prompt", Self::Whole)])),
            ("prompt", Self::Whole),
            ("sql", Self::Each(Box::new(members([("class", Self::Whole)])))),
            (
                "provenance",
                members([("values", Self::Each(Box::new(value))), ("secret_read", Self::Whole)]),
            ),
        ])
    }

    /// The name of a member as a value, and what is read of it; `None` when it is not read.
    pub(super) fn member(&self, name: &str) -> Option<(Value, &Self)> {
        match self {
            Self::Whole => Some((Value::from(name), self)),
            Self::Each(part) => Some((Value::from(name), part)),
            Self::Members(members) => {
                let read = members.iter().find(
                    |member| matches!(&member.name, Value::String(known) if known.as_ref() == name),
                )?;
                Some((read.name.clone(), &read.part))
            }
        }
    }

    /// What is read of an element of an array.
    pub(super) fn element(&self) -> &Self {
        match self {
            Self::Whole | Self::Members(_) => &Self::Whole,
            Self::Each(part) => part,
        }
    }

    /// Whether no member of an object is read.
    fn is_nothing(&self) -> bool {
        matches!(self, Self::Members(members) if members.is_empty())
    }

    /// This part of what a text says, JSON. Of an object of which nothing is read, the text is not even looked at.
    ///
    /// # Errors
    /// When it is no JSON, or what is read of it is nothing that a value can be.
    pub(super) fn of_text(&self, text: &str) -> Result<Value, Error> {
        let is_nested = text.trim_ascii_start().starts_with(['{', '[']);
        if *self == Self::Whole || !is_nested {
            // `Value::from_json_str` makes a table of the keys first, so that equal ones share their text: half of
            // its time, for an input in which hardly any are equal.
            return serde_json::from_str(text);
        }
        if text.trim_ascii_start().starts_with('{') && self.is_nothing() {
            return Ok(Value::new_object());
        }
        let mut from = serde_json::Deserializer::from_str(text);
        let value = self.deserialize(&mut from)?;
        from.end()?;
        Ok(value)
    }
}

impl<'de> DeserializeSeed<'de> for &Part {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &Part {
    type Value = Value;

    fn expecting(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("an object or an array")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut members = std::collections::BTreeMap::new();
        while let Some(name) = from.next_key::<std::borrow::Cow<'de, str>>()? {
            let Some((name, part)) = self.member(&name) else {
                from.next_value::<IgnoredAny>()?;
                continue;
            };
            let text = from.next_value::<&RawValue>()?;
            members.insert(name, part.of_text(text.get()).map_err(A::Error::custom)?);
        }
        Ok(super::value::object(members))
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(text) = from.next_element::<&RawValue>()? {
            elements.push(self.element().of_text(text.get()).map_err(A::Error::custom)?);
        }
        Ok(Value::from(elements))
    }
}

fn members<const N: usize>(of: [(&str, Part); N]) -> Part {
    Part::Members(of.into_iter().map(|(name, part)| Member { name: name.into(), part }).collect())
}

/// The arguments that `data` names as amounts, whichever tool's. `None` when it does not say it as it should.
fn amounts(data: &Value) -> Option<Part> {
    let tools = data.as_object().ok()?.get(&"tools".into())?.as_object().ok()?;
    let amounts = tools.values().filter_map(|tool| tool.as_object().ok()?.get(&"amount".into()));
    let amounts = amounts.filter(|name| matches!(name, Value::String(_)));
    let members = amounts.map(|name| Member { name: name.clone(), part: Part::Whole });
    Some(Part::Members(members.collect()))
}

#[cfg(test)]
mod tests {
    use super::super::SHIPPED;
    use super::*;

    const DATA: &str = r#"{"tools": {
        "l.pay": {"amount": "cents"}, "l.buy": {"amount": "price"}, "l.query": {}, "l.odd": {"amount": 5}
    }}"#;

    fn shipped() -> Part {
        Part::of_shipped(&Value::from_json_str(DATA).unwrap())
    }

    /// Each place that the text of the rules names, up to where it is said by a value.
    fn named() -> Vec<Vec<&'static str>> {
        let code = SHIPPED.lines().filter(|line| !line.trim_start().starts_with('#'));
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || "_.".contains(letter);
        let found = code.flat_map(|line| {
            line.match_indices("input").map(|(at, _)| {
                let path = line.get(at..).unwrap();
                path.split(|letter| !is_name(letter)).next().unwrap().split('.').skip(1).collect()
            })
        });
        found.collect()
    }

    #[test]
    fn what_the_text_of_the_shipped_rules_names_is_read() {
        let named = named();
        assert!(named.len() > 15, "{named:?}");
        for path in named {
            let shipped = shipped();
            let mut part = &shipped;
            for name in &path {
                part = part.member(name).unwrap_or_else(|| panic!("{path:?}")).1;
            }
            // What the text names no further may be read to its end, but for these, which the promises hold
            // (`both_say_the_same_of_whatever_they_are_told`).
            match path.as_slice() {
                ["call", "arguments"] | ["sql"] | ["provenance", "values"] => {}
                _ => assert_eq!(part, &Part::Whole, "{path:?}"),
            }
        }
    }

    #[test]
    fn what_is_not_read_is_not_there() {
        let text = r#" {"caller": {"run": "0"}, "call": {"arguments": {"sql": "SELECT 1", "cents": 5, "price": [1]},
            "tool": "l.pay", "pin": "00"}, "sql": {"sql": {"class": "select", "tables": ["a"]}},
            "provenance": {"values": [{"argument": "sql", "pointer": "/sql", "origin": "named"}]}} "#;
        let read = r#"{"call": {"arguments": {"cents": 5, "price": [1]}, "tool": "l.pay"},
            "sql": {"sql": {"class": "select"}},
            "provenance": {"values": [{"argument": "sql", "origin": "named"}]}}"#;
        assert_eq!(shipped().of_text(text).unwrap(), Value::from_json_str(read).unwrap());
        let whole = Value::from_json_str(text).unwrap();
        assert_eq!(Part::Whole.of_text(text).unwrap(), whole);
        let none =
            Part::of_shipped(&Value::from_json_str(r#"{"tools": {"l.query": {}}}"#).unwrap());
        assert_eq!(none.of_text(text).unwrap()["call"]["arguments"], Value::new_object());
        let list = r#"{"call": {"arguments": [1]}}"#;
        assert_eq!(none.of_text(list).unwrap(), Value::from_json_str(list).unwrap());
        let unknown = Part::of_shipped(&Value::new_object());
        let told = unknown.of_text(text).unwrap();
        assert_eq!(told["call"]["arguments"], whole["call"]["arguments"], "what data does not say");
    }

    #[test]
    fn what_has_another_form_than_it_should_is_told_as_it_is() {
        for text in ["5", "null", "[1, {\"call\": 2}]", "\"call\"", r#"{"call": 7, "sql": [[1]]}"#]
        {
            assert_eq!(shipped().of_text(text).unwrap(), Value::from_json_str(text).unwrap());
        }
        for text in ["", "{", "{}{}", "[1,]", "{\"call\": {\"tool\": nul}}", "{\"other\": nul}"] {
            assert!(shipped().of_text(text).is_err(), "{text}");
        }
    }
}
