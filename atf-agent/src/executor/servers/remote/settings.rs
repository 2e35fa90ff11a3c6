//! The file of a server that is reached by a URL. It holds no credential: those are in files of their own,
//! which the executor alone may read.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Component, PathBuf};
use std::time::Duration;

use hyper::header::HeaderName;
use serde::Deserialize;

use super::super::sides::LINE_BYTES_MAX;
use super::address::{Host, Scheme, Url};
use crate::call::Questions;

/// Most headers with a credential.
const HEADERS_MAX: usize = 16;

/// Most addresses that a name is held to.
const ADDRESSES_MAX: usize = 16;

/// Headers that are said here, or that say where a message ends or goes.
const OWN_HEADERS: [&str; 12] = [
    "accept",
    "accept-encoding",
    "connection",
    "expect",
    "host",
    "keep-alive",
    "last-event-id",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// A server that is reached by a URL.
#[derive(Debug, Clone)]
pub(in crate::executor) struct Remote {
    /// Where it is.
    pub(super) url: Url,
    /// The unix socket that is connected to in place of the URL's host.
    pub(super) unix: Option<PathBuf>,
    /// Who has to listen there.
    pub(super) unix_uid: Option<u32>,
    /// Who signs for it, in place of those that the system trusts.
    pub(super) ca_file: Option<PathBuf>,
    /// The addresses that its name has; nobody is asked for them then.
    pub(super) addresses: Vec<IpAddr>,
    /// Whether it is spoken with as 2024-11-05 has it: a stream of events, and messages beside it.
    pub(in crate::executor::servers) is_sse: bool,
    /// What it is told that it may ask of its client. What it asks is judged by the call for which it asks.
    pub(in crate::executor::servers) asks: Questions,
    /// The headers with credentials, and the file of each.
    pub(super) header_files: Vec<(HeaderName, PathBuf)>,
    /// Whose those files are.
    pub(super) owner: u32,
    /// How long a connection may take until it stands.
    pub(super) connect_timeout: Duration,
    /// How long it may take until an answer begins.
    pub(super) answer_timeout: Duration,
    /// Longest answer, and longest event.
    pub(super) answer_bytes_max: usize,
}

/// What of a server's file is about the URL.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::executor::servers) struct File {
    url: String,
    unix: Option<PathBuf>,
    unix_uid: Option<u32>,
    ca_file: Option<PathBuf>,
    #[serde(default)]
    addresses: Vec<IpAddr>,
    plain_http: Option<String>,
    #[serde(default)]
    sse: bool,
    #[serde(default)]
    header_files: BTreeMap<String, PathBuf>,
    #[serde(default)]
    questions: Questions,
    #[serde(default = "connect_timeout_ms")]
    connect_timeout_ms: u64,
    #[serde(default = "answer_timeout_ms")]
    answer_timeout_ms: u64,
    #[serde(default = "answer_bytes_max")]
    answer_bytes_max: usize,
    #[serde(default)]
    pub(in crate::executor::servers) stateless: bool,
    #[serde(default = "super::super::settings::call_timeout_ms")]
    pub(in crate::executor::servers) call_timeout_ms: u64,
    #[serde(default = "super::super::settings::calls_max")]
    pub(in crate::executor::servers) calls_max: usize,
}

/// A few round trips to the other side of the world.
fn connect_timeout_ms() -> u64 {
    5_000
}

/// Below the time for a whole call.
fn answer_timeout_ms() -> u64 {
    20_000
}

fn answer_bytes_max() -> usize {
    LINE_BYTES_MAX
}

impl File {
    /// What it says, when it is plain. `owner` is the executor's uid.
    pub(in crate::executor::servers) fn remote(self, owner: u32) -> Result<Remote, String> {
        let url = Url::read(&self.url)?;
        let (is_name, is_tls) = (matches!(url.host, Host::Name(_)), url.scheme == Scheme::Https);
        let says = |rule: bool, what: &str| if rule { Ok(()) } else { Err(what.to_owned()) };
        let plain = |path: &PathBuf| {
            path.is_absolute() && !path.components().any(|part| part == Component::ParentDir)
        };
        let files = self.unix.iter().chain(&self.ca_file).chain(self.header_files.values());
        says(files.into_iter().all(plain), "paths are absolute and have no `..`")?;
        says(
            self.unix.is_none() || (!is_tls && self.plain_http.is_none()),
            "what goes to a unix socket is not hidden: with `unix`, url begins with http:// and there is no plain_http",
        )?;
        says(self.unix.is_some() || self.unix_uid.is_none(), "unix_uid is of a unix socket")?;
        says(self.ca_file.is_none() || is_tls, "ca_file is of https://")?;
        says(
            self.addresses.is_empty() || (is_tls && is_name),
            "addresses are those of a name behind https://",
        )?;
        says(self.addresses.len() <= ADDRESSES_MAX, "more addresses than are tried")?;
        if !is_tls && self.unix.is_none() {
            plain_http(&url, self.plain_http.as_deref())?;
        } else {
            says(self.plain_http.is_none(), "plain_http is of http://")?;
        }
        says(!(self.sse && self.stateless), "sse is of 2024-11-05, stateless of 2026-07-28")?;
        says(
            self.questions.is_empty() || !(self.sse || self.stateless),
            "questions are told to a server with a handshake, and answered where each call has its own stream: not with sse or stateless",
        )?;
        says(self.header_files.len() <= HEADERS_MAX, "more headers than are sent")?;
        for (what, found, most) in [
            ("connect_timeout_ms", self.connect_timeout_ms, 60_000),
            ("answer_timeout_ms", self.answer_timeout_ms, 600_000),
            ("answer_bytes_max", self.answer_bytes_max as u64, LINE_BYTES_MAX as u64),
        ] {
            if !(1..=most).contains(&found) {
                return Err(format!("{what} is {found}, expected 1 to {most}"));
            }
        }
        let header_files = self.header_files.into_iter().map(header).collect::<Result<_, _>>()?;
        Ok(Remote {
            url,
            unix: self.unix,
            unix_uid: self.unix_uid,
            ca_file: self.ca_file,
            addresses: self.addresses,
            is_sse: self.sse,
            asks: self.questions,
            header_files,
            owner,
            connect_timeout: Duration::from_millis(self.connect_timeout_ms),
            answer_timeout: Duration::from_millis(self.answer_timeout_ms),
            answer_bytes_max: self.answer_bytes_max,
        })
    }
}

impl Remote {
    /// Whether it is reached over IP.
    pub(in crate::executor::servers) fn is_over_ip(&self) -> bool {
        self.unix.is_none()
    }
}

/// What is not hidden stays on this host, or goes where its file says so once more. A name would go where who
/// answers for it says.
fn plain_http(url: &Url, named: Option<&str>) -> Result<(), String> {
    let Host::Address(address) = url.host else {
        return Err("http:// is for an address, not for a name; use https://".to_owned());
    };
    let here =
        format!("{}:{}", url.authority.trim_end_matches(&format!(":{}", url.port)), url.port);
    match (address.is_loopback(), named) {
        (true, None) => Ok(()),
        (true, Some(_)) => Err("plain_http is for another host than this one".to_owned()),
        (false, Some(named)) if named == here => Ok(()),
        (false, _) => Err(format!(
            "http:// hides nothing, the credentials neither; use https://, or say plain_http = {here:?}"
        )),
    }
}

fn header((name, path): (String, PathBuf)) -> Result<(HeaderName, PathBuf), String> {
    let header: HeaderName =
        name.parse().map_err(|_| format!("header_files: {name:?} is no name of a header"))?;
    let lower = header.as_str();
    let is_own = OWN_HEADERS.contains(&lower)
        || ["mcp-", "content-", "proxy-"].iter().any(|own| lower.starts_with(own));
    match is_own {
        true => Err(format!("header_files: {name} is not for a credential")),
        false => Ok((header, path)),
    }
}

/// Whether a file is that of a server by URL, for it is read by other rules.
pub(in crate::executor::servers) fn is_by_url(file: &toml::Table) -> bool {
    file.contains_key("url")
}

#[cfg(test)]
pub(super) fn read_one(text: &str, owner: u32) -> Result<Remote, String> {
    let file: File = toml::from_str(text).map_err(|error| error.message().to_owned())?;
    file.remote(owner)
}

/// The path of a file beside a test's.
#[cfg(test)]
pub(super) fn quoted(path: &std::path::Path) -> String {
    format!("{:?}", path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_by_url_that_is_not_plain_is_refused() {
        let https = "url = \"https://mcp.example.com/mcp\"\n";
        let local = "url = \"http://127.0.0.1:3000/mcp\"\n";
        let far = "url = \"http://10.0.0.7/mcp\"\n";
        let unix = "url = \"http://localhost/mcp\"\nunix = \"/run/mcp/files.sock\"\n";
        for (text, fine) in [
            (https.to_owned(), true),
            (local.to_owned(), true),
            (unix.to_owned(), true),
            (format!("{unix}unix_uid = 1000\n"), true),
            (format!("{https}ca_file = \"/etc/ca.pem\"\naddresses = [\"203.0.113.7\"]\n"), true),
            (format!("{https}[header_files]\nAuthorization = \"/etc/atf/x\"\n"), true),
            (format!("{https}stateless = true\n"), true),
            (format!("{https}sse = true\n"), true),
            (format!("{https}sse = true\nstateless = true\n"), false),
            (format!("{https}proxy = \"http://10.0.0.1\"\n"), false),
            (format!("{https}insecure = true\n"), false),
            (format!("{https}uid = 7\n"), false),
            (format!("{https}ca_file = \"ca.pem\"\n"), false),
            (format!("{https}ca_file = \"/etc/../ca.pem\"\n"), false),
            (format!("{https}unix = \"/run/x.sock\"\n"), false),
            (format!("{https}unix_uid = 7\n"), false),
            (format!("{https}plain_http = \"mcp.example.com:443\"\n"), false),
            (format!("{https}[header_files]\nHost = \"/etc/atf/x\"\n"), false),
            (format!("{https}[header_files]\nMcp-Session-Id = \"/etc/atf/x\"\n"), false),
            (format!("{https}[header_files]\nContent-Length = \"/etc/atf/x\"\n"), false),
            (format!("{https}[header_files]\n\"a b\" = \"/etc/atf/x\"\n"), false),
            (format!("{https}[header_files]\nAuthorization = \"x\"\n"), false),
            (format!("{https}[headers]\nAuthorization = \"Bearer x\"\n"), false),
            (format!("{https}connect_timeout_ms = 0\n"), false),
            (format!("{https}answer_bytes_max = 4194305\n"), false),
            ("url = \"http://localhost:3000/mcp\"\n".to_owned(), false),
            ("url = \"http://mcp.example.com/mcp\"\n".to_owned(), false),
            (far.to_owned(), false),
            (format!("{far}plain_http = \"10.0.0.7:80\"\n"), true),
            (format!("{far}plain_http = \"10.0.0.7\"\n"), false),
            (format!("{far}plain_http = \"10.0.0.8:80\"\n"), false),
            (
                "url = \"http://mcp.example.com/\"\nplain_http = \"mcp.example.com:80\"\n"
                    .to_owned(),
                false,
            ),
            (format!("{local}plain_http = \"127.0.0.1:3000\"\n"), false),
            (format!("{local}ca_file = \"/etc/ca.pem\"\n"), false),
            (format!("{local}addresses = [\"203.0.113.7\"]\n"), false),
        ] {
            let found = read_one(&text, 0);
            assert_eq!(found.is_ok(), fine, "{text}: {found:?}");
        }
    }
}
