//! An ATF for the suite, and the runs in it in which clients are started.

use std::ffi::OsString;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use tempfile::TempDir;

use super::Options;
use super::clients::{AGENT, Door, MANIFEST};
use super::have::{Have, Registry};
use super::seen::{Seen, Wanted};
use crate::demo::installation::{Installation, bridged, copy_tree, folder};
use crate::demo::process::wait;
use crate::served;

/// The longest that a client may take; its script gives up before.
const CLIENT_MAX: Duration = Duration::from_secs(240);

/// The installation; it ends with the value.
pub(super) struct Place {
    pub(super) installation: Installation,
    pub(super) folder: TempDir,
    python: PathBuf,
    node: PathBuf,
}

impl Place {
    /// Makes everything but the start.
    pub(super) fn prepare(options: &Options) -> Result<Self> {
        let folder = folder()?;
        let installation =
            Installation::prepare(folder.path(), &options.atf, &options.policies, "CORE")?;
        let node = folder.path().join("node");
        fs::copy(&options.node, &node).context("no Node")?;
        copy_tree(&options.own.join("clients"), &folder.path().join("clients"))?;
        served::write_manifest(&installation, AGENT, MANIFEST)?;
        Ok(Self { installation, folder, python: options.python.clone(), node })
    }

    /// Starts it.
    pub(super) fn up(&mut self) -> Result<()> {
        self.installation.up(self.folder.path())
    }

    /// What runs a package.
    pub(super) fn program(&self, registry: Registry) -> &Path {
        match registry {
            Registry::Pypi => &self.python,
            Registry::Npm => &self.node,
        }
    }

    /// Has a client do what is wanted, in a run of `agent`, and gives what it says.
    pub(super) fn play(
        &self,
        have: &Have,
        (client, agent): (&str, &str),
        door: Door,
        wanted: &Wanted,
    ) -> Result<Seen> {
        let packages = have.folder(client).context("it is not installed")?;
        let registry = have.registry(client)?;
        let scripts = self.scripts(client, registry, packages)?;
        let job = json!({
            "door": door.name(),
            "atf": self.installation.program(),
            "calls": wanted.calls,
            "deferred": wanted.are_deferred,
        });
        let program = self.program(registry);
        let mut command: Vec<OsString> = vec!["/usr/bin/env".into()];
        let script = match registry {
            Registry::Pypi => {
                command.push(format!("PYTHONPATH={}", packages.display()).into());
                scripts.join(format!("client_{client}.py"))
            }
            Registry::Npm => scripts.join(format!("client_{client}.mjs")),
        };
        command.extend([program.into(), script.into(), job.to_string().into()]);
        let visible = [scripts, packages.to_owned(), self.node.clone()];
        let words = self.installation.words(agent, "compatibility", &visible, &command);
        let words = if door == Door::Bridge { bridged(words) } else { words };
        let said = said(&words)?;
        let line = said.lines().last().unwrap_or_default();
        serde_json::from_str(line).with_context(|| format!("{client} said {said:?}"))
    }

    /// The folder of the scripts; Node looks for packages beside them.
    fn scripts(&self, client: &str, registry: Registry, packages: &Path) -> Result<PathBuf> {
        let all = self.folder.path().join("clients");
        if registry == Registry::Pypi {
            return Ok(all);
        }
        let own = self.folder.path().join("of").join(client);
        if !own.exists() {
            copy_tree(&all, &own)?;
            std::os::unix::fs::symlink(packages.join("node_modules"), own.join("node_modules"))?;
        }
        Ok(own)
    }
}

/// Runs a command to its end; what it wrote to standard output.
fn said(words: &[OsString]) -> Result<String> {
    let mut run = Command::new(&words[0])
        .args(&words[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start a run")?;
    let mut stdout = run.stdout.take().context("the run has no output")?;
    let reader = std::thread::spawn(move || {
        let mut said = String::new();
        stdout.read_to_string(&mut said).map(|_bytes| said)
    });
    wait(&mut run, CLIENT_MAX)?;
    Ok(reader.join().ok().context("nobody read")??)
}
