//! What another policy would have answered to what one was told, and what differs between two of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use super::definitions::Definitions;
use super::hearing::{Answer, Hearing};
use super::policy::{Policy, PolicyError};
use super::policy_source::Files;

/// How an answer would be another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// What was allowed would be denied.
    AllowToDeny,
    /// What was denied would be allowed.
    DenyToAllow,
    /// Denied still, for other reasons.
    Reasons,
    /// Allowed still, with something else to be done.
    Obligations,
}

/// Asks `draft` what was `heard`: its answer, and how it differs when it does.
pub fn replay(draft: &Policy, heard: &Hearing) -> (Answer, Option<Change>) {
    let (was, now) = (heard.answer(), draft.hear_again(heard));
    let change = match (was.allow, now.allow) {
        (true, false) => Some(Change::AllowToDeny),
        (false, true) => Some(Change::DenyToAllow),
        (false, false) => (told(&was) != told(&now)).then_some(Change::Reasons),
        (true, true) => (was.obligations != now.obligations).then_some(Change::Obligations),
    };
    (now, change)
}

/// What counts of a denial: its reasons, or that there was an error. The words of an error may name lines.
fn told(answer: &Answer) -> (BTreeSet<&String>, bool) {
    (answer.reasons.iter().collect(), answer.error.is_some())
}

/// One difference between two policies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Difference {
    /// The file, by its path below the policy's directory.
    pub file: String,
    /// The definition's rule, or the place in the data (RFC 6901).
    pub what: String,
    /// How it is in the first; absent where it is not there.
    pub before: Option<String>,
    /// How it is in the second.
    pub after: Option<String>,
}

/// What differs in the rules and the data of the policies in two directories. Comments and the order of
/// definitions are no difference.
///
/// # Errors
/// When one of them cannot be read.
pub fn differences(first: &Path, second: &Path) -> Result<Vec<Difference>, PolicyError> {
    let (first, second) = (parts(first)?, parts(second)?);
    let all: BTreeSet<&(String, String, String)> = first.keys().chain(second.keys()).collect();
    let differences = all.into_iter().filter_map(|key| {
        let (before, after) = (first.get(key).cloned(), second.get(key).cloned());
        let (file, what, _) = key;
        (before != after).then(|| Difference {
            file: file.clone(),
            what: what.clone(),
            before,
            after,
        })
    });
    Ok(differences.collect())
}

/// The definitions and the values of a policy, each by its file, by what it is of, and by its own text where
/// several are of one rule.
fn parts(dir: &Path) -> Result<BTreeMap<(String, String, String), String>, PolicyError> {
    let Files { modules, data, tests: _ } = Files::read(dir)?;
    let refused = |what: String| PolicyError::Refused { path: dir.to_owned(), what };
    let definitions = Definitions::of(&modules, &data).map_err(refused)?;
    let mut parts = BTreeMap::new();
    for definition in &definitions.all {
        let (file, text) = (definitions.file(definition), definitions.plain(definition));
        parts.insert((file.to_owned(), definition.rule.clone(), text.clone()), text);
    }
    let data: Value = serde_json::from_str(&data).map_err(|error| refused(error.to_string()))?;
    leaves("", &data, &mut |at, value| {
        parts.insert(("data.json".to_owned(), at, String::new()), value.to_string());
    });
    Ok(parts)
}

/// Gives each value that has none below it to `each`, with its place.
fn leaves(at: &str, value: &Value, each: &mut impl FnMut(String, &Value)) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, below) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                leaves(&format!("{at}/{name}"), below, each);
            }
        }
        other => each(at.to_owned(), other),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;
    use serde_json::value::to_raw_value;

    use super::*;

    const DATA: &str = r#"{"limits":{"per_call_cents":5,"per_run_cents":9},"seal":{"refusals":3}}"#;

    /// A policy whose decision is `value` when the tool is known, else its default.
    fn policy(value: &str, data: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let module = format!(
            "package atf.gate\nimport rego.v1\n\ndefault decision := {{\"allow\": false, \
             \"reasons\": [\"policy.denied\"], \"obligations\": {{}}}}\n\n# why\ndecision := {value} \
             if input.tool == \"a\"\n"
        );
        fs::write(dir.path().join("p.rego"), module).unwrap();
        fs::write(dir.path().join("data.json"), data).unwrap();
        dir
    }

    const YES: &str = r#"{"allow": true, "reasons": [], "obligations": {}}"#;
    const PAYS: &str = r#"{"allow": true, "reasons": [], "obligations": {"reserve_cents": 5}}"#;
    const NO: &str = r#"{"allow": false, "reasons": ["cap.exceeded"], "obligations": {}}"#;

    #[test]
    fn a_draft_is_told_what_the_policy_was_told() {
        let heard = |value: &str, tool: &str| {
            let dir = policy(value, DATA);
            let policy = Policy::read(dir.path()).unwrap();
            let input = to_raw_value(&json!({ "tool": tool })).unwrap();
            Hearing { said: policy.said(input.get()), input }
        };
        for (was, tool, draft, change) in [
            (YES, "a", YES, None),
            (YES, "b", NO, None),
            (YES, "a", NO, Some(Change::AllowToDeny)),
            (NO, "a", YES, Some(Change::DenyToAllow)),
            (NO, "a", NO, None),
            (PAYS, "a", YES, Some(Change::Obligations)),
            (NO, "a", &NO.replace("cap.exceeded", "policy.denied"), Some(Change::Reasons)),
            // No answer is no yes, and another no than one with reasons.
            (YES, "a", "{\"allow\": true}", Some(Change::AllowToDeny)),
            (NO, "a", "{\"allow\": true}", Some(Change::Reasons)),
        ] {
            let dir = policy(draft, DATA);
            let found = replay(&Policy::read(dir.path()).unwrap(), &heard(was, tool));
            assert_eq!(found.1, change, "{was} {tool} {draft}: {found:?}");
        }
    }

    #[test]
    fn what_differs_is_named_by_file_and_rule() {
        let (one, same) = (policy(YES, DATA), policy(YES, &DATA.replace(',', ", ")));
        assert_eq!(differences(one.path(), same.path()).unwrap(), []);
        let source = fs::read_to_string(same.path().join("p.rego")).unwrap();
        fs::write(same.path().join("p.rego"), source.replace("# why", "# for a reason\n")).unwrap();
        assert_eq!(differences(one.path(), same.path()).unwrap(), [], "a comment");

        let other = policy(NO, &DATA.replace("\"per_run_cents\":9", "\"per/run\":8"));
        let found = differences(one.path(), other.path()).unwrap();
        let told: Vec<_> = found
            .iter()
            .map(|d| (d.file.as_str(), d.what.as_str(), d.before.is_some(), d.after.is_some()))
            .collect();
        let rule = "data.atf.gate.decision";
        assert_eq!(
            told,
            [
                ("data.json", "/limits/per_run_cents", true, false),
                ("data.json", "/limits/per~1run", false, true),
                ("p.rego", rule, false, true),
                ("p.rego", rule, true, false),
            ]
        );
    }
}
