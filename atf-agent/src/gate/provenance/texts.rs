//! The texts of a tool's result. A text that is JSON is read as its values, each a text of its own; one
//! that is not is read as it stands.

use serde_json::Value;
use serde_json::value::RawValue;

use crate::gate::json;

/// A text of a result.
pub(super) enum Text<'a> {
    /// Prose, a table: words among words.
    Prose(&'a str),
    /// A whole value: a string in JSON, or a member's name.
    Whole(&'a str),
    /// A number in JSON.
    Number(&'a serde_json::Number),
}

/// A result of a tool, a prompt or a resource that is no error: an error repeats what was asked.
pub(super) struct Given(Value);

impl Given {
    /// Reads it; none when it is an error, or no JSON.
    pub(super) fn read(result: &RawValue) -> Option<Self> {
        let result = json::value(result.get()).ok()?;
        let is_error =
            result.get("isError").is_some_and(|is_error| *is_error != Value::Bool(false));
        (!is_error).then_some(Self(result))
    }

    /// Its structured content; null when there is none.
    pub(super) fn structured(&self) -> &Value {
        self.0.get("structuredContent").unwrap_or(&Value::Null)
    }

    /// Calls `each` with every text: of its text contents, its embedded resources, its messages and its
    /// structured content.
    pub(super) fn texts(&self, each: &mut impl FnMut(Text<'_>)) {
        let all = |name: &str| self.0.get(name).and_then(Value::as_array).into_iter().flatten();
        let said = all("messages").filter_map(|message| message.get("content"));
        for content in all("content").chain(all("contents")).chain(said) {
            let text = content.get("text").or_else(|| content.get("resource")?.get("text"));
            if let Some(text) = text.and_then(Value::as_str) {
                match within(text) {
                    Some(value) => values(&value, each),
                    None => each(Text::Prose(text)),
                }
            }
        }
        values(self.structured(), each);
    }
}

/// What a text says that is an object or an array of JSON: it is read as its values.
pub(super) fn within(text: &str) -> Option<Value> {
    let value = text.trim_start().starts_with(['{', '[']).then(|| json::value(text))?;
    value.ok()
}

/// Calls `each` with every string, number and name of a member in `value`.
pub(super) fn values(value: &Value, each: &mut impl FnMut(Text<'_>)) {
    match value {
        Value::String(text) => each(Text::Whole(text)),
        Value::Number(number) => each(Text::Number(number)),
        Value::Array(items) => items.iter().for_each(|item| values(item, each)),
        Value::Object(members) => members.iter().for_each(|(name, member)| {
            each(Text::Whole(name));
            values(member, each);
        }),
        Value::Null | Value::Bool(_) => {}
    }
}
