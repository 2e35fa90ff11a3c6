//! `atf run`: the launcher, with the proof that the kernel room gives.

use super::args::RunArguments;
use super::{EXIT_NOT_STARTED, doctor};
use crate::call::{RunId, Untrusted};
use crate::config::Config;
use crate::kernel::{self, Cage, Mode};
use crate::run;

pub(super) fn run(config: &Config, wanted: RunArguments) -> anyhow::Result<u8> {
    match start(config, wanted) {
        Ok(status) => Ok(status),
        Err(error) => {
            tracing::error!("{error:#}");
            Ok(EXIT_NOT_STARTED)
        }
    }
}

/// Proves the cage, and says so when it holds nobody.
fn prove(cage: &Cage) -> Result<(), String> {
    let proof = kernel::prove(cage).map_err(|error| error.to_string())?;
    if proof.mode == Mode::Observe {
        tracing::warn!("{}; the run's own sandbox holds it as ever", doctor::OBSERVES);
    }
    Ok(())
}

/// What the operator of a run is told that was sealed.
fn sealed(run: &RunId) -> String {
    format!(
        "the run was sealed, and could do nothing since; `atf audit show --denied --run {run}` says why"
    )
}

fn start(config: &Config, wanted: RunArguments) -> anyhow::Result<u8> {
    let cage = Cage::locate(&config.places, &config.cage)?;
    let request = run::Request {
        agent: wanted.agent,
        task: match (wanted.parent, wanted.user, wanted.task) {
            (Some(parent), None, None) => run::Task::Run(parent),
            (None, Some(user), Some(task)) => run::Task::Person {
                user: Untrusted::new(user),
                task: Untrusted::new(task),
                file: wanted.task_file,
            },
            _ => anyhow::bail!("give --user and --task, or --parent alone"),
        },
        prompt_file: wanted.prompt,
        lifetime_s: wanted.lifetime,
        read_only: wanted.read_only,
        bridge: wanted.bridge,
        command: wanted.command,
        workdir: None,
    };
    let hooks = run::Hooks { agents_dir: cage.agents_dir.clone(), prove: || prove(&cage) };
    let ended = run::launch(&config.places, &config.ids, &config.run, &request, &hooks)?;
    if ended.sealed {
        tracing::warn!(run = %ended.run, "{}", sealed(&ended.run));
    }
    tracing::info!(run = %ended.run, status = ended.status, "ended");
    Ok(ended.status)
}
