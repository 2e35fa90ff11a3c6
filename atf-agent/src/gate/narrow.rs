//! Narrowing: what a token says of a tool's arguments beyond the tool's pin. The fragments are compiled
//! as the pin's own schema is, and as strict about typing errors: a fragment that says nothing about a
//! value lets everything through.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jsonschema::Validator;
use serde_json::{Map, Value};

use super::lint;
use super::pins::{Pin, compile};
use crate::call::{Digest, ToolName};
use crate::identity::Claims;

/// Most compiled narrowings that are kept: one for each tool of each token in use. Compiling one takes
/// as long as the rest of a decision.
const KEPT_MAX: usize = 1_024;

/// Compiled narrowings, by token and tool. Only what a good token carries gets in.
#[derive(Default)]
pub struct Fragments(Mutex<Kept>);

type Key = (Digest, ToolName);

#[derive(Default)]
struct Kept {
    /// What is wrong with a fragment is kept as well: it stays wrong.
    compiled: HashMap<Key, Arc<Compiled>>,
    /// The same, oldest first.
    order: VecDeque<Key>,
}

type Compiled = Result<Vec<Validator>, String>;

impl Fragments {
    /// Whether the `arguments` of a call of `tool` are what the token allows. `token` is the digest of
    /// the token whose claims these are; `pinned` the tool's schema, against which the names in a
    /// fragment are checked where it is at hand.
    ///
    /// # Errors
    /// The first fragment that does not hold, or that cannot be understood.
    pub fn check(
        &self,
        (claims, token): (&Claims, Digest),
        tool: &ToolName,
        pinned: Option<&Value>,
        arguments: &Value,
    ) -> Result<(), String> {
        let fragments = claims.entitlements.narrowing.of(tool);
        if fragments.is_empty() {
            return Ok(());
        }
        let compiled = self.compiled((token, tool.clone()), fragments, pinned);
        let validators = compiled.as_ref().as_ref().map_err(Clone::clone)?;
        for (number, validator) in (1..).zip(validators) {
            if let Err(error) = validator.validate(arguments) {
                let at = error.instance_path().as_str();
                return Err(format!("fragment {number} of {tool}, at {at:?}: {}", error.masked()));
            }
        }
        Ok(())
    }

    fn compiled(&self, key: Key, fragments: &[Value], pinned: Option<&Value>) -> Arc<Compiled> {
        if let Some(compiled) = self.kept().compiled.get(&key) {
            return Arc::clone(compiled);
        }
        let all = fragments.iter().map(|fragment| {
            check("the fragment", fragment, pinned)?;
            compile(&whole(fragment))
        });
        let compiled = Arc::new(all.collect());
        let mut kept = self.kept();
        if kept.compiled.insert(key.clone(), Arc::clone(&compiled)).is_none() {
            kept.order.push_back(key);
        }
        if kept.order.len() > KEPT_MAX
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.compiled.remove(&oldest);
        }
        compiled
    }

    /// A panic between two statements leaves one that is compiled again, or stays a little longer.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Fragments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fragments({})", self.kept().compiled.len())
    }
}

/// Whether a fragment is one that says something about every value that it names.
///
/// # Errors
/// The first keyword that is not known or says nothing, or a pattern that is looser than it looks.
pub fn lint_fragment(fragment: &Value) -> Result<(), String> {
    check("the fragment", fragment, None)?;
    compile(fragment).map(drop)
}

/// Whether a fragment names nothing that the tool of `pin` does not have: its calls are refused otherwise.
///
/// # Errors
/// As [`lint_fragment`], and the first name that is no argument.
pub fn lint_fragment_of(pin: &Pin, fragment: &Value) -> Result<(), String> {
    check("the fragment", fragment, Some(pin.bounds()))
}

/// The fragment with what it leaves unsaid: all values that it names have to be there. Else what it says of one would
/// be passed by leaving it out, where the server has a value of its own for it. A fragment that has `required` says
/// itself which; `[]` is none.
pub(super) fn whole(fragment: &Value) -> Value {
    let mut fragment = fragment.clone();
    require_named(&mut fragment);
    fragment
}

fn require_named(fragment: &mut Value) {
    let Some(members) = fragment.as_object_mut() else { return };
    if let Some(Value::Object(properties)) = members.get_mut("properties") {
        properties.values_mut().for_each(require_named);
        let named: Vec<String> = properties.keys().cloned().collect();
        members.entry("required").or_insert_with(|| named.into());
    }
    if let Some(items) = members.get_mut("items") {
        require_named(items);
    }
}

/// Keywords of a fragment: each takes something away.
const KEYWORDS: [&str; 16] = [
    "type",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "enum",
    "const",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
    "format",
    "minItems",
    "maxItems",
    "uniqueItems",
];

/// Checks `fragment` at `at`, beside the part of the pinned schema for the same value.
fn check(at: &str, fragment: &Value, pinned: Option<&Value>) -> Result<(), String> {
    let Some(members) = fragment.as_object().filter(|members| !members.is_empty()) else {
        return Err(format!("{at}: expected an object that says what is allowed"));
    };
    if let Some(unknown) = members.keys().find(|key| !KEYWORDS.contains(&key.as_str())) {
        let known = KEYWORDS.join(", ");
        return Err(format!("{at}: the keyword {unknown:?} is not known; known are {known}"));
    }
    if members.get("additionalProperties").is_some_and(|open| *open != Value::Bool(false)) {
        return Err(format!("{at}: additionalProperties may be false alone"));
    }
    if members.get("pattern").and_then(Value::as_str).is_some_and(|p| !lint::is_anchored(p)) {
        let expected = "expected ^...$ around all of it, alternatives in (?:...)";
        return Err(format!("{at}: the pattern matches within a text; {expected}"));
    }
    names(at, members, pinned)?;
    if let Some(Value::Object(properties)) = members.get("properties") {
        for (name, part) in properties {
            let pinned = pinned.and_then(|pinned| pinned.get("properties")?.get(name));
            check(&format!("{at}.{name}"), part, pinned)?;
        }
    }
    match members.get("items") {
        Some(items) => {
            let pinned = pinned.and_then(|pinned| pinned.get("items"));
            check(&format!("{at}.items"), items, pinned)
        }
        None => Ok(()),
    }
}

/// A name that the pinned schema does not have is a typing error: what it says would never apply.
fn names(at: &str, members: &Map<String, Value>, pinned: Option<&Value>) -> Result<(), String> {
    let Some(pinned) = pinned else {
        return Ok(());
    };
    let known = |name: &str| pinned.get("properties").is_some_and(|all| all.get(name).is_some());
    let named = members.get("properties").and_then(Value::as_object);
    let required = members.get("required").and_then(Value::as_array);
    let required = required.into_iter().flatten().filter_map(Value::as_str);
    let unknown = named
        .into_iter()
        .flat_map(Map::keys)
        .map(String::as_str)
        .chain(required)
        .find(|name| !known(name));
    match unknown {
        Some(name) => Err(format!("{at}: {name:?} is no argument of the tool")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_fragment_that_says_less_than_it_seems_is_refused() {
        let pinned = json!({"type": "object", "properties": {
            "to": {"type": "string"}, "cents": {"type": "integer"},
            "lines": {"type": "array", "items": {"type": "object", "properties": {"text": {}}}},
        }});
        let check = |fragment: &Value| super::check("f", fragment, Some(&pinned));
        let of = |name: &str, part: Value| json!({ "properties": { name: part } });
        for good in [
            of("to", json!({"enum": ["a", "b"]})),
            of("to", json!({"pattern": "^(?:a|b)$"})),
            of("to", json!({"pattern": "^[a|b]\\$$"})),
            of("cents", json!({"maximum": 5})),
            of("lines", json!({"items": {"properties": {"text": {"const": "x"}}}})),
            json!({"required": ["to"]}),
            json!({"additionalProperties": false, "properties": {"to": {"const": "a"}}}),
        ] {
            assert_eq!(check(&good), Ok(()), "{good}");
        }
        for bad in [
            json!({}),
            json!(true),
            json!({"propertys": {"to": {"const": "a"}}}),
            json!({"description": "only alice"}),
            of("tO", json!({"const": "a"})),
            of("to", json!({})),
            of("to", json!({"enumm": ["a"]})),
            of("to", json!({"pattern": "a"})),
            of("to", json!({"pattern": "^a"})),
            of("to", json!({"pattern": "^a|b$"})),
            of("to", json!({"pattern": "^a\\$"})),
            of("to", json!({"pattern": "^a(?m)$"})),
            of("to", json!({"pattern": "^(?m:a$)$"})),
            of("to", json!({"pattern": "^[](]|b[])]$"})),
            of("to", json!({"pattern": "^[[(]]|b[[)]]$"})),
            of("lines", json!({"items": {"properties": {"texts": {"const": "x"}}}})),
            json!({"required": ["too"]}),
            json!({"additionalProperties": true}),
            json!({"$ref": "https://evil.test/x.json"}),
            json!({"anyOf": [{}]}),
            json!({"not": {}}),
        ] {
            assert!(check(&bad).is_err(), "{bad}");
        }
        for unread in [of("to", json!({"maxLength": -1})), of("to", json!({"format": "no-such"}))] {
            assert!(lint_fragment(&unread).is_err(), "{unread}");
        }
    }

    /// The attack: an optional argument is left out, and the server takes a value that the fragment does not allow.
    #[test]
    fn what_a_fragment_names_cannot_be_left_out() {
        let repo = json!({"repo": {"const": "/srv/a"}});
        let lines = json!({"lines": {"items": {"properties": {"text": {"const": "x"}}}}});
        let found = |fragment: &Value, arguments: Value| {
            compile(&whole(fragment)).unwrap().is_valid(&arguments)
        };
        let named = json!({ "properties": repo });
        assert!(found(&named, json!({"repo": "/srv/a", "more": 1})), "the control");
        assert!(!found(&named, json!({})));
        for optional in [json!([]), json!(["more"])] {
            let said = json!({"properties": repo, "required": optional});
            assert!(found(&said, json!({"more": 1})), "{said}");
            assert!(!found(&said, json!({"more": 1, "repo": "/srv/b"})), "{said}");
        }
        let deep = json!({ "properties": lines });
        assert!(found(&deep, json!({"lines": [{"text": "x"}]})), "the control");
        assert!(!found(&deep, json!({"lines": [{}]})));
    }
}
