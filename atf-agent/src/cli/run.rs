//! `atf run`: the launcher, with the proof that the kernel room gives.

use super::EXIT_NOT_STARTED;
use super::args::RunArguments;
use crate::call::Untrusted;
use crate::config::Config;
use crate::kernel::{self, Cage};
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
        command: wanted.command,
        workdir: None,
    };
    let hooks = run::Hooks {
        agents_dir: cage.agents_dir.clone(),
        prove: || kernel::prove(&cage).map(drop).map_err(|error| error.to_string()),
    };
    let ended = run::launch(&config.places, &config.ids, &config.run, &request, &hooks)?;
    tracing::info!(run = %ended.run, status = ended.status, "ended");
    Ok(ended.status)
}
