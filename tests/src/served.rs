//! Tool servers put behind the executor of a private installation, in the way of an operator: the server's
//! file, its tools' pins, and what the policy says of them.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;

use crate::demo::installation::{Installation, output};

/// A server's file. Unlike the default, it sees the host's `/tmp`, for installations of tests are there.
#[derive(Debug, Serialize)]
pub(crate) struct Server {
    pub(crate) command: String,
    pub(crate) arguments: Vec<String>,
    pub(crate) uid: u32,
    pub(crate) private_tmp: bool,
    pub(crate) stateless: bool,
    /// What it is told that it may ask.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(crate) questions: &'static [&'static str],
    pub(crate) environment: BTreeMap<String, String>,
}

/// What an operator could and could not make pins of.
#[derive(Debug, Default)]
pub(crate) struct Approved {
    /// The whole names of the tools with a pin, in their order.
    pub(crate) tools: Vec<String>,
    /// Those without one, each with the reason.
    pub(crate) refused: Vec<(String, String)>,
}

impl Server {
    /// A server that is started by this command, as the `number`th of an installation. Its uid is of no user,
    /// and of the range that begins with `first`: two installations on one host do not meet.
    pub(crate) fn new(command: &Path, first: u32, number: u32) -> Self {
        const INSTALLATIONS: u32 = 100_000;
        const SERVERS_MAX: u32 = 8;
        Self {
            command: command.display().to_string(),
            arguments: Vec::new(),
            uid: first + (std::process::id() % INSTALLATIONS) * SERVERS_MAX + number,
            private_tmp: false,
            stateless: false,
            questions: &[],
            environment: BTreeMap::new(),
        }
    }

    /// Puts it behind the executor under this name.
    pub(crate) fn put(&self, installation: &Installation, name: &str) -> Result<()> {
        put(self, installation, name)
    }
}

/// The file of a server that is reached by its URL.
#[derive(Debug, Serialize)]
pub(crate) struct ByUrl {
    pub(crate) url: String,
    pub(crate) stateless: bool,
    /// What it is told that it may ask.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(crate) questions: &'static [&'static str],
}

impl ByUrl {
    /// Puts it behind the executor under this name.
    pub(crate) fn put(&self, installation: &Installation, name: &str) -> Result<()> {
        put(self, installation, name)
    }
}

fn put(file: &impl Serialize, installation: &Installation, name: &str) -> Result<()> {
    let servers = &installation.places().servers_dir;
    fs::create_dir_all(servers)?;
    let path = servers.join(format!("{name}.toml"));
    fs::write(&path, toml::to_string(file)?)?;
    Ok(fs::set_permissions(&path, Permissions::from_mode(0o600))?)
}

/// Makes pins of a server's tools; `edit` is what the operator changes in the draft of each, by the name that
/// the server has for it.
pub(crate) fn approve(
    installation: &Installation,
    server: &str,
    mut edit: impl FnMut(&str, &mut Value) -> Result<()>,
) -> Result<Approved> {
    output(installation.atf().args(["tools", "pin", server]))?;
    let proposed = installation.places().policy_dir.join("tools/proposed");
    let mut approved = Approved::default();
    for name in names_in(&proposed, server)? {
        let path = proposed.join(format!("{name}.json"));
        let before: Value = serde_json::from_slice(&fs::read(&path)?)?;
        let mut draft = before.clone();
        let tool = name.split_once('.').map_or("", |(_, tool)| tool);
        edit(tool, &mut draft).with_context(|| format!("the draft of {name}"))?;
        if draft != before {
            fs::write(&path, draft.to_string())?;
        }
        match output(installation.atf().args(["tools", "approve", &name])) {
            Ok(_) => approved.tools.push(name),
            Err(why) => approved.refused.push((name, format!("{why:#}"))),
        }
    }
    Ok(approved)
}

/// The whole names of a server's tools that have a file in this folder.
pub(crate) fn names_in(folder: &Path, server: &str) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("no {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some(name) = name.strip_suffix(".json")
            && name.strip_prefix(server).is_some_and(|rest| rest.starts_with('.'))
        {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Changes the policy's data.
pub(crate) fn change_data(
    installation: &Installation,
    change: impl FnOnce(&mut Value) -> Result<()>,
) -> Result<()> {
    let path = installation.places().policy_dir.join("data.json");
    let mut data: Value = serde_json::from_slice(&fs::read(&path)?)?;
    change(&mut data)?;
    Ok(fs::write(&path, data.to_string())?)
}

/// Writes an agent's manifest.
pub(crate) fn write_manifest(installation: &Installation, agent: &str, text: &str) -> Result<()> {
    Ok(fs::write(installation.places().agents_dir.join(format!("{agent}.toml")), text)?)
}
