//! What a call reaches at a server: a tool, a prompt, a resource, or the completion of one of them. Each
//! is named by its server first, so that two servers never share a name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::deferred::Deferred;
use super::names::{PromptName, ToolName};

/// Longest address of a resource in bytes, its server included.
const ADDRESS_BYTES_MAX: usize = 2 << 10;

/// A text that is no address of a resource.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{what}, found {found:?}; expected SERVER+URI of at most {ADDRESS_BYTES_MAX} bytes")]
pub struct AddressError {
    what: &'static str,
    found: String,
}

macro_rules! address {
    ($(#[$doc:meta])* $type:ident, $plain:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// As a run writes it.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The server, and what the server itself calls it.
            pub fn split(&self) -> (&str, &str) {
                self.0.split_once('+').unwrap_or((&self.0, ""))
            }
        }

        impl FromStr for $type {
            type Err = AddressError;
            fn from_str(text: &str) -> Result<Self, AddressError> {
                checked(text, $plain).map(Self)
            }
        }

        impl TryFrom<String> for $type {
            type Error = AddressError;
            fn try_from(text: String) -> Result<Self, AddressError> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(address: $type) -> Self {
                address.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

address!(
    /// The address of a resource: its server, `+`, and a URI (RFC 3986) that climbs nowhere: no `..`, and
    /// no encoded slash, backslash, percent sign or control character.
    ResourceUri,
    is_uri_byte
);
address!(
    /// The address of resources of one kind: the same with places to be filled in (RFC 6570).
    UriTemplate,
    |byte| is_uri_byte(byte) || matches!(byte, b'{' | b'}')
);

/// What a permitted call reaches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// `tools/call` of it.
    Tool(ToolName),
    /// `prompts/get` of it.
    Prompt(PromptName),
    /// `resources/read` of it.
    Resource(ResourceUri),
    /// `resources/subscribe` to it.
    Subscription(ResourceUri),
    /// `completion/complete` of an argument of it.
    PromptArgument(PromptName),
    /// `completion/complete` of a place in it.
    TemplateArgument(UriTemplate),
    /// `tasks/get` and the like, of a deferred call of its tool.
    Deferred(Deferred),
}

impl Target {
    /// Its whole name.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Tool(name) => name.as_str(),
            Self::Prompt(name) | Self::PromptArgument(name) => name.as_str(),
            Self::Resource(uri) | Self::Subscription(uri) => uri.as_str(),
            Self::TemplateArgument(template) => template.as_str(),
            Self::Deferred(deferred) => deferred.tool.as_str(),
        }
    }

    /// The tool that is called, or was when the call was deferred: what token and pin have to name.
    pub fn of_tool(&self) -> Option<&ToolName> {
        match self {
            Self::Tool(name) => Some(name),
            Self::Deferred(deferred) => Some(&deferred.tool),
            Self::Prompt(_)
            | Self::Resource(_)
            | Self::Subscription(_)
            | Self::PromptArgument(_)
            | Self::TemplateArgument(_) => None,
        }
    }

    /// What is asked of a deferred call.
    pub fn deferral(&self) -> Option<&Deferred> {
        match self {
            Self::Deferred(deferred) => Some(deferred),
            Self::Tool(_)
            | Self::Prompt(_)
            | Self::Resource(_)
            | Self::Subscription(_)
            | Self::PromptArgument(_)
            | Self::TemplateArgument(_) => None,
        }
    }

    /// The tool, when it is called now.
    pub fn tool(&self) -> Option<&ToolName> {
        match self {
            Self::Tool(name) => Some(name),
            Self::Prompt(_)
            | Self::Resource(_)
            | Self::Subscription(_)
            | Self::PromptArgument(_)
            | Self::TemplateArgument(_)
            | Self::Deferred(_) => None,
        }
    }

    /// The server, and what the server itself calls it. A name without a dot is of no server: both are
    /// the whole name then, or nothing.
    pub fn split(&self) -> (&str, &str) {
        match self {
            Self::Tool(name) | Self::Deferred(Deferred { tool: name, .. }) => name.split(),
            Self::Prompt(name) | Self::PromptArgument(name) => name.split(),
            Self::Resource(uri) | Self::Subscription(uri) => uri.split(),
            Self::TemplateArgument(template) => template.split(),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Checks an address; its URI may have the bytes that are `plain`.
fn checked(text: &str, plain: impl Fn(u8) -> bool) -> Result<String, AddressError> {
    let refuse = |what| {
        let found = text.chars().take(ADDRESS_BYTES_MAX).collect();
        Err(AddressError { what, found })
    };
    if text.len() > ADDRESS_BYTES_MAX {
        return refuse("the address is too long");
    }
    let Some((server, uri)) = text.split_once('+') else {
        return refuse("the address names no server");
    };
    if !is_server(server) {
        return refuse("the address begins with no server's name");
    }
    let scheme = uri.split_once(':').map_or("", |(scheme, _)| scheme);
    let is_scheme = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.bytes().all(is_scheme) {
        return refuse("the URI has no scheme");
    }
    if !uri.bytes().all(plain) {
        return refuse("the URI has a character that is to be encoded");
    }
    match climbs(uri) {
        Some(what) => refuse(what),
        None => Ok(text.to_owned()),
    }
}

/// What of a URI some reader could take for a way out of where it seems to lead.
fn climbs(uri: &str) -> Option<&'static str> {
    let mut decoded = Vec::with_capacity(uri.len());
    let mut bytes = uri.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|b| char::from(b).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Some("the URI has a percent sign that encodes nothing");
        };
        let byte = u8::try_from(high << 4 | low).unwrap_or(0);
        if byte.is_ascii_control() || matches!(byte, b'/' | b'\\' | b'%') {
            return Some("the URI encodes a slash, backslash, percent sign or control character");
        }
        decoded.push(byte);
    }
    decoded.windows(2).any(|two| two == b"..").then_some("the URI has two dots in a row")
}

/// The characters of RFC 3986, the percent sign included.
fn is_uri_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte)
}

/// The grammar of a server's name, as the executor reads it from the file's name.
pub(super) fn is_server(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-');
    text.starts_with(|c: char| c.is_ascii_lowercase()) && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_server_and_a_uri_that_climbs_nowhere() {
        for good in [
            "files+file:///srv/books/2026.csv",
            "a-b_1+memo:insights",
            "web+https://example.org/a?b=c#d",
            "files+file:///srv/a%20b%C3%A9",
        ] {
            assert!(good.parse::<ResourceUri>().is_ok(), "the control {good}");
            assert!(good.parse::<UriTemplate>().is_ok(), "the control {good}");
        }
        for bad in [
            "",
            "file:///srv/books",
            "+file:///srv",
            "Files+file:///srv",
            "files.x+file:///srv",
            "files+",
            "files+srv/books",
            "files+:x",
            "files+1a:x",
            "files+file:///srv/../etc/passwd",
            "files+file:///srv/%2e%2E/etc/passwd",
            "files+file:///srv/.%2e/etc",
            "files+file:///srv%2fetc",
            "files+file:///srv%5c..%5cetc",
            "files+file:///srv/%252e%252e/etc",
            "files+file:///srv/%00",
            "files+file:///srv/%0a",
            "files+file:///srv/%",
            "files+file:///srv/%4",
            "files+file:///srv/%zz",
            "files+file:///srv/a b",
            "files+file:///srv/a\\b",
            "files+file:///srv/\u{e9}",
            "files+file:///srv/\"",
            "files+file:///srv/\n",
            &format!("files+file:///{}", "a".repeat(ADDRESS_BYTES_MAX)),
        ] {
            assert!(bad.parse::<ResourceUri>().is_err(), "{bad}");
        }
        let template = "files+file:///srv/{name}";
        assert!(template.parse::<ResourceUri>().is_err());
        assert_eq!(
            template.parse::<UriTemplate>().unwrap().split(),
            ("files", "file:///srv/{name}")
        );
    }

    #[test]
    fn a_target_tells_its_server_from_what_the_server_calls_it() {
        for (target, server, own) in [
            (Target::Tool("files.read.text".parse().unwrap()), "files", "read.text"),
            (Target::Prompt("files.review".parse().unwrap()), "files", "review"),
            (Target::Resource("files+file:///a+b".parse().unwrap()), "files", "file:///a+b"),
            (Target::Prompt("review".parse().unwrap()), "review", ""),
        ] {
            assert_eq!(target.split(), (server, own), "{target}");
        }
    }
}
