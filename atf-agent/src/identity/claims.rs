//! The claims of a run's token: typed, complete, nothing besides.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::{IdentityError, act};
use crate::call::{AgentName, Chain, Digest, Narrowing, Reach, RunId, Target, ToolName, Untrusted};

/// Longest life of a token in seconds: what a stolen one is worth at most.
pub const TOKEN_TTL_S_MAX: u64 = 300;

/// Seconds by which two clocks may differ. A token lives 300 s, so that more would be a gift.
pub const TOKEN_LEEWAY_S: u64 = 5;

/// Most tools that one token names; with it and the longest texts a token stays
/// below [`super::TOKEN_BYTES_MAX`].
const TOOLS_MAX: usize = 64;
/// The longest user and task in bytes.
pub const TEXT_BYTES_MAX: usize = 256;
const PARTY_BYTES_MAX: usize = 128;

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// The authority's name.
    pub iss: String,
    /// `agent:NAME`: the agent.
    #[serde(with = "agent")]
    pub sub: AgentName,
    /// The gateway's name. One string, never a list.
    pub aud: String,
    /// When it was signed, seconds since the epoch.
    pub iat: u64,
    /// From when it is valid, seconds since the epoch.
    pub nbf: u64,
    /// Until when it is valid, seconds since the epoch; at most [`TOKEN_TTL_S_MAX`] after `iat`.
    pub exp: u64,
    /// `task-run:ID`: the run.
    #[serde(with = "task_run")]
    pub jti: RunId,
    /// For whom and what.
    #[serde(deserialize_with = "only_object")]
    pub context: Context,
    /// What it may reach.
    #[serde(deserialize_with = "only_object")]
    pub entitlements: Entitlements,
    /// `sha256:HEX`: the digest of the system prompt.
    #[serde(with = "sha256")]
    pub prompt_integrity_hash: Digest,
    /// The runs that handed the task on, the parent first; absent when the person started this one.
    #[serde(default, skip_serializing_if = "Chain::is_empty", with = "act")]
    pub act: Chain,
}

/// For whom and what a run acts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// The person for whom it acts; 1 to 256 bytes.
    pub parent_user: Untrusted,
    /// The task; 1 to 256 bytes.
    pub task_id: Untrusted,
}

/// What a token may reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entitlements {
    /// The tools, exactly; no patterns, none twice, at most 64.
    pub allowed_tools: Vec<ToolName>,
    /// What their arguments have to satisfy besides the tools' pins.
    #[serde(default, skip_serializing_if = "Narrowing::is_empty")]
    pub narrowing: Narrowing,
    /// The prompts and resources of servers.
    #[serde(default, skip_serializing_if = "Reach::is_empty", deserialize_with = "only_object")]
    pub reach: Reach,
}

impl Claims {
    /// Reads a payload; every rule that needs no clock and no expectation holds afterwards.
    pub(super) fn read(payload: &[u8]) -> Result<Self, IdentityError> {
        let claims: Self = object(payload).map_err(IdentityError::Claims)?;
        claims.check()?;
        Ok(claims)
    }

    /// Whether these claims are of the profile. The minter asks too, so that no token is signed that
    /// no verifier would take.
    pub(super) fn check(&self) -> Result<(), IdentityError> {
        let wrong = |text: String| Err(IdentityError::Claims(text));
        let texts = [
            ("iss", self.iss.as_str(), PARTY_BYTES_MAX),
            ("aud", self.aud.as_str(), PARTY_BYTES_MAX),
            ("parent_user", self.context.parent_user.raw(), TEXT_BYTES_MAX),
            ("task_id", self.context.task_id.raw(), TEXT_BYTES_MAX),
        ];
        for (name, text, max) in texts {
            if text.is_empty() || text.len() > max {
                return wrong(format!("{name} has {} bytes, expected 1 to {max}", text.len()));
            }
        }
        let tools = &self.entitlements.allowed_tools;
        if tools.len() > TOOLS_MAX {
            return wrong(format!("{} tools, at most {TOOLS_MAX}", tools.len()));
        }
        if let Some(twice) = (1..tools.len()).find(|&i| tools[..i].contains(&tools[i])) {
            return wrong(format!("the tool {} is named twice", tools[twice]));
        }
        if let Err(what) = self.entitlements.narrowing.check(tools) {
            return wrong(what);
        }
        if let Err(what) = self.entitlements.reach.check() {
            return wrong(what);
        }
        if let Err(what) = self.act.check(self.jti) {
            return wrong(format!("act: {what}"));
        }
        match self.exp.checked_sub(self.iat) {
            Some(1..=TOKEN_TTL_S_MAX) if self.nbf < self.exp => Ok(()),
            _ => wrong(format!(
                "iat {}, nbf {}, exp {}: exp must be after nbf and 1 to {TOKEN_TTL_S_MAX} s after iat",
                self.iat, self.nbf, self.exp
            )),
        }
    }

    /// Whether they say what `others` say, whenever either was signed: a token that is renewed says the same.
    pub fn says_what(&self, others: &Self) -> bool {
        let Self { iat, nbf, exp, .. } = *others;
        Self { iat, nbf, exp, ..self.clone() } == *others
    }

    /// Whether the token is valid at `now_unix_s`.
    pub(super) fn check_time(&self, now_unix_s: u64) -> Result<(), IdentityError> {
        let soonest = now_unix_s.saturating_add(TOKEN_LEEWAY_S);
        for (name, at) in [("iat", self.iat), ("nbf", self.nbf)] {
            if at > soonest {
                return Err(IdentityError::Time(format!("{name} {at} is after now, {now_unix_s}")));
            }
        }
        if self.exp.saturating_add(TOKEN_LEEWAY_S) <= now_unix_s {
            return Err(IdentityError::Time(format!(
                "exp {} is past, now is {now_unix_s}",
                self.exp
            )));
        }
        Ok(())
    }

    /// Whether the token names `tool`.
    pub fn names(&self, tool: &ToolName) -> bool {
        self.entitlements.allowed_tools.contains(tool)
    }

    /// Whether the token lets a call reach the target.
    pub fn allows(&self, target: &Target) -> bool {
        match target.of_tool() {
            Some(tool) => self.names(tool),
            None => self.entitlements.reach.allows(target),
        }
    }
}

/// Reads `bytes` as a JSON object, and only as one: serde's derived structs take arrays too.
pub(super) fn object<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Result<T, String> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = only_object(&mut reader).map_err(|error| error.to_string())?;
    reader.end().map_err(|error| error.to_string())?;
    Ok(value)
}

/// A struct from an object and from nothing else.
pub(super) fn only_object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    reader: D,
) -> Result<T, D::Error> {
    struct Only<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Only<T> {
        type Value = T;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }
    }
    reader.deserialize_map(Only(PhantomData))
}

/// A claim that is a word and then a value.
macro_rules! prefixed {
    ($name:ident, $prefix:literal, $type:ty) => {
        pub(super) mod $name {
            use serde::de::Error as _;
            use serde::{Deserialize as _, Deserializer, Serializer};

            pub(in crate::identity) fn serialize<S: Serializer>(
                v: &$type,
                to: S,
            ) -> Result<S::Ok, S::Error> {
                to.collect_str(&format_args!(concat!($prefix, "{}"), v))
            }

            pub(in crate::identity) fn deserialize<'de, D: Deserializer<'de>>(
                d: D,
            ) -> Result<$type, D::Error> {
                let text = String::deserialize(d)?;
                let rest = text
                    .strip_prefix($prefix)
                    .ok_or_else(|| D::Error::custom(concat!("expected \"", $prefix, "...\"")))?;
                rest.parse().map_err(D::Error::custom)
            }
        }
    };
}

prefixed!(agent, "agent:", crate::call::AgentName);
prefixed!(task_run, "task-run:", crate::call::RunId);
prefixed!(sha256, "sha256:", crate::call::Digest);
