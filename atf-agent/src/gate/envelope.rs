//! The members of a message, borrowed from its text. Only scanned text comes here, so that no name
//! occurs twice and every value is well-formed.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::call::Level;

/// The top level. A member that is present, even as `null`, is `Some`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Envelope<'a> {
    #[serde(borrow)]
    pub(super) jsonrpc: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) method: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) result: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) error: Option<&'a RawValue>,
}

/// The parameters of `tools/call`. Others would be dropped on the way to the executor, so that the
/// caller would not get what it asked for: they are refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ToolParams<'a> {
    #[serde(borrow)]
    pub(super) name: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) arguments: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "_meta", deserialize_with = "present")]
    #[expect(dead_code, reason = "read by AnyParams, which every method shares")]
    meta: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "inputResponses", deserialize_with = "present")]
    #[expect(dead_code, reason = "read by AnswerParams, which several methods share")]
    responses: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "requestState", deserialize_with = "present")]
    #[expect(dead_code, reason = "read by AnswerParams, which several methods share")]
    state: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) task: Option<&'a RawValue>,
}

/// The parameters of `initialize`, as far as ATF acts on them.
#[derive(Deserialize)]
pub(super) struct InitializeParams<'a> {
    #[serde(borrow, rename = "protocolVersion")]
    pub(super) revision: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) capabilities: Option<&'a RawValue>,
}

/// The parameters of `notifications/cancelled`, as far as ATF acts on them.
#[derive(Deserialize)]
pub(super) struct CancelParams<'a> {
    #[serde(borrow, default, rename = "requestId", deserialize_with = "present")]
    pub(super) request: Option<&'a RawValue>,
}

/// What all methods' parameters may have.
#[derive(Deserialize)]
pub(super) struct AnyParams<'a> {
    #[serde(borrow, default, rename = "_meta", deserialize_with = "present")]
    pub(super) meta: Option<&'a RawValue>,
}

/// The members of `_meta` that ATF reads.
#[derive(Default, Deserialize)]
pub(super) struct Meta<'a> {
    #[serde(default, rename = "io.atf/promptSha256", deserialize_with = "text")]
    pub(super) prompt: Option<String>,
    #[serde(
        default,
        rename = "io.modelcontextprotocol/protocolVersion",
        deserialize_with = "text"
    )]
    pub(super) revision: Option<String>,
    #[serde(
        borrow,
        default,
        rename = "io.modelcontextprotocol/clientCapabilities",
        deserialize_with = "present"
    )]
    pub(super) capabilities: Option<&'a RawValue>,
    #[serde(
        borrow,
        default,
        rename = "io.modelcontextprotocol/clientInfo",
        deserialize_with = "present"
    )]
    client: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "progressToken", deserialize_with = "present")]
    pub(super) progress: Option<&'a RawValue>,
    #[serde(default, rename = "io.modelcontextprotocol/logLevel", deserialize_with = "level")]
    pub(super) level: Option<Level>,
}

/// Their names.
pub(super) const META: [&str; 6] = [
    "io.atf/promptSha256",
    "io.modelcontextprotocol/protocolVersion",
    "io.modelcontextprotocol/clientCapabilities",
    "io.modelcontextprotocol/clientInfo",
    "io.modelcontextprotocol/logLevel",
    "progressToken",
];

/// Who the client says that it is; it need not say so.
#[derive(Deserialize)]
#[expect(dead_code, reason = "nothing follows from it but that it is there")]
struct Client<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    version: Cow<'a, str>,
}

impl Meta<'_> {
    /// Whether it has what the stateless era demands of every request.
    pub(super) fn is_whole(&self) -> Result<(), String> {
        if self.revision.is_none() {
            return Err("_meta names no revision".to_owned());
        }
        match self.capabilities {
            Some(capabilities) if capabilities.get().starts_with('{') => {}
            Some(_) => return Err("the clientCapabilities of _meta are no object".to_owned()),
            None => return Err("_meta names no clientCapabilities".to_owned()),
        }
        if let Some(client) = self.client {
            let _told: Client<'_> =
                object(client.get()).map_err(|error| format!("_meta: clientInfo: {error}"))?;
        }
        Ok(())
    }
}

/// A struct from an object and from nothing else: serde's derived structs take arrays too.
pub(super) fn object<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, String> {
    if !json.trim_ascii_start().starts_with('{') {
        return Err("expected an object".to_owned());
    }
    serde_json::from_str(json).map_err(|error| error.to_string())
}

pub(super) fn present<'de, D: Deserializer<'de>>(
    reader: D,
) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(reader).map(Some)
}

fn text<'de, D: Deserializer<'de>>(reader: D) -> Result<Option<String>, D::Error> {
    String::deserialize(reader).map(Some)
}

fn level<'de, D: Deserializer<'de>>(reader: D) -> Result<Option<Level>, D::Error> {
    Level::deserialize(reader).map(Some)
}

/// Names that differ from one of `known` in case alone. Go's decoder takes them for the known one,
/// folding U+017F to `s` and U+212A to `k` too, and so might the next parser on the way.
pub(crate) fn case_variant(json: &str, known: &[&str]) -> Option<String> {
    #[derive(Deserialize)]
    struct Names<'a>(#[serde(borrow)] std::collections::BTreeMap<Cow<'a, str>, &'a RawValue>);
    let names: Names<'_> = serde_json::from_str(json).ok()?;
    let fold = |c: char| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    };
    let alike = |a: &str, b: &str| a.chars().map(fold).eq(b.chars().map(fold));
    let is_variant = |name: &str| known.iter().any(|known| name != *known && alike(name, known));
    names.0.into_keys().find(|name| is_variant(name)).map(Cow::into_owned)
}
