//! A pinned schema written out: a copy of what a `$ref` refers to stands in its place, so that what is looked
//! at is what is asserted. No reference gets to the validator, which passes over one that comes back to itself.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::lint::{self, PROVENANCE_MARK, SQL_MARK};

/// Where the definitions stand.
const DEFINITIONS: &str = "$defs";

/// What a reference to one of them begins with.
const TO_DEFINITION: &str = "#/$defs/";

/// Most bytes of definitions that are copied, all together: as long as a pin may be. Definitions that each
/// refer twice to the next are two to the power of their number when written out.
const COPIED_BYTES_MAX: usize = 256 << 10;

/// Deepest nesting of values in what is written out, which is compiled and let go level by level. A pin's own
/// text is not so deep.
const PARTS_DEEP_MAX: usize = 32;

/// What may stand beside a reference: what says nothing about values, and marks of the argument.
const BESIDE: [&str; 6] =
    ["title", "description", "default", "examples", SQL_MARK, PROVENANCE_MARK];

/// The schema with a copy of its definition for each reference, and without the definitions.
///
/// # Errors
/// When a reference is to anything else than a definition, comes back to itself or says more than it refers to,
/// when a definition is referred to by nothing or has a mark, or when the whole is too long or too deep.
pub(super) fn written_out(schema: &Value) -> Result<Value, String> {
    let mut schema = schema.clone();
    let Some(members) = schema.as_object_mut() else { return Ok(schema) };
    if members.contains_key("$ref") {
        return Err("inputSchema: $ref stands for an argument or a part of one".to_owned());
    }
    let definitions = match members.remove(DEFINITIONS) {
        None => Map::new(),
        Some(Value::Object(definitions)) => definitions,
        Some(_) => return Err(format!("inputSchema: {DEFINITIONS} is no object")),
    };
    check_definitions(&definitions)?;
    let mut copies = Copies { definitions: &definitions, referred: BTreeSet::new(), bytes: 0 };
    let written = copies.part(&Place { at: lint::TOP, deep: 0, within: &[] }, &schema)?;
    match definitions.keys().find(|name| !copies.referred.contains(name.as_str())) {
        Some(name) => Err(format!("inputSchema.{DEFINITIONS}.{name}: nothing refers to it")),
        None => Ok(written),
    }
}

/// A name that is one in a pointer and in what is listed, no anchor twice, and no mark: an argument is marked where
/// it stands.
fn check_definitions(definitions: &Map<String, Value>) -> Result<(), String> {
    let mut anchors = BTreeSet::new();
    for (name, definition) in definitions {
        let at = format!("inputSchema.{DEFINITIONS}.{name}");
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if name.is_empty() || !name.chars().all(is_plain) || name.starts_with("x-") {
            return Err(format!(
                "{at}: the name of a definition has letters, digits, _, - and . alone, and no x- in front"
            ));
        }
        lint::top_level_mark(&at, definition)?;
        if definition.get("$anchor").is_some_and(|anchor| !anchors.insert(anchor.to_string())) {
            return Err(format!("{at}: a second $anchor of that name"));
        }
    }
    Ok(())
}

/// A place in what is written out.
struct Place<'a> {
    at: &'a str,
    deep: usize,
    /// The definitions that it is a copy of a part of, the outermost first.
    within: &'a [&'a str],
}

/// What was copied so far.
struct Copies<'d> {
    definitions: &'d Map<String, Value>,
    referred: BTreeSet<&'d str>,
    bytes: usize,
}

impl<'d> Copies<'d> {
    /// What is not the schema of a value is copied as it is: the lint knows the places where another one stands.
    fn part(&mut self, place: &Place<'_>, schema: &Value) -> Result<Value, String> {
        let Place { at, deep, within } = *place;
        if deep > PARTS_DEEP_MAX {
            return Err(format!("{at}: more than {PARTS_DEEP_MAX} values deep"));
        }
        let Some(members) = schema.as_object() else { return Ok(schema.clone()) };
        if let Some(reference) = members.get("$ref") {
            return self.referred(place, reference, members);
        }
        let mut written = Map::new();
        for (keyword, value) in members {
            let copy = match (keyword.as_str(), value) {
                ("properties", Value::Object(properties)) => {
                    let mut copies = Map::new();
                    for (name, property) in properties {
                        let at = &format!("{at}.{name}");
                        let place = Place { at, deep: deep + 1, within };
                        copies.insert(name.clone(), self.part(&place, property)?);
                    }
                    Value::Object(copies)
                }
                ("items", items) => {
                    let at = &format!("{at}.items");
                    self.part(&Place { at, deep: deep + 1, within }, items)?
                }
                _ => value.clone(),
            };
            written.insert(keyword.clone(), copy);
        }
        Ok(Value::Object(written))
    }

    /// A copy of the definition that is referred to, with the remarks and marks that stand beside the reference.
    fn referred(
        &mut self,
        place: &Place<'_>,
        reference: &Value,
        beside: &Map<String, Value>,
    ) -> Result<Value, String> {
        let Place { at, deep, within } = *place;
        let named = reference.as_str().and_then(|text| text.strip_prefix(TO_DEFINITION));
        let found = named.and_then(|name| self.definitions.get_key_value(name));
        let Some((name, definition)) = found else {
            return Err(format!("{at}: $ref is {TO_DEFINITION}NAME of a definition at the top"));
        };
        if within.contains(&name.as_str()) {
            return Err(format!("{at}: $ref comes back to {name}"));
        }
        let is_more = |key: &&String| *key != "$ref" && !BESIDE.contains(&key.as_str());
        if let Some(more) = beside.keys().find(is_more) {
            let known = BESIDE.join(", ");
            return Err(format!("{at}: {more:?} stands beside $ref; there may be {known}"));
        }
        self.bytes += definition.to_string().len();
        if self.bytes > COPIED_BYTES_MAX {
            return Err(format!("{at}: more than {COPIED_BYTES_MAX} bytes, written out"));
        }
        self.referred.insert(name);
        let within = [within, &[name.as_str()]].concat();
        let mut copy = self.part(&Place { at, deep: deep + 1, within: &within }, definition)?;
        if let Some(copy) = copy.as_object_mut() {
            copy.remove("$anchor");
            let beside = beside.iter().filter(|(key, _)| *key != "$ref");
            copy.extend(beside.map(|(key, value)| (key.clone(), value.clone())));
        }
        Ok(copy)
    }
}
