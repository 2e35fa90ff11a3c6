//! What a client is asked to do in its run, what it says it saw, and what that comes to.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One call that a client is asked to make.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Call {
    /// Which of the calls.
    pub(super) id: &'static str,
    /// The tool's whole name.
    pub(super) tool: String,
    /// Its arguments.
    pub(super) arguments: Value,
}

/// A call that is permitted, with a part of its right answer.
pub(super) const ALLOWED: &str = "allowed";
/// A call that the gate refuses.
pub(super) const REFUSED: &str = "refused";
/// The permitted call once more: a refusal is not the end.
pub(super) const AGAIN: &str = "again";
/// A call of a tool that the run's token does not name, which is not listed to it.
pub(super) const FOREIGN: &str = "foreign";
/// The permitted call after that one.
pub(super) const AFTER: &str = "after";

/// What the calls must come to.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// The calls, in their order.
    pub(super) calls: Vec<Call>,
    /// What stands in the right answer.
    pub(super) answer: String,
    /// The reason of the refusal.
    pub(super) reason: &'static str,
    /// A tool that is listed.
    pub(super) listed: String,
    /// A tool that is not.
    pub(super) not_listed: Option<String>,
    /// Whether the calls are answered later.
    pub(super) are_deferred: bool,
}

/// What a client says.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Seen {
    /// The revision that was agreed on; a client may not say.
    pub(super) revision: Option<String>,
    /// The tools that were listed to it.
    pub(super) tools: Option<Vec<String>>,
    /// What came of each call.
    pub(super) calls: BTreeMap<String, Saw>,
    /// Why it gave up.
    pub(super) broke: Option<String>,
}

/// What came of a call.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Saw {
    /// `result`, `error` (a result that says that it is one), or the name of what was raised.
    pub(super) how: String,
    /// The result's text, or what was said.
    pub(super) text: String,
}

/// What it comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// Everything is as it must be.
    Works {
        /// The revision, where the client says it.
        revision: Option<String>,
        /// How the client sees a refusal.
        refused: String,
        /// How it sees the call of a tool that is not its, where it makes one.
        foreign: Option<String>,
    },
    /// A step is not.
    Fails {
        /// Which.
        step: &'static str,
        /// What was seen.
        why: String,
    },
    /// The client has no way to come by this door.
    NotOffered,
    /// The package could not be installed.
    NotInstalled,
}

impl Outcome {
    /// Whether there is nothing to mend.
    pub(super) fn is_good(&self) -> bool {
        match self {
            Self::Works { .. } | Self::NotOffered => true,
            Self::Fails { .. } | Self::NotInstalled => false,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Works { .. } => f.write_str("works"),
            Self::Fails { step, .. } => write!(f, "fails: {step}"),
            Self::NotOffered => f.write_str("not offered"),
            Self::NotInstalled => f.write_str("cannot be installed"),
        }
    }
}

/// Judges what was seen.
pub(super) fn judge(seen: &Seen, wanted: &Wanted) -> Outcome {
    let fails = |step, why: String| Outcome::Fails { step, why };
    let saw = |id: &str| seen.calls.get(id).cloned().unwrap_or_default();
    let Some(tools) = &seen.tools else {
        return fails("hello", seen.broke.clone().unwrap_or_default());
    };
    let is_listed = |name: &String| tools.contains(name);
    if !is_listed(&wanted.listed) || wanted.not_listed.as_ref().is_some_and(is_listed) {
        return fails("list", tools.join(", "));
    }
    let is_right = |saw: &Saw| saw.how == "result" && saw.text.contains(&wanted.answer);
    let (allowed, refused, again) = (saw(ALLOWED), saw(REFUSED), saw(AGAIN));
    if !is_right(&allowed) {
        return fails("answer", format!("{}: {}", allowed.how, allowed.text));
    }
    if refused.how == "result" || !refused.text.contains(wanted.reason) {
        return fails("refusal", format!("{}: {}", refused.how, refused.text));
    }
    if !is_right(&again) {
        return fails("again", format!("{}: {}", again.how, again.text));
    }
    let foreign = seen.calls.get(FOREIGN);
    if let Some(foreign) = foreign.filter(|foreign| foreign.how == "result") {
        return fails("foreign", foreign.text.clone());
    }
    // How a client takes 403 is its own affair, and told.
    let goes_on = is_right(&saw(AFTER));
    if let Some(broke) = seen.broke.as_ref().filter(|_| foreign.is_none() || goes_on) {
        return fails("end", broke.clone());
    }
    let foreign = foreign.filter(|foreign| foreign.how != "NotListed").map(|saw| {
        let end = if goes_on { "" } else { ", and its session is over" };
        format!("{}{end}", shown(&saw.how))
    });
    Outcome::Works { revision: seen.revision.clone(), refused: shown(&refused.how), foreign }
}

/// How something was seen, for a reader.
fn shown(how: &str) -> String {
    match how {
        "error" => "a result, `isError`".to_owned(),
        raised => format!("`{raised}` is raised"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wanted() -> Wanted {
        Wanted {
            calls: Vec::new(),
            answer: "42".to_owned(),
            reason: "sql.refused",
            listed: "a.read".to_owned(),
            not_listed: Some("a.write".to_owned()),
            are_deferred: false,
        }
    }

    fn seen(change: impl FnOnce(&mut Value)) -> Outcome {
        let mut seen = json!({
            "revision": "r",
            "tools": ["a.read"],
            "calls": {
                "allowed": {"how": "result", "text": "it is 42"},
                "refused": {"how": "error", "text": "refused: sql.refused"},
                "again": {"how": "result", "text": "it is 42"},
                "foreign": {"how": "McpError", "text": "token.tool_not_named"},
                "after": {"how": "result", "text": "it is 42"},
            },
            "broke": null,
        });
        change(&mut seen);
        judge(&serde_json::from_value(seen).expect("valid"), &wanted())
    }

    #[test]
    fn a_client_works_when_every_step_is_right_and_fails_at_the_first_that_is_not() {
        let works = Outcome::Works {
            revision: Some("r".to_owned()),
            refused: "a result, `isError`".to_owned(),
            foreign: Some("`McpError` is raised".to_owned()),
        };
        assert_eq!(seen(|_| ()), works, "the control");
        let step = |change: fn(&mut Value)| match seen(change) {
            Outcome::Fails { step, .. } => step,
            other => panic!("{other:?}"),
        };
        assert_eq!(step(|s| s["tools"] = json!(null)), "hello");
        assert_eq!(step(|s| s["tools"] = json!([])), "list");
        assert_eq!(step(|s| s["tools"] = json!(["a.read", "a.write"])), "list");
        assert_eq!(step(|s| s["calls"]["allowed"]["text"] = json!("it is 43")), "answer");
        assert_eq!(step(|s| s["calls"]["allowed"]["how"] = json!("error")), "answer");
        assert_eq!(step(|s| s["calls"]["refused"]["how"] = json!("result")), "refusal");
        assert_eq!(step(|s| s["calls"]["refused"]["text"] = json!("it broke")), "refusal");
        assert_eq!(step(|s| s["calls"]["foreign"]["how"] = json!("result")), "foreign");
        assert_eq!(step(|s| s["calls"]["again"]["how"] = json!("TimeoutError")), "again");
        assert_eq!(step(|s| s["calls"] = json!({})), "answer");
        assert_eq!(step(|s| s["broke"] = json!("it broke")), "end");
    }

    #[test]
    fn it_is_told_whether_a_client_goes_on_after_a_tool_that_is_not_its() {
        let foreign = |change: fn(&mut Value)| match seen(change) {
            Outcome::Works { foreign, .. } => foreign,
            other => panic!("{other:?}"),
        };
        assert_eq!(foreign(|_| ()).as_deref(), Some("`McpError` is raised"), "the control");
        let over = foreign(|s| {
            s["calls"]["after"]["how"] = json!("McpError");
            s["broke"] = json!("it broke");
        });
        assert_eq!(over.as_deref(), Some("`McpError` is raised, and its session is over"));
        assert_eq!(foreign(|s| s["calls"]["foreign"]["how"] = json!("NotListed")), None);
    }
}
