//! The texts of a tool's result. A text that is JSON is read as its values, each a text of its own; one
//! that is not is read as it stands.

use serde_json::Value;
use serde_json::value::RawValue;

/// A text of a result.
pub(super) enum Text<'a> {
    /// Prose, a table: words among words.
    Prose(&'a str),
    /// A whole value: a string in JSON, or a member's name.
    Whole(&'a str),
    /// A number in JSON.
    Number(&'a serde_json::Number),
}

/// Calls `each` with every text of `result`, of a tool, a prompt or a resource: of its text contents, its
/// embedded resources, its messages and its structured content. What says that it is an error has none: an error repeats what
/// was asked.
pub(super) fn texts(result: &RawValue, each: &mut impl FnMut(Text<'_>)) {
    let Ok(result) = serde_json::from_str::<Value>(result.get()) else {
        return;
    };
    if result.get("isError").is_some_and(|is_error| *is_error != Value::Bool(false)) {
        return;
    }
    let all = |name: &str| result.get(name).and_then(Value::as_array).into_iter().flatten();
    let said = all("messages").filter_map(|message| message.get("content"));
    for content in all("content").chain(all("contents")).chain(said) {
        let text = content.get("text").or_else(|| content.get("resource")?.get("text"));
        if let Some(text) = text.and_then(Value::as_str) {
            match serde_json::from_str::<Value>(text) {
                Ok(value @ (Value::Object(_) | Value::Array(_))) => values(&value, each),
                Ok(_) | Err(_) => each(Text::Prose(text)),
            }
        }
    }
    if let Some(structured) = result.get("structuredContent") {
        values(structured, each);
    }
}

fn values(value: &Value, each: &mut impl FnMut(Text<'_>)) {
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
