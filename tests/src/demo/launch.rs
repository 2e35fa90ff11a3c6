//! The launcher without the kernel programs: what `atf run` does, but without the proof that would
//! refuse to start. For the demo alone, which shows each layer by itself.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use atf_agent::call::Untrusted;
use atf_agent::config::Config;
use atf_agent::kernel::Cage;
use atf_agent::run;
use clap::Args;

/// What is launched.
#[derive(Debug, Args)]
pub struct Launch {
    /// The installation's configuration.
    #[arg(long)]
    config: PathBuf,
    /// The agent.
    #[arg(long)]
    agent: String,
    /// The file with its prompt.
    #[arg(long)]
    prompt: PathBuf,
    /// Host paths that it sees.
    #[arg(long)]
    read_only: Vec<PathBuf>,
    /// The port of its bridge, if it has one.
    #[arg(long, num_args = 0..=1, default_missing_value = "8283")]
    bridge: Option<u16>,
    /// The command.
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// Launches it; its status is ours.
///
/// # Errors
/// When it cannot be launched.
pub fn run(launch: Launch) -> Result<ExitCode> {
    let config = Config::read(Some(&launch.config))?;
    let cage = Cage::locate(&config.places, &config.cage)?;
    let request = run::Request {
        agent: launch.agent.parse().context("no name of an agent")?,
        task: run::Task::Person {
            user: Untrusted::new("demo@example.com".to_owned()),
            task: Untrusted::new("layer C alone".to_owned()),
            file: None,
        },
        prompt_file: launch.prompt,
        lifetime_s: None,
        read_only: launch.read_only,
        bridge: launch.bridge,
        command: launch.command,
        workdir: None,
    };
    let hooks = run::Hooks { agents_dir: cage.agents_dir, prove: || Ok(()) };
    let ended = run::launch(&config.places, &config.ids, &config.run, &request, &hooks)?;
    Ok(ExitCode::from(ended.status))
}
