//! The tool that a `tools/call` names, read strictly and once.

use serde_json::value::RawValue;

use super::envelope::{self, ToolParams};
use super::receive::invalid;
use super::talk::{Said, Talk};
use crate::audit::Call;
use crate::call::{Digest, Refusal, ToolName};

/// The tool that a request names, and its arguments as they came.
#[derive(Debug)]
pub struct ToolCall {
    pub(super) name: ToolName,
    arguments: Box<RawValue>,
    pub(super) digest: Digest,
    pub(super) talk: Box<Talk>,
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
        let talk = Box::new(Talk::read(said, params)?);
        Ok(Self { name, talk, digest: Digest::of(arguments.get().as_bytes()), arguments })
    }

    /// The tool.
    pub fn name(&self) -> &ToolName {
        &self.name
    }

    /// The arguments, byte for byte; `{}` when there were none.
    pub fn arguments(&self) -> &RawValue {
        &self.arguments
    }

    /// The digest of the arguments' bytes.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// What may go to and fro while the server works on it.
    pub(super) fn talk(&self) -> &Talk {
        &self.talk
    }

    pub(super) fn describe(&self, call: &mut Call) {
        call.tool = Some(self.name.as_str().into());
        call.arguments = Some(self.digest);
        call.answers = self.talk.digest();
    }
}
