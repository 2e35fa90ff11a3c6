//! The tool that a `tools/call` names, read strictly and once.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::deferral::Wanted;
use super::envelope::{self, ToolParams};
use super::receive::invalid;
use super::talk::{Said, Talk};
use crate::audit::Call;
use crate::call::{Digest, Refusal, ToolName};
use crate::wire::MayDefer;

/// The arguments, each as it is written.
#[derive(Deserialize)]
struct Members<'a>(#[serde(borrow)] BTreeMap<Cow<'a, str>, &'a RawValue>);

/// The tool that a request names, and its arguments as they came.
#[derive(Debug)]
pub struct ToolCall {
    pub(super) name: ToolName,
    arguments: Box<RawValue>,
    pub(super) digest: Digest,
    pub(super) talk: Box<Talk>,
    wanted: Wanted,
    may_defer: Option<MayDefer>,
}

impl ToolCall {
    /// Reads the parameters of a `tools/call`.
    pub(super) fn read(params: Option<&RawValue>, said: Said<'_>) -> Result<Self, Refusal> {
        let params = params.ok_or_else(|| invalid("tools/call without params".to_owned()))?;
        let call: ToolParams<'_> =
            envelope::object(params.get()).map_err(|e| invalid(format!("params: {e}")))?;
        let name = call.name.parse().map_err(|error| invalid(format!("{error}")))?;
        let arguments = match call.arguments {
            Some(raw) if raw.get().starts_with('{') => raw.to_owned(),
            Some(_) => return Err(invalid("arguments are no object".to_owned())),
            None => RawValue::from_string("{}".to_owned()).map_err(|e| invalid(e.to_string()))?,
        };
        let mut talk = Box::new(Talk::read(said, params)?);
        let (wanted, digest) =
            (Wanted::read(said, call.task)?, Digest::of(arguments.get().as_bytes()));
        // One that is deferred is answered before its server has begun.
        if wanted == Wanted::Now {
            talk.asks_by_request(said);
        }
        Ok(Self { name, talk, digest, arguments, wanted, may_defer: None })
    }

    /// The tool.
    pub fn name(&self) -> &ToolName {
        &self.name
    }

    /// The arguments, byte for byte but for a canonical text (R13); `{}` when there were none.
    pub fn arguments(&self) -> &RawValue {
        &self.arguments
    }

    /// The digest of the arguments' bytes.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Whether a promise is what answers it: a result would be none to its client.
    pub fn wants_promise(&self) -> bool {
        matches!(self.wanted, Wanted::Later { .. })
    }

    /// When the run wants the result.
    pub(super) fn wanted(&self) -> Wanted {
        self.wanted
    }

    /// How the server may defer it; not before somebody has said so.
    pub(super) fn may_defer(&self) -> Option<MayDefer> {
        self.may_defer
    }

    pub(super) fn deferred(&mut self, may_defer: Option<MayDefer>) {
        self.may_defer = may_defer;
    }

    /// What may go to and fro while the server works on it.
    pub(super) fn talk(&self) -> &Talk {
        &self.talk
    }

    /// Puts a text in the place of an argument, and leaves every other byte as it came. From here on this is what
    /// is judged, permitted and sent: the digest is of it.
    pub(super) fn put(&mut self, argument: &str, text: &str) -> Result<(), String> {
        let whole = self.arguments.get();
        let Members(members) = envelope::object(whole)?;
        let old = members.get(argument).ok_or_else(|| format!("no argument {argument}"))?.get();
        // A value is borrowed from the text that it stands in.
        let at = old.as_ptr().addr() - whole.as_ptr().addr();
        let new = serde_json::to_string(text).map_err(|error| error.to_string())?;
        let changed = [&whole[..at], &new, &whole[at + old.len()..]].concat();
        self.digest = Digest::of(changed.as_bytes());
        self.arguments = RawValue::from_string(changed).map_err(|error| error.to_string())?;
        Ok(())
    }

    pub(super) fn describe(&self, call: &mut Call) {
        call.tool = Some(self.name.as_str().into());
        call.arguments = Some(self.digest);
        call.answers = self.talk.digest();
        call.began = self.talk.continues().map(|continues| continues.decision);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(arguments: &str) -> ToolCall {
        let arguments = RawValue::from_string(arguments.to_owned()).unwrap();
        let digest = Digest::of(arguments.get().as_bytes());
        ToolCall {
            name: "t".parse().unwrap(),
            arguments,
            digest,
            talk: Box::default(),
            wanted: Wanted::default(),
            may_defer: None,
        }
    }

    #[test]
    fn one_argument_changes_and_no_other_byte() {
        for (came, expected) in [
            (r#"{"sql":"a"}"#, r#"{"sql":"say \"é\""}"#),
            (
                r#"{ "n" : 1.0 ,"sql":"a" , "x":[ 1, "a" ] }"#,
                r#"{ "n" : 1.0 ,"sql":"say \"é\"" , "x":[ 1, "a" ] }"#,
            ),
            (
                r#"{"other":"a","s\u0071l":"\u0061","z":{"sql":"a"}}"#,
                r#"{"other":"a","s\u0071l":"say \"é\"","z":{"sql":"a"}}"#,
            ),
        ] {
            let mut call = call(came);
            call.put("sql", "say \"é\"").unwrap();
            assert_eq!(call.arguments().get(), expected);
            assert_eq!(
                call.digest(),
                Digest::of(expected.as_bytes()),
                "the digest is of what is sent"
            );
        }
        assert!(call(r#"{"s":"a"}"#).put("sql", "b").is_err(), "what is not there is not added");
    }
}
