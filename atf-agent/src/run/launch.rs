//! The life of a run, in order: check, make, admit, prove, start, keep, take down.

use std::ffi::OsString;
use std::path::Path;

use crate::call::RunId;
use crate::sys::signals::Signals;
use crate::wire::{Ids, Places};
use rustix::process::Signal;

use super::admission::Authority;
use super::cgroup::Cgroup;
use super::checked::Checked;
use super::directory::Directory;
use super::error::{Doing, RunError};
use super::inside::Orders;
use super::keeper::{End, Keeper};
use super::privileges::Limits;
use super::refusals::{self, Refusals};
use super::request::{Ended, Hooks, Request};
use super::settings::Settings;
use super::start::{Ends, Started, start};
use super::supervisor::{PASSED_ON, UNSEEN};
use super::sweep::sweep;
use super::terminal::{self, Terminal};
use super::view::Plan;

/// Makes a run, keeps it until its command ends, and takes it down. The process must be root's and
/// single-threaded; its descriptors 0 to 2 become the command's. SIGTERM, SIGINT, SIGHUP, SIGQUIT and
/// SIGWINCH stay blocked in it: a late one must not end it before it has said how the run ended.
///
/// # Errors
/// When the run cannot start or be kept. Nothing of it is left then, or what is left is logged.
pub fn launch<Prove>(
    places: &Places,
    ids: &Ids,
    settings: &Settings,
    request: &Request,
    hooks: &Hooks<Prove>,
) -> Result<Ended, RunError>
where
    Prove: Fn() -> Result<(), String>,
{
    let checked = Checked::new(places, settings, request)?;
    let [term, int, hup, quit] = PASSED_ON;
    let signals = Signals::block(&[term, int, hup, quit, Signal::WINCH])
        .doing("block the keeper's signals")?;
    if checked.writes.is_none() {
        tracing::warn!(
            "this kernel has no Landlock: a run can write to a named pipe of somebody else's in a \
             directory that it sees; see `atf doctor`"
        );
    }
    let authority = Authority { socket: places.authority_socket() };
    sweep(places, ids, &hooks.agents_dir, &authority);
    let run = RunId::random();
    let mut made = Made {
        run,
        directory: Directory::make(places, ids, run)?,
        cgroup: None,
        is_admitted: false,
        was_sealed: false,
        refusals: None,
        authority,
    };
    let wanted = Wanted { places, ids, settings, request, hooks };
    let outcome = made.live(&wanted, checked, &signals);
    let how = match &outcome {
        Ok((end, _)) => end.to_string(),
        Err(_) => "not started".to_owned(),
    };
    let left_behind = made.take_down(&how);
    for left in &left_behind {
        tracing::error!(%run, left, "the run is not wholly taken down");
    }
    let (end, uid) = outcome?;
    tracing::info!(%run, how, "run ended");
    Ok(Ended {
        run,
        uid,
        status: end.status(),
        sealed: made.was_sealed,
        not_limited: made.cgroup.map(|cgroup| cgroup.not_limited).unwrap_or_default(),
        left_behind,
    })
}

/// What the run does not see may well be on the host, and then that is what to say.
fn on_the_host(error: RunError, command: &[OsString]) -> RunError {
    let program = command.first().map(Path::new);
    match (&error, program.filter(|program| program.is_absolute() && program.exists())) {
        (RunError::Inside { why }, Some(program)) if why.ends_with(UNSEEN) => {
            RunError::Unseen { path: program.to_owned() }
        }
        _ => error,
    }
}

struct Wanted<'a, Prove> {
    places: &'a Places,
    ids: &'a Ids,
    settings: &'a Settings,
    request: &'a Request,
    hooks: &'a Hooks<Prove>,
}

/// What has been made for a run, and is taken down whatever happens.
struct Made {
    run: RunId,
    /// First of all, and locked, so that [`sweep`] finds whatever else there is.
    directory: Directory,
    cgroup: Option<Cgroup>,
    is_admitted: bool,
    was_sealed: bool,
    refusals: Option<Refusals>,
    authority: Authority,
}

impl Made {
    /// From the run's directory to the end of its first process.
    fn live<Prove: Fn() -> Result<(), String>>(
        &mut self,
        wanted: &Wanted<'_, Prove>,
        checked: Checked,
        signals: &Signals,
    ) -> Result<(End, u32), RunError> {
        let made = Cgroup::make(&wanted.hooks.agents_dir, self.run, wanted.settings)?;
        let (cgroup, directory) = (self.cgroup.insert(made), &self.directory);
        if !cgroup.not_limited.is_empty() {
            let limits = cgroup.not_limited.join("; ");
            tracing::warn!(run = %self.run, limits, "this host does not limit the run as configured");
        }
        let (uid, token) = self.authority.register(
            self.run,
            cgroup.id,
            (checked.prompt, checked.mandate),
            checked.bridged.as_ref().map(|bridged| bridged.network.cookie),
            wanted.request,
        )?;
        self.is_admitted = true;
        if uid == 0 || !wanted.ids.is_pool(uid) {
            return Err(RunError::NotPool { found: uid });
        }
        directory.write_token(&token.jwt, uid).doing("write the run's token")?;
        directory.write_prompt(&checked.prompt).doing("write the prompt's digest")?;
        let (terminal, inner) = Terminal::open(checked.terminals, uid)?.unzip();
        let (ends, pipes) = Ends::pair()?;
        let orders = Orders {
            run: self.run,
            uid,
            prompt: checked.prompt,
            plan: Plan {
                shown: checked.shown,
                gateway: directory.gateway()?,
                identity: directory.identity()?,
                base: directory.path().to_owned(),
                scratch_bytes: wanted.settings.scratch_bytes_max,
                uid,
                terminal: inner.is_some(),
            },
            limits: Limits::from(wanted.settings),
            writes: checked.writes,
            filters: checked.filters,
            bridged: checked.bridged,
            terminal_name: inner.as_ref().and_then(|_| terminal::name()),
            terminal: inner.map(|inner| (inner, checked.terminals)),
            pipes,
            command: wanted.request.command.clone(),
            workdir: wanted.request.workdir.clone(),
        };
        let Started { child, listener, alive: _alive } =
            start(cgroup, orders, ends, &wanted.hooks.prove)
                .map_err(|error| on_the_host(error, &wanted.request.command))?;
        match listener {
            Ok(listener) => {
                let whose = refusals::Run { cgroup: cgroup.id, uid };
                let recorder = wanted.places.recorder_socket();
                self.refusals = Some(Refusals::attend(listener, whose, recorder));
            }
            Err(why) => tracing::warn!(
                run = %self.run,
                why,
                "what the system call filter refuses is refused by the kernel and not recorded"
            ),
        }
        tracing::info!(run = %self.run, uid, pid = child.pid.as_raw_nonzero(), "run started");
        let keeper = Keeper {
            run: self.run,
            uid,
            child: &child,
            signals,
            authority: &self.authority,
            directory,
            terminal,
        };
        Ok((keeper.keep(&token)?, uid))
    }

    /// Kills what lives, tells the authority, removes the rest. Each step is tried whatever became of
    /// the one before; what it could not do is told.
    fn take_down(&mut self, how: &str) -> Vec<String> {
        let mut problems = Vec::new();
        problems.extend(self.cgroup.as_ref().and_then(Cgroup::kill));
        // After the last process: nobody can be refused anything any more.
        let refused = self.refusals.take().map(Refusals::finish);
        if self.is_admitted {
            match self.authority.end(self.run, how, refused) {
                Ok(sealed) => self.was_sealed = sealed,
                Err(error) => problems.push(format!("cannot tell the authority: {error}")),
            }
        }
        problems.extend(self.cgroup.as_ref().and_then(Cgroup::remove));
        problems.extend(self.directory.take_down());
        problems
    }
}
