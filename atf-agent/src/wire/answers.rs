//! What a server may ask of a run, and what the run answers, on their way through the executor.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::call::{Digest, Questions};

/// What a permit says of it. Absent in one whose server may ask nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// What the server may ask of the run.
    pub questions: Questions,
    /// The digest of the answers; none when the run answers nothing.
    pub answers: Option<Digest>,
    /// Whether it asks by requests while the call is under way, as the handshake revisions have it, and not by its
    /// result.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_request: bool,
}

/// The answers to what a server asked when it was called before.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answers {
    /// By the server's keys, byte for byte as judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub responses: Option<Box<RawValue>>,
    /// What the server gave the run to bring back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

impl Answers {
    /// The digest of all of it: lengths before contents, so that no two give the same text.
    pub fn digest(&self) -> Digest {
        let part = |text: Option<&str>| match text {
            Some(text) => format!("{}:{text}", text.len()),
            None => "-".to_owned(),
        };
        let responses = part(self.responses.as_ref().map(|raw| raw.get()));
        Digest::of(format!("{responses}\n{}", part(self.state.as_deref())).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_cross_byte_for_byte_and_their_digest_covers_both_parts() {
        let raw = |text: &str| Some(RawValue::from_string(text.to_owned()).unwrap());
        let answers = Answers { responses: raw(r#"{ "k":{"n":1e2}}"#), state: Some("s".into()) };
        let sent = serde_json::to_vec(&answers).unwrap();
        let read: Answers = serde_json::from_slice(&sent).unwrap();
        assert_eq!(read.responses.as_ref().unwrap().get(), r#"{ "k":{"n":1e2}}"#);
        assert_eq!(read.digest(), answers.digest(), "the control");
        for other in [
            Answers { state: None, ..answers.clone() },
            Answers { state: Some(String::new()), ..answers.clone() },
            Answers { responses: None, ..answers.clone() },
            Answers { responses: raw(r#"{"k":{"n":1e2}}"#), ..answers.clone() },
        ] {
            assert_ne!(other.digest(), answers.digest(), "{other:?}");
        }
    }
}
