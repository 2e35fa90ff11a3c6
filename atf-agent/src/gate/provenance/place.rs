//! Places in a JSON value: JSON pointers (RFC 6901) in which `*` stands for every item or member.

use serde::Deserialize;
use serde_json::Value;

/// Most steps of one place.
const STEPS_MAX: usize = 16;

/// A place, or several of one shape.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Place(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Each,
    Named(String),
}

impl TryFrom<String> for Place {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let Some(steps) = text.strip_prefix('/') else {
            return Err(format!("expected a place that begins with /, found {text:?}"));
        };
        let steps: Vec<Step> = steps.split('/').map(step).collect::<Result<_, _>>()?;
        match steps.len() <= STEPS_MAX {
            true => Ok(Self(steps)),
            false => Err(format!("{text:?} has {} steps, at most {STEPS_MAX}", steps.len())),
        }
    }
}

fn step(text: &str) -> Result<Step, String> {
    if text == "*" {
        return Ok(Step::Each);
    }
    let plain = text.replace("~0", "").replace("~1", "");
    if text.is_empty() || plain.contains(['~', '*']) {
        return Err(format!("{text:?} is no step: a name with ~0 for ~ and ~1 for /, or * alone"));
    }
    Ok(Step::Named(text.replace("~1", "/").replace("~0", "~")))
}

impl Place {
    /// Calls `each` with the strings and numbers of `value` that stand right here.
    pub(super) fn find<'v>(&self, value: &'v Value, each: &mut impl FnMut(&'v Value)) {
        find(&self.0, value, each);
    }
}

fn find<'v>(steps: &[Step], value: &'v Value, each: &mut impl FnMut(&'v Value)) {
    match (steps.split_first(), value) {
        (None, Value::String(_) | Value::Number(_)) => each(value),
        (Some((Step::Each, rest)), Value::Array(items)) => {
            items.iter().for_each(|item| find(rest, item, each));
        }
        (Some((Step::Each, rest)), Value::Object(members)) => {
            members.values().for_each(|member| find(rest, member, each));
        }
        (Some((Step::Named(name), rest)), Value::Object(members)) => {
            if let Some(member) = members.get(name) {
                find(rest, member, each);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_place_is_right_there_and_nowhere_above_or_below() {
        let value = json!({
            "all": [{"to": "a", "n": 1}, {"to": {"to": "deep"}}, {"to": ["b"]}, "to"],
            "x/y": {"*": "star"}, "to": "top",
        });
        for (place, expected) in [
            ("/all/*/to", vec!["a"]),
            ("/all/*/n", vec!["1"]),
            ("/all/*/to/to", vec!["deep"]),
            ("/all/*/to/*", vec!["deep", "b"]),
            ("/all/*", vec!["to"]),
            ("/x~1y/*", vec!["star"]),
            ("/*", vec!["top"]),
            ("/to", vec!["top"]),
            ("/all/0/to", vec![]),
            ("/all", vec![]),
            ("/TO", vec![]),
        ] {
            let mut found = Vec::new();
            let parsed = Place::try_from(place.to_owned()).expect(place);
            parsed.find(&value, &mut |value| {
                found.push(value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            });
            assert_eq!(found, expected, "{place}");
        }
    }

    #[test]
    fn what_is_no_place_is_refused() {
        let deep = "/a".repeat(STEPS_MAX);
        assert!(Place::try_from(deep.clone()).is_ok(), "the control");
        let deeper = format!("{deep}/a");
        for bad in ["", "a", "/", "/a/", "//a", "/a*", "/**", "/~", "/~2", "$.a", &deeper] {
            assert!(Place::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
