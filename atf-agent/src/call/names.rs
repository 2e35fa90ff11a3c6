//! Names and identifiers, each with the grammar that it is read by. A value of these types is safe
//! in a path, in a log and on a terminal.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::random::random;

/// Longest agent or tool name in bytes; MCP asks for at most 128, log columns want less.
const NAME_BYTES_MAX: usize = 64;

/// A text that is not of the grammar of the name that it should be.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{what} must be {grammar}, found {found:?}")]
pub struct NameError {
    what: &'static str,
    grammar: &'static str,
    found: String,
}

/// A name of 1 to 64 letters, digits, `.`, `_` and `-` that starts with a letter or digit.
fn checked(what: &'static str, text: &str) -> Result<String, NameError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let starts_well = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    if starts_well && text.len() <= NAME_BYTES_MAX && text.bytes().all(plain) {
        return Ok(text.to_owned());
    }
    let found = text.chars().take(NAME_BYTES_MAX).collect();
    Err(NameError { what, grammar: "1 to 64 of [A-Za-z0-9._-], a letter or digit first", found })
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                checked($what, text).map(Self)
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// The name of an agent: a kind of worker with a manifest.
    AgentName,
    "an agent's name"
);
name!(
    /// The name of a tool, `server.tool`.
    ToolName,
    "a tool's name"
);

name!(
    /// The name of a prompt, `server.prompt`.
    PromptName,
    "a prompt's name"
);

/// Names of what servers offer.
macro_rules! of_server {
    ($($type:ident)*) => {$(
        impl $type {
            /// The server, and what the server itself calls it. A name without a dot is of no server: the whole name, and
            /// nothing.
            pub fn split(&self) -> (&str, &str) {
                self.0.split_once('.').unwrap_or((&self.0, ""))
            }
        }
    )*};
}
of_server!(ToolName PromptName);

macro_rules! id {
    ($(#[$doc:meta])* $type:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type([u8; 16]);

        impl $type {
            /// A new identifier of 128 random bits.
            ///
            /// # Panics
            /// When the operating system has no random bytes; nothing can be decided then.
            pub fn random() -> Self {
                Self(random())
            }
        }

        impl FromStr for $type {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                let mut bytes = [0; 16];
                let lower = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                if text.len() == 32 && lower && hex::decode_to_slice(text, &mut bytes).is_ok() {
                    return Ok(Self(bytes));
                }
                let found = text.chars().take(NAME_BYTES_MAX).collect();
                Err(NameError { what: $what, grammar: "32 lower-case hexadecimal digits", found })
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(id: $type) -> Self {
                id.to_string()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }
    };
}

id!(
    /// One execution of an agent: one cgroup, one uid, one token chain, one task. Also the name of
    /// the run's cgroup and of its directory under the runtime directory.
    RunId,
    "a run's id"
);
id!(
    /// One decision of the gate; names its permit, its records and its refusal.
    DecisionId,
    "a decision's id"
);

id!(
    /// One deferred call, as its run knows it.
    DeferredId,
    "a deferred call's id"
);

/// The kernel's 64-bit id of a run's cgroup: what every map of the cage is keyed by. It is the inode
/// number of the cgroup's directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CgroupId(pub u64);

impl fmt::Display for CgroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_not_plain_is_refused() {
        for good in ["ledger.query", "a", "A-1_b.c", &"x".repeat(64)] {
            assert!(good.parse::<ToolName>().is_ok(), "{good}");
        }
        for bad in ["", ".hidden", "-x", "a/b", "a b", "lеdger", "a\u{200b}", &"x".repeat(65)] {
            assert!(bad.parse::<ToolName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_id_has_one_spelling() {
        let id = RunId::random();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(
            id.to_string().to_uppercase().parse::<RunId>().is_err()
                || id.to_string().bytes().all(|b| b.is_ascii_digit())
        );
        assert!("../../etc/passwd".parse::<RunId>().is_err());
    }
}
