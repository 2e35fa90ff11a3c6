//! The tool servers' files: `NAME.toml` in the servers' directory, one a server. They hold credentials,
//! so they are root's and closed to all others.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::super::spawner::ChildOrders;
use super::remote::{self, Remote};
use crate::call::{Question, Questions};
use crate::gate::{Era, PERMIT_TTL_S};
use crate::state::UNHEARD_HELD_MS;
use crate::state::files::{self, FileError};
use crate::wire::Ids;

/// Longest name of a server in bytes: a tool's whole name has 64.
const NAME_BYTES_MAX: usize = 32;

/// The name under which the built-in tools stand.
const BUILT_IN: &str = "ledger";

/// Most servers: each is a process and a cgroup.
const SERVERS_MAX: usize = 64;

/// Longest time in milliseconds that a server may have for a call. The gateway waits for half a minute by default, and
/// should learn from the executor what became of the call. When it does not, the call's turns end after a while,
/// and its server has to be done by then: with the last moment of the permit for the begin.
const CALL_TIMEOUT_MS_MAX: u64 = UNHEARD_HELD_MS - 1_000 * PERMIT_TTL_S;

/// Most calls that a server may have under way at all.
const CALLS_MAX_MAX: u64 = 1_024;

/// One tool server.
pub struct Server {
    /// Its name: what stands before the dot in the names of its tools.
    pub name: String,
    /// Whether it is spoken with after a handshake, or without one.
    pub(in crate::executor) era: Era,
    /// How long it has for one call.
    pub(in crate::executor) call_timeout: Duration,
    /// Calls that it may have under way.
    pub(in crate::executor) calls_max: usize,
    /// How it is reached.
    pub(in crate::executor) way: Way,
}

impl Server {
    /// The command that starts it, where that is no file of this host: it cannot be started then.
    pub fn missing_command(&self) -> Option<&Path> {
        match &self.way {
            Way::Child(orders, _) => (!orders.program.is_file()).then_some(&orders.program),
            Way::Url(_) => None,
        }
    }
}

/// How a server is reached.
pub(in crate::executor) enum Way {
    /// As a process of its own, which is told that it may ask its client this. When that is anything, it makes one
    /// call at a time.
    Child(ChildOrders, Questions),
    /// By its URL.
    Url(Arc<Remote>),
}

/// Why there are no servers.
#[derive(Debug, thiserror::Error)]
pub enum ServersError {
    /// The directory cannot be listed.
    #[error("cannot list the tool servers in {path}: {error}")]
    List {
        /// The directory.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file cannot be read, or others may read it.
    #[error("a tool server's file is refused: {0}")]
    File(#[from] FileError),
    /// A file is not what it should be.
    #[error("the tool server {path} is not valid: {what}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What was found, what was expected.
        what: String,
    },
    /// What a server by URL needs is not there.
    #[error("the tool server {server} cannot be reached: {what}")]
    Remote {
        /// The server.
        server: String,
        /// What is the matter.
        what: String,
    },
    /// Nobody can give the servers uids of their own.
    #[error(
        "{count} tool servers need uids of their own, which root alone can give: start `atf executor` as root, it drops to its own uid by itself"
    )]
    NotRoot {
        /// How many servers there are.
        count: usize,
    },
    /// The process that starts them could not be made.
    #[error("cannot start the spawner of tool servers: {0}")]
    Spawner(io::Error),
}

/// A server's file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    command: PathBuf,
    #[serde(default)]
    arguments: Vec<String>,
    #[serde(default = "root")]
    directory: PathBuf,
    uid: u32,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    #[serde(default = "yes")]
    private_tmp: bool,
    #[serde(default)]
    stateless: bool,
    #[serde(default = "call_timeout_ms")]
    call_timeout_ms: u64,
    #[serde(default)]
    questions: Questions,
    calls_max: Option<usize>,
    #[serde(default = "processes_max")]
    processes_max: u32,
    #[serde(default = "memory_bytes_max")]
    memory_bytes_max: u64,
}

fn root() -> PathBuf {
    "/".into()
}

fn yes() -> bool {
    true
}

/// Below the gateway's half a minute.
pub(super) fn call_timeout_ms() -> u64 {
    25_000
}

/// Twice what one run may have under way.
pub(super) fn calls_max() -> usize {
    32
}

/// A runtime with a pool of threads has some tens.
fn processes_max() -> u32 {
    128
}

fn memory_bytes_max() -> u64 {
    1 << 30
}

/// Reads every server of `dir`, in the order of their names. No directory is no server.
///
/// # Errors
/// When a file cannot be read, is open to others, or contradicts itself, another, or `ids`. One bad
/// file refuses all: half a tool set is a surprise.
pub fn read(dir: &Path, ids: &Ids) -> Result<Vec<Server>, ServersError> {
    let failed = |error| ServersError::List { path: dir.to_owned(), error };
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut servers: BTreeMap<String, Server> = BTreeMap::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let invalid = |what: String| ServersError::Invalid { path: path.clone(), what };
        // What is to be believed, root or the executor wrote; what holds credentials, nobody else reads.
        let bytes = files::read_trusted(&path, ids.executor)?.unwrap_or_default();
        let found = table(&bytes).map_err(invalid)?;
        let server = match remote::is_by_url(&found) {
            true => by_url(&path, found, ids),
            false => {
                let secret = files::read_secret(&path)?.unwrap_or_default();
                table(&secret).and_then(|found| child(&path, found, ids))
            }
        };
        let server = server.map_err(invalid)?;
        if let Some((uid, other)) = servers.values().find_map(|other| same_uid(&server, other)) {
            return Err(invalid(format!("uid {uid} is {other}'s too; each server has its own")));
        }
        servers.insert(server.name.clone(), server);
        if servers.len() > SERVERS_MAX {
            return Err(invalid(format!("more than {SERVERS_MAX} servers")));
        }
    }
    Ok(servers.into_values().collect())
}

fn table(bytes: &[u8]) -> Result<toml::Table, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    // The message alone: the snippet that goes with it may be a credential.
    toml::from_str(text).map_err(|error| error.message().to_owned())
}

/// The uid of two servers that have one, and the name of the other.
fn same_uid<'a>(server: &Server, other: &'a Server) -> Option<(u32, &'a str)> {
    match (&server.way, &other.way) {
        (Way::Child(one, _), Way::Child(two, _)) => {
            (one.uid == two.uid).then_some((one.uid, other.name.as_str()))
        }
        (Way::Url(_), _) | (_, Way::Url(_)) => None,
    }
}

fn by_url(path: &Path, table: toml::Table, ids: &Ids) -> Result<Server, String> {
    let name = name(path)?;
    let file: remote::File =
        table.try_into().map_err(|error: toml::de::Error| error.message().to_owned())?;
    bounded(&[
        ("call_timeout_ms", file.call_timeout_ms, CALL_TIMEOUT_MS_MAX),
        ("calls_max", file.calls_max as u64, CALLS_MAX_MAX),
    ])?;
    Ok(Server {
        name,
        era: era(file.stateless),
        call_timeout: Duration::from_millis(file.call_timeout_ms),
        calls_max: file.calls_max,
        way: Way::Url(Arc::new(file.remote(ids.executor)?)),
    })
}

fn era(stateless: bool) -> Era {
    if stateless { Era::Stateless } else { Era::Handshake }
}

fn bounded(all: &[(&str, u64, u64)]) -> Result<(), String> {
    match all.iter().find(|(_, found, most)| !(1..=*most).contains(found)) {
        Some((what, found, most)) => Err(format!("{what} is {found}, expected 1 to {most}")),
        None => Ok(()),
    }
}

fn child(path: &Path, table: toml::Table, ids: &Ids) -> Result<Server, String> {
    let name = name(path)?;
    let file: File =
        table.try_into().map_err(|error: toml::de::Error| error.message().to_owned())?;
    let plain = |path: &Path| {
        path.is_absolute() && !path.components().any(|part| part == Component::ParentDir)
    };
    if !plain(&file.command) || !plain(&file.directory) {
        return Err("command and directory are absolute paths without `..`".to_owned());
    }
    let daemons = [ids.group, ids.authority, ids.gateway, ids.recorder, ids.executor];
    if file.uid == 0 || daemons.contains(&file.uid) || ids.is_pool(file.uid) {
        let uid = file.uid;
        return Err(format!("uid {uid} is root's, a daemon's or a run's; give it one of its own"));
    }
    let good = |name: &str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    if let Some(bad) = file.environment.keys().find(|name| !good(name)) {
        return Err(format!("environment: {bad:?} is no name of a variable"));
    }
    let held = |text: &str| text.contains('\0');
    if file.environment.values().chain(&file.arguments).any(|text| held(text)) {
        return Err("arguments and environment cannot hold a NUL".to_owned());
    }
    asks(&file)?;
    let calls_max = file.calls_max.unwrap_or_else(calls_max);
    bounded(&[
        ("call_timeout_ms", file.call_timeout_ms, CALL_TIMEOUT_MS_MAX),
        ("calls_max", calls_max as u64, CALLS_MAX_MAX),
        ("processes_max", file.processes_max.into(), 65_536),
        ("memory_bytes_max", file.memory_bytes_max, 1 << 50),
    ])?;
    Ok(Server {
        name,
        era: era(file.stateless),
        call_timeout: Duration::from_millis(file.call_timeout_ms),
        calls_max,
        way: Way::Child(
            ChildOrders {
                program: file.command,
                arguments: file.arguments,
                directory: file.directory,
                environment: file.environment.into_iter().collect(),
                uid: file.uid,
                private_tmp: file.private_tmp,
                processes_max: file.processes_max,
                memory_bytes_max: file.memory_bytes_max,
            },
            file.questions,
        ),
    })
}

/// What a process may ask is known to be of a call by its being alone. Roots are asked for in no call's name.
fn asks(file: &File) -> Result<(), String> {
    if file.questions.is_empty() {
        return Ok(());
    }
    if file.stateless {
        return Err(
            "questions are told to a server with a handshake: not with stateless".to_owned()
        );
    }
    if file.questions.contains(&Question::Roots) {
        let what = "roots/list is asked for all runs at once, and one would answer for the others";
        return Err(what.to_owned());
    }
    match file.calls_max {
        None | Some(1) => Ok(()),
        Some(_) => {
            Err("a process with questions makes one call at a time: leave calls_max out".to_owned())
        }
    }
}

fn name(path: &Path) -> Result<String, String> {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    let starts_well = stem.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
    if !starts_well || stem.len() > NAME_BYTES_MAX || !stem.bytes().all(plain) {
        return Err(format!(
            "a server's name is 1 to {NAME_BYTES_MAX} of [a-z0-9_-], a letter first, found {stem:?}"
        ));
    }
    if stem == BUILT_IN {
        return Err(format!("{BUILT_IN} is the name of the built-in tools"));
    }
    Ok(stem.to_owned())
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
