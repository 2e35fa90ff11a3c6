//! What can be refused before anything is made for a run.

use crate::call::Digest;
use crate::wire::Mandate;
use crate::wire::Places;

use super::bridge::Bridged;
use super::error::{Doing, RunError};
use super::filter::{self, Filters};
use super::request::Request;
use super::settings::Settings;
use super::stdio::Terminals;
use super::view::Shown;
use super::writes::Writes;

/// A request and a host that a run can be made of.
pub(super) struct Checked {
    pub(super) prompt: Digest,
    /// Whose task it is.
    pub(super) mandate: Mandate,
    pub(super) shown: Vec<Shown>,
    pub(super) terminals: Terminals,
    pub(super) writes: Option<Writes>,
    pub(super) filters: Filters,
    /// What the run's loopback is, if it has one.
    pub(super) bridged: Option<Bridged>,
}

impl Checked {
    pub(super) fn new(
        places: &Places,
        settings: &Settings,
        request: &Request,
    ) -> Result<Self, RunError> {
        let uid = rustix::process::geteuid();
        if !uid.is_root() {
            let found = uid.as_raw();
            return Err(RunError::NotRoot { found });
        }
        let threads = std::fs::read_dir("/proc/self/task").doing("count this process's threads")?;
        let found = threads.count();
        if found != 1 {
            return Err(RunError::Threads { found });
        }
        if request.command.is_empty() {
            return Err(RunError::NoCommand);
        }
        let (prompt, mandate) = request.prompt()?;
        let paths = settings.read_only.iter().chain(&request.read_only);
        Ok(Self {
            prompt,
            mandate,
            shown: Shown::open(paths, &request.read_only, places)?,
            terminals: Terminals::find()?,
            writes: Writes::probe().doing("ask for Landlock")?,
            filters: filter::compile()?,
            bridged: Bridged::new(request.bridge, settings)?,
        })
    }
}
