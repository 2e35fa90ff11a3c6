//! What a pinned schema says besides the bounds of its values: which of them go together. The bounds are asserted
//! by themselves, as if there were no conditions, and the conditions after them: they only take away.

use serde_json::{Map, Value};

use super::lint;
use super::pins::compile;

/// What a condition begins with.
pub(super) const KEYWORDS: [&str; 9] = [
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "dependentRequired",
    "dependentSchemas",
];

/// Most conditions of a pin, each part of one counted: each may be asked of every value of the arguments.
const CONDITIONS_MAX: usize = 100;

/// The schema without its conditions: its bounds.
pub(super) fn without(schema: &Value) -> Value {
    let mut bounds = schema.clone();
    take_away(&mut bounds);
    bounds
}

fn take_away(schema: &mut Value) {
    let Some(members) = schema.as_object_mut() else { return };
    members.retain(|keyword, _| !KEYWORDS.contains(&keyword.as_str()));
    if let Some(Value::Object(properties)) = members.get_mut("properties") {
        properties.values_mut().for_each(take_away);
    }
    if let Some(items) = members.get_mut("items") {
        take_away(items);
    }
}

/// What a condition asks of the values that it names, where they may be left out: a server may have a value of
/// its own for what is not there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Named {
    /// Nothing: what holds without them takes nothing else away.
    MayBeMissing,
    /// It is one of several that are chosen from, and may not be the one that holds because nothing is there.
    SaysItself,
    /// Nothing else is asked where it does not hold, so that the schema has to require them.
    Required,
}

/// Looks at the conditions of one pin.
pub(super) struct Conditions {
    left: usize,
}

impl Conditions {
    pub(super) fn new() -> Self {
        Self { left: CONDITIONS_MAX }
    }

    /// Whether the conditions that stand beside `bounds`, at `at`, say something of the value.
    pub(super) fn check(&mut self, at: &str, bounds: &Map<String, Value>) -> Result<(), String> {
        let conditions = || bounds.keys().filter(|key| KEYWORDS.contains(&key.as_str()));
        match conditions().find(|key| !says_something(bounds, key)) {
            Some(keyword) => Err(format!("{at}: {keyword} says nothing of such a value")),
            None => self.all_in(at, bounds, bounds, Named::MayBeMissing),
        }
    }

    /// The conditions in `members`, which are the bounds themselves or a condition on the same value.
    fn all_in(
        &mut self,
        at: &str,
        members: &Map<String, Value>,
        bounds: &Map<String, Value>,
        named: Named,
    ) -> Result<(), String> {
        let chosen = named.max(Named::SaysItself);
        for (keyword, named) in [("allOf", named), ("anyOf", chosen), ("oneOf", chosen)] {
            let Some(all) = members.get(keyword) else { continue };
            let all = all.as_array().ok_or_else(|| format!("{at}: {keyword} is no list"))?;
            for (number, one) in all.iter().enumerate() {
                self.one(&format!("{at}.{keyword}.{number}"), one, bounds, named)?;
            }
        }
        let (then, or_else) = (members.get("then"), members.get("else"));
        let asked = if or_else.is_some() { chosen } else { Named::Required };
        let parts = [("not", chosen), ("if", asked), ("then", named), ("else", named)];
        if members.contains_key("if") != (then.is_some() || or_else.is_some()) {
            return Err(format!("{at}: if says nothing without then or else, nor they without it"));
        }
        for (keyword, named) in parts {
            if let Some(one) = members.get(keyword) {
                self.one(&format!("{at}.{keyword}"), one, bounds, named)?;
            }
        }
        self.dependent(at, members, bounds, named)
    }

    /// What is asked when a member is there.
    fn dependent(
        &mut self,
        at: &str,
        members: &Map<String, Value>,
        bounds: &Map<String, Value>,
        named: Named,
    ) -> Result<(), String> {
        for keyword in ["dependentRequired", "dependentSchemas"] {
            let Some(all) = members.get(keyword) else { continue };
            let at = format!("{at}.{keyword}");
            let all = all.as_object().filter(|all| !all.is_empty());
            for (name, one) in all.ok_or_else(|| format!("{at}: expected an object"))? {
                let at = format!("{at}.{name}");
                property(&at, bounds, name)?;
                match keyword {
                    "dependentRequired" => required(&at, one, bounds)?,
                    _ => self.one(&at, one, bounds, named)?,
                }
            }
        }
        Ok(())
    }

    /// One condition on the value that `bounds` is the schema of.
    fn one(
        &mut self,
        at: &str,
        condition: &Value,
        bounds: &Map<String, Value>,
        named: Named,
    ) -> Result<(), String> {
        self.left = self.left.checked_sub(1).ok_or_else(|| {
            format!("{at}: more than {CONDITIONS_MAX} conditions and parts of them")
        })?;
        lint::top_level_mark(at, condition)?;
        let members =
            condition.as_object().filter(|members| members.keys().any(|key| key != "type"));
        let Some(members) = members else {
            return Err(format!("{at}: expected an object that takes something away"));
        };
        if let Some(keyword) = members.keys().find(|key| !says_something(bounds, key)) {
            return Err(format!("{at}: {keyword:?} is not known, or says nothing of such a value"));
        }
        if members.get("type").is_some_and(|kind| bounds.get("type") != Some(kind)) {
            return Err(format!("{at}: the type is another one than the value's"));
        }
        if members.get("additionalProperties").is_some_and(|open| *open != Value::Bool(false)) {
            return Err(format!("{at}: additionalProperties may be false alone"));
        }
        constants(at, members, bounds)?;
        if let Some(all) = members.get("required") {
            required(at, all, bounds)?;
        }
        if let Some(properties) = members.get("properties") {
            self.properties(at, members, (properties, bounds), named)?;
        }
        self.all_in(at, members, bounds, named)
    }

    fn properties(
        &mut self,
        at: &str,
        members: &Map<String, Value>,
        (properties, bounds): (&Value, &Map<String, Value>),
        named: Named,
    ) -> Result<(), String> {
        let properties = properties.as_object().filter(|properties| !properties.is_empty());
        for (name, one) in properties.ok_or_else(|| format!("{at}: properties names nothing"))? {
            let at = format!("{at}.{name}");
            let has_to_be_there = match named {
                Named::MayBeMissing => true,
                Named::SaysItself => requires(members, name) || requires(bounds, name),
                Named::Required => requires(bounds, name),
            };
            if !has_to_be_there {
                let how = match named {
                    Named::Required => "require it in the schema, or say what holds else",
                    Named::SaysItself | Named::MayBeMissing => {
                        "require it beside what it has to be"
                    }
                };
                return Err(format!("{at}: the condition holds where {name} is left out; {how}"));
            }
            self.one(&at, one, property(&at, bounds, name)?, named)?;
        }
        Ok(())
    }
}

/// Whether a keyword of a condition says something of a value with these bounds. A condition on the things in a list
/// would hold where there are none.
fn says_something(bounds: &Map<String, Value>, keyword: &str) -> bool {
    let of_kind: &[&str] = match bounds.get("type").and_then(Value::as_str) {
        Some("object") => &[
            "properties",
            "required",
            "additionalProperties",
            "dependentRequired",
            "dependentSchemas",
        ],
        Some("array") => &["minItems", "maxItems", "uniqueItems"],
        Some("string") => &["minLength", "maxLength", "pattern", "format"],
        Some("integer" | "number") => &["minimum", "maximum"],
        _ => &[],
    };
    let of_all = ["type", "enum", "const", "allOf", "anyOf", "oneOf", "not", "if", "then", "else"];
    of_kind.contains(&keyword) || of_all.contains(&keyword)
}

/// A value that is never there is a typing error: what depends on it would never be asked.
fn constants(
    at: &str,
    members: &Map<String, Value>,
    bounds: &Map<String, Value>,
) -> Result<(), String> {
    let listed = members.get("enum").map(|all| all.as_array().map_or(&[][..], Vec::as_slice));
    if listed.is_some_and(<[Value]>::is_empty) {
        return Err(format!("{at}: enum has no value"));
    }
    let mut values = listed.into_iter().flatten().chain(members.get("const")).peekable();
    if values.peek().is_none() {
        return Ok(());
    }
    let bounds = compile(&without(&Value::Object(bounds.clone())))?;
    match values.find(|value| !bounds.is_valid(value)) {
        Some(value) => Err(format!("{at}: {value} is never there: the value cannot be that")),
        None => Ok(()),
    }
}

/// The names have to be of the schema: what is required and never there, or asked of it, would never apply.
fn required(at: &str, names: &Value, bounds: &Map<String, Value>) -> Result<(), String> {
    let names = names.as_array().filter(|names| !names.is_empty());
    for name in names.ok_or_else(|| format!("{at}: required names nothing"))? {
        property(at, bounds, name.as_str().unwrap_or_default())?;
    }
    Ok(())
}

fn property<'b>(
    at: &str,
    bounds: &'b Map<String, Value>,
    name: &str,
) -> Result<&'b Map<String, Value>, String> {
    let property = bounds.get("properties").and_then(|all| all.get(name)?.as_object());
    property.ok_or_else(|| format!("{at}: {name:?} is no property of the schema"))
}

fn requires(schema: &Map<String, Value>, name: &str) -> bool {
    let names = schema.get("required").and_then(Value::as_array);
    names.into_iter().flatten().any(|required| required == name)
}
