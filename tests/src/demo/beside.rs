//! The same attempts inside another sandbox: npm's `@anthropic-ai/sandbox-runtime`, which wraps a command
//! with bubblewrap, a filter and proxies. It is told to allow no domain and no write, and nothing else, and is
//! started as it is meant to be: by an unprivileged user, without a capability, over the same lab.
//!
//! This is a comparison and no test. It answers another question than ATF does: its run may read the
//! host's files, and it has no gate to speak with.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::process::{Came, Place, UNPRIVILEGED};
use super::report::Row;
use crate::attempts::{ATTEMPTS, Attempt};
use crate::hijacked::Said;

/// What the report calls it.
pub(super) const NAME: &str = "sandbox-runtime";

/// Where npm puts its program.
const PROGRAM: &str = "node_modules/@anthropic-ai/sandbox-runtime/dist/cli.js";

/// The other sandbox, where an unprivileged user can start it.
pub(super) struct Beside {
    folder: PathBuf,
}

impl Beside {
    /// Copies it from `from`, which has `node` and `node_modules`, to `folder`.
    pub(super) fn new(from: &Path, folder: &Path) -> Result<Self> {
        let folder = folder.join(NAME);
        let run = |program: &str, words: &[&OsStr]| -> Result<()> {
            let status = Command::new(program).args(words).status();
            let status = status.with_context(|| format!("cannot start {program}"))?;
            ensure!(status.success(), "{program} on {} ended with {status}", folder.display());
            Ok(())
        };
        run("cp", &["-rL".as_ref(), from.as_ref(), folder.as_ref()])?;
        run("chmod", &["-R".as_ref(), "a+rX".as_ref(), folder.as_ref()])?;
        let settings = json!({
            "network": {"allowedDomains": [], "deniedDomains": []},
            "filesystem": {"denyRead": [], "allowRead": [], "allowWrite": [], "denyWrite": []},
        });
        fs::write(folder.join("settings.json"), settings.to_string())?;
        Ok(Self { folder })
    }

    /// Makes every attempt; `rows` are in the order of the attempts.
    pub(super) fn run(&self, place: &Place<'_>, rows: &mut [Row]) -> Result<()> {
        self.starts(place)?;
        for (row, attempt) in rows.iter_mut().zip(&ATTEMPTS) {
            // Where it has no cgroups, there is none to get out of.
            if attempt.id != "child_cgroup" {
                let tried = self.try_out(place, attempt).map(|came| outcome(&came));
                row.beside = Some(tried.unwrap_or_else(|error| format!("{error:#}")));
            }
        }
        Ok(())
    }

    /// A sandbox that cannot start a command would stop every attempt.
    fn starts(&self, place: &Place<'_>) -> Result<()> {
        let words =
            place.offered(&["--uid", UNPRIVILEGED], &self.words(&["echo".into(), "in".into()]));
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        let (said, complained) = place.finish(command, |_| Ok(()))?;
        ensure!(said.trim() == "in", "{NAME} starts no command here: {}", complained.trim());
        Ok(())
    }

    fn try_out(&self, place: &Place<'_>, attempt: &Attempt) -> Result<Came> {
        let inner: Vec<OsString> =
            std::iter::once(place.hijacked().into()).chain(place.attempt(attempt)).collect();
        place.try_out(attempt, &["--uid", UNPRIVILEGED], &self.words(&inner), |_| Ok(()))
    }

    fn words(&self, command: &[OsString]) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec![
            "/usr/bin/env".into(),
            "HOME=/tmp".into(),
            self.folder.join("node").into(),
            self.folder.join(PROGRAM).into(),
            "--settings".into(),
            self.folder.join("settings.json").into(),
            "--".into(),
        ];
        words.extend(command.iter().cloned());
        words
    }
}

/// What the canaries say, else what the attacker says of its error.
fn outcome(came: &Came) -> String {
    if !came.reached.is_empty() {
        return "out".to_owned();
    }
    match serde_json::from_str::<Said>(&came.said) {
        Ok(said) => said.errno.unwrap_or_else(|| "nothing arrived".to_owned()),
        Err(_) => format!("did not run: {}", came.complained.trim()),
    }
}
