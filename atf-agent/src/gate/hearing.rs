//! What the policy was told of one call and what it answered, in the form in which it is kept: a draft can
//! then be asked the same, and an answer can be explained.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::facts::Decision;
use crate::call::{DecisionId, Digest};

/// The policy's `input`, and its answer to it or the error that it ended in.
#[derive(Debug, Clone)]
pub struct Hearing {
    pub(super) input: Box<RawValue>,
    pub(super) said: Result<Value, String>,
}

/// An answer of a policy, as the gate understands it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// Whether the call may go on.
    pub allow: bool,
    /// The policy's reasons, in their order.
    pub reasons: Vec<String>,
    /// What it wants done.
    pub obligations: Value,
    /// Why there is no answer that is understood, which denies.
    pub error: Option<String>,
}

/// Why a kept hearing is not taken for the one that the log names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HearingError {
    /// Other bytes.
    #[error("what is kept has digest {found}, the log names {expected}: it was changed or torn")]
    Other {
        /// The log's.
        expected: Digest,
        /// That of what is kept.
        found: Digest,
    },
    /// Not of the form in which hearings are kept.
    #[error("what is kept is not understood: {0}; another version of ATF wrote it")]
    Form(String),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept<'a> {
    decision: DecisionId,
    #[serde(borrow)]
    input: &'a RawValue,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answer: Option<Cow<'a, Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<Cow<'a, str>>,
}

impl Hearing {
    /// One line of JSON, without its end; `None` when it cannot be written, which never is.
    pub fn line(&self, decision: DecisionId) -> Option<String> {
        let (answer, error) = match &self.said {
            Ok(said) => (Some(Cow::Borrowed(said)), None),
            Err(error) => (None, Some(Cow::Borrowed(error.as_str()))),
        };
        serde_json::to_string(&Kept { decision, input: &self.input, answer, error }).ok()
    }

    /// Reads a line that `digest`, the log's word for it, stands for.
    ///
    /// # Errors
    /// When it is another line, or none of this form.
    pub fn read(line: &str, digest: Digest) -> Result<Self, HearingError> {
        let found = Digest::of(line.as_bytes());
        if found != digest {
            return Err(HearingError::Other { expected: digest, found });
        }
        let form = |what: String| HearingError::Form(what);
        let kept: Kept<'_> = serde_json::from_str(line).map_err(|error| form(error.to_string()))?;
        let said = match (kept.answer, kept.error) {
            (Some(answer), None) => Ok(answer.into_owned()),
            (None, Some(error)) => Err(error.into_owned()),
            (Some(_), Some(_)) | (None, None) => {
                return Err(form("expected an answer or an error, one of them".to_owned()));
            }
        };
        Ok(Self { input: kept.input.to_owned(), said })
    }

    /// What the policy was told, JSON.
    pub fn told(&self) -> &str {
        self.input.get()
    }

    /// The policy's own value, or the error that it ended in.
    ///
    /// # Errors
    /// That error.
    pub fn answered(&self) -> Result<&Value, &str> {
        self.said.as_ref().map_err(String::as_str)
    }

    /// Whether the answer says by itself what is to be reserved, be it nothing.
    pub(super) fn names_reservation(&self) -> bool {
        let obligations = self.said.as_ref().ok().and_then(|said| said.get("obligations"));
        obligations.is_some_and(|obligations| obligations.get("reserve_cents").is_some())
    }

    /// What the policy answered.
    pub fn answer(&self) -> Answer {
        Answer::of(&self.said)
    }
}

impl Answer {
    /// What a policy's value comes to.
    pub(super) fn of(said: &Result<Value, String>) -> Self {
        match understood(said) {
            Ok(decision) => Self {
                allow: decision.allow && decision.reasons.is_empty(),
                obligations: said.as_ref().map_or(Value::Null, |said| said["obligations"].clone()),
                reasons: decision.reasons,
                error: None,
            },
            Err(error) => Self {
                allow: false,
                reasons: Vec::new(),
                obligations: Value::Null,
                error: Some(error),
            },
        }
    }
}

/// A policy's value as a decision.
///
/// # Errors
/// When there is none, or it is not understood.
pub(super) fn understood(said: &Result<Value, String>) -> Result<Decision, String> {
    let value = said.as_ref().map_err(Clone::clone)?;
    Decision::deserialize(value)
        .map_err(|error| format!("the policy's answer is not understood: {error}: {value}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_kept_is_read_as_it_was_and_nothing_else_is() {
        let said = json!({"allow": false, "reasons": ["cap.exceeded"], "obligations": {}});
        for said in [Ok(said), Err("too long".to_owned())] {
            let hearing = Hearing {
                input: RawValue::from_string(r#"{ "a":1.0 }"#.to_owned()).unwrap(),
                said,
            };
            let line = hearing.line(DecisionId::random()).unwrap();
            let digest = Digest::of(line.as_bytes());
            let read = Hearing::read(&line, digest).unwrap();
            assert_eq!((read.told(), &read.said), (hearing.told(), &hearing.said));
            let changed = line.replace("1.0", "2.0");
            assert!(matches!(Hearing::read(&changed, digest), Err(HearingError::Other { .. })));
        }
        for line in [
            r#"{"input":{}}"#,
            r#"{"decision":"00000000000000000000000000000000","input":{}}"#,
            r#"{"decision":"00000000000000000000000000000000","input":{},"answer":{},"error":"x"}"#,
        ] {
            let read = Hearing::read(line, Digest::of(line.as_bytes()));
            assert!(matches!(read, Err(HearingError::Form(_))), "{line}: {read:?}");
        }
    }

    /// The attack: an answer that looks like a yes to whoever reads `allow` alone.
    #[test]
    fn an_answer_is_a_yes_only_when_the_gate_takes_it_for_one() {
        for (said, allow) in [
            (json!({"allow": true, "reasons": [], "obligations": {}}), true),
            (json!({"allow": true, "reasons": ["policy.denied"], "obligations": {}}), false),
            (json!({"allow": true, "reasons": [], "obligations": {"unknown": 1}}), false),
            (json!({"allow": "true", "reasons": [], "obligations": {}}), false),
            (json!({"allow": true}), false),
            (json!(true), false),
        ] {
            assert_eq!(Answer::of(&Ok(said.clone())).allow, allow, "{said}");
        }
        assert!(!Answer::of(&Err("failed".to_owned())).allow);
    }
}
