//! Why a policy answered what it answered: which definitions of which rules hold for what it was told, with
//! file and line, from its decision down.

use std::path::Path;

use regorus::Value;
use serde::Serialize;

use super::definitions::{Definition, Definitions, Kind};
use super::hearing::{Answer, Hearing};
use super::policy::PolicyError;
use super::policy_source::Files;
use super::rego::ENTRYPOINT;

/// Rules below rules that are followed.
const DEEP_MAX: usize = 12;

/// Longest value that is shown, in characters.
const VALUE_CHARS_MAX: usize = 120;

/// Why.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explained {
    /// What the policy answers.
    pub answer: Answer,
    /// The definitions that gave a reason; those of the decision itself where there is none.
    pub decided_by: Vec<Decider>,
    /// The rules that the answer came from, each once, below what names it.
    pub rules: Vec<ExplainedRule>,
}

/// A definition that decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decider {
    /// The reason that it gave; none when it is the decision itself.
    pub reason: Option<String>,
    /// Where it stands.
    pub place: Place,
}

/// A rule and what it comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainedRule {
    /// How far it stands below the decision.
    pub deep: usize,
    /// The rule, as `data.atf.gate.reasons`.
    pub rule: String,
    /// Its value as JSON, `undefined`, `a function`, or the error that it ends in.
    pub value: String,
    /// Its definitions.
    pub definitions: Vec<Held>,
}

/// A definition and whether it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Held {
    /// Where it stands.
    pub place: Place,
    /// Whether it gives the rule a value; not known of a function.
    pub holds: Option<bool>,
}

/// Where something stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The module, by its path below the policy's directory.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The line's text.
    pub text: String,
}

/// Explains what the policy in `policy_dir` answers to what was `heard`.
///
/// # Errors
/// When the policy cannot be read.
pub fn explain(policy_dir: &Path, heard: &Hearing) -> Result<Explained, PolicyError> {
    let Files { modules, data, tests: _ } = Files::read(policy_dir)?;
    let refused = |what: String| PolicyError::Refused { path: policy_dir.to_owned(), what };
    let definitions = Definitions::of(&modules, &data).map_err(refused)?;
    let said = definitions.value(ENTRYPOINT, heard.told());
    let said = said.and_then(|value| serde_json::to_value(&value).map_err(|e| e.to_string()));
    let answer = Answer::of(&said);
    let mut walk = Walk { definitions, input: heard.told(), rules: Vec::new(), gave: Vec::new() };
    walk.rule(ENTRYPOINT.to_owned(), 0);
    Ok(Explained { decided_by: walk.deciders(&answer), rules: walk.rules, answer })
}

struct Walk<'a> {
    definitions: Definitions<'a>,
    input: &'a str,
    rules: Vec<ExplainedRule>,
    /// What each definition of a rule that holds has for itself.
    gave: Vec<(Place, Value, usize)>,
}

impl Walk<'_> {
    fn rule(&mut self, rule: String, deep: usize) {
        if deep > DEEP_MAX || self.rules.iter().any(|known| known.rule == rule) {
            return;
        }
        let all: Vec<Definition> = self.definitions.of_rule(&rule).cloned().collect();
        let held: Vec<Option<bool>> = self.held(&all, deep);
        let value = match all.iter().any(|d| d.kind == Kind::Function) {
            true => "a function".to_owned(),
            false => shown(self.definitions.value(&rule, self.input)),
        };
        // What holds names what made it hold; where nothing but a default does, all that is named may
        // have kept it.
        let holds = |(d, held): &(&Definition, &Option<bool>)| {
            **held == Some(true) && d.kind != Kind::Default
        };
        let holding: Vec<&Definition> =
            all.iter().zip(&held).filter(holds).map(|(d, _)| d).collect();
        let telling = if holding.is_empty() { all.iter().collect() } else { holding };
        let below: Vec<String> =
            telling.into_iter().flat_map(|d| self.definitions.named_by(d)).collect();
        let definitions = all
            .iter()
            .zip(held)
            .map(|(definition, holds)| Held { place: self.place(definition), holds })
            .collect();
        self.rules.push(ExplainedRule { deep, rule, value, definitions });
        for rule in below {
            self.rule(rule, deep + 1);
        }
    }

    /// Which of the definitions of one rule hold: a default does when nothing else does.
    fn held(&mut self, all: &[Definition], deep: usize) -> Vec<Option<bool>> {
        let mut any = false;
        let mut held = Vec::new();
        for definition in all {
            held.push(match definition.kind {
                Kind::Function => None,
                Kind::Default => Some(false),
                Kind::Rule => {
                    let value = self.definitions.alone(definition, self.input);
                    let holds = value.as_ref().is_ok_and(|value| !is_nothing(value));
                    any |= holds;
                    if let (true, Ok(value)) = (holds, value) {
                        self.gave.push((self.place(definition), value, deep));
                    }
                    Some(holds)
                }
            });
        }
        for (definition, held) in all.iter().zip(&mut held) {
            if definition.kind == Kind::Default && !any {
                *held = Some(true);
            }
        }
        held
    }

    /// The definitions that gave the answer's reasons. Above them stand those that only pass them on.
    fn deciders(&self, answer: &Answer) -> Vec<Decider> {
        let mut deciders = Vec::new();
        for reason in &answer.reasons {
            let gave = |value: &Value| match value {
                Value::Set(members) => members.contains(&Value::from(reason.as_str())),
                Value::Array(members) => members.contains(&Value::from(reason.as_str())),
                Value::String(text) => text.as_ref() == reason.as_str(),
                _ => false,
            };
            let of_it = self.gave.iter().filter(|(_, value, deep)| *deep > 0 && gave(value));
            deciders.extend(
                of_it.map(|(place, ..)| Decider {
                    reason: Some(reason.clone()),
                    place: place.clone(),
                }),
            );
        }
        if deciders.is_empty() {
            let decision = self.rules.first().map(|rule| rule.definitions.as_slice());
            let holding = decision.unwrap_or_default().iter().filter(|d| d.holds == Some(true));
            deciders.extend(holding.map(|d| Decider { reason: None, place: d.place.clone() }));
        }
        deciders
    }

    fn place(&self, definition: &Definition) -> Place {
        Place {
            file: self.definitions.file(definition).to_owned(),
            line: definition.line,
            text: self.definitions.text(definition).to_owned(),
        }
    }
}

/// Whether a definition has nothing to give: it does not hold, or adds no member to a set or an object.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Undefined => true,
        Value::Set(members) => members.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

fn shown(value: Result<Value, String>) -> String {
    let text = match value {
        Ok(Value::Undefined) => "undefined".to_owned(),
        Ok(value) => value.to_string(),
        Err(error) => format!("error: {error}"),
    };
    match text.char_indices().nth(VALUE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::to_raw_value;
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::gate::policy_rows::shipped;

    /// What the shipped policy is told of an honest call, with changes.
    fn told(change: impl FnOnce(&mut Json)) -> Hearing {
        let mut input = json!({
            "identity": {"tools": ["ledger.adjust"], "prompt": "aa"},
            "call": {"method": "tools/call", "tool": "ledger.adjust", "sink": true,
                     "arguments": {"entry_id": 1, "amount_cents": 5, "reason": "x"}},
            "sql": {}, "prompt": "aa",
            "provenance": {"values": [], "secret_read": false},
        });
        change(&mut input);
        Hearing { input: to_raw_value(&input).unwrap(), said: Err("not asked".to_owned()) }
    }

    /// Each reason, and the text of the line that gave it.
    fn deciders(heard: &Hearing) -> Vec<(String, String)> {
        deciders_of(&shipped(), heard)
    }

    fn deciders_of(policies: &Path, heard: &Hearing) -> Vec<(String, String)> {
        let explained = explain(policies, heard).unwrap();
        for decider in &explained.decided_by {
            // The line is where it says that it is.
            let source = std::fs::read_to_string(policies.join(&decider.place.file)).unwrap();
            let line = source.lines().nth(decider.place.line as usize - 1).unwrap();
            assert_eq!(line, decider.place.text);
        }
        let of = |d: Decider| (d.reason.unwrap_or_default(), d.place.text);
        explained.decided_by.into_iter().map(of).collect()
    }

    #[test]
    fn the_line_that_decided_is_named() {
        let row = |reason: &str, line: &str| (reason.to_owned(), line.to_owned());
        let cap = "reasons contains \"cap.exceeded\" if not amount_is_within_the_cap";
        let prompt = "reasons contains \"policy.prompt_digest\" if not prompt_is_the_tokens";
        let entitled = "reasons contains \"policy.denied\" if not call_is_entitled";
        let much = |input: &mut Json| input["call"]["arguments"]["amount_cents"] = json!(50_001);
        assert_eq!(deciders(&told(|_| {})), [row("", "decision := {")], "the control");
        assert_eq!(deciders(&told(much)), [row("cap.exceeded", cap)]);
        let both = told(|input| {
            much(input);
            input["prompt"] = json!("bb");
        });
        assert_eq!(
            deciders(&both),
            [row("cap.exceeded", cap), row("policy.prompt_digest", prompt)]
        );
        let other = told(|input| input["identity"]["tools"] = json!(["ledger.query"]));
        assert_eq!(deciders(&other), [row("policy.denied", entitled)]);

        // Two definitions give the same reason; one of them did.
        let dir = tempfile::tempdir().unwrap();
        let more = "reasons contains \"policy.denied\" if input.call.sink == false\n";
        let source = std::fs::read_to_string(shipped().join("atf/gate.rego")).unwrap();
        std::fs::write(dir.path().join("gate.rego"), source + more).unwrap();
        std::fs::copy(shipped().join("data.json"), dir.path().join("data.json")).unwrap();
        assert_eq!(deciders_of(dir.path(), &other), [row("policy.denied", entitled)]);
        let no_sink = told(|input| input["call"]["sink"] = json!(false));
        assert_eq!(deciders_of(dir.path(), &no_sink), [row("policy.denied", more.trim_end())]);
    }

    #[test]
    fn the_rules_below_say_what_they_come_to() {
        let heard = told(|input| input["call"]["arguments"]["amount_cents"] = json!(50_001));
        let explained = explain(&shipped(), &heard).unwrap();
        let rule = |name: &str| {
            let rule = explained.rules.iter().find(|rule| rule.rule.ends_with(name));
            rule.unwrap_or_else(|| panic!("{name}: {explained:#?}"))
        };
        assert_eq!(rule(".decision").deep, 0);
        assert_eq!(rule(".reasons").value, r#"["cap.exceeded"]"#);
        let cap = rule(".amount_is_within_the_cap");
        assert_eq!((cap.value.as_str(), cap.deep), ("false", 2));
        let held: Vec<_> = cap.definitions.iter().map(|d| d.holds).collect();
        assert_eq!(held, [Some(true), Some(false)], "{cap:?}");
        assert_eq!(rule(".tool").definitions.len(), 1, "{explained:#?}");
    }

    #[test]
    fn a_policy_that_says_nothing_is_explained_by_its_default() {
        let dir = tempfile::tempdir().unwrap();
        let module = "package atf.gate\nimport rego.v1\nimport data.other.late as late\n\
            default decision := {\"allow\": false, \"reasons\": [\"policy.denied\"], \"obligations\": {}}\n\
            decision := {\"allow\": true, \"reasons\": [], \"obligations\": {}} if not late.held\n";
        let other = "package other.late\nimport rego.v1\nheld if startswith(input.hour, \"2\")\n";
        std::fs::write(dir.path().join("gate.rego"), module).unwrap();
        std::fs::write(dir.path().join("other.rego"), other).unwrap();
        std::fs::write(dir.path().join("data.json"), "{}").unwrap();
        let ask = |hour: Json| {
            let said = Err(String::new());
            let heard = Hearing { input: to_raw_value(&json!({ "hour": hour })).unwrap(), said };
            explain(dir.path(), &heard).unwrap()
        };
        let line = |explained: &Explained| {
            explained.decided_by.iter().map(|d| d.place.line).collect::<Vec<_>>()
        };
        let early = ask(json!("12"));
        assert_eq!((early.answer.allow, line(&early)), (true, vec![5]));
        let late = ask(json!("22"));
        assert_eq!((late.answer.allow, line(&late)), (false, vec![4]));
        assert_eq!(late.rules[1].rule, "data.other.late.held");
        // A rule that fails is no yes, and says so.
        let failed = ask(json!(22));
        assert!(!failed.answer.allow && failed.answer.error.is_some(), "{failed:?}");
        assert!(failed.rules[1].value.starts_with("error: "), "{failed:#?}");
    }
}
