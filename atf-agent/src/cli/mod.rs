//! The command line: arguments in, rooms composed, an exit status out. Prose goes to standard
//! error, answers to standard output.

mod approvals;
mod args;
mod audit;
mod config;
mod connect;
mod daemon;
mod doctor;
mod enforcer;
mod layout;
mod output;
mod pages;
mod policy;
mod run;
mod runs;
mod sides;
mod tools;
mod up;

pub use args::{Arguments, Command, LogFormat, Output};

use std::process::ExitCode;

use crate::config::Config;

/// Success, and the answer is yes.
pub const EXIT_OK: u8 = 0;
/// The answer is no: the log is broken, the cage is not proven, the configuration is not valid.
pub const EXIT_NO: u8 = 1;
/// The arguments are not understood (clap's own status).
pub const EXIT_USAGE: u8 = 2;
/// The configuration cannot be used, and the command is not [`EXIT_NOT_STARTED`]'s.
pub const EXIT_CONFIG: u8 = 3;
/// Something that the command needs failed or is not there.
pub const EXIT_FAILED: u8 = 4;
/// `atf run` could not start the command, whatever the reason but its own arguments. Else its status is the command's, or 128 and the signal.
pub const EXIT_NOT_STARTED: u8 = 125;

/// Runs one command to its end.
pub fn execute(arguments: Arguments) -> ExitCode {
    let config = match Config::read(arguments.config.as_deref()) {
        Ok(config) => config,
        Err(error) => {
            tracing::error!("{error}");
            let is_run = matches!(arguments.command, Command::Run(_));
            return ExitCode::from(if is_run { EXIT_NOT_STARTED } else { EXIT_CONFIG });
        }
    };
    let at = arguments.config.as_deref();
    let done = match arguments.command {
        Command::Up => up::up(&config, at),
        Command::Run(wanted) => run::run(&config, wanted),
        Command::Connect { prompt_sha256 } => connect::connect(prompt_sha256),
        Command::Runs(wanted) => runs::runs(&config, &wanted),
        Command::Release { run } => runs::release(&config, run),
        Command::Approvals { action } => approvals::approvals(&config, &action),
        Command::Enforcer { action } => enforcer::enforcer(&config, action),
        Command::Doctor { output } => doctor::doctor(&config, output),
        Command::Audit { action } => audit::audit(&config, action),
        Command::Config { action } => config::config(&config, &action),
        Command::Policy { action } => policy::policy(&config, &action),
        Command::Tools { action } => tools::tools(&config, &action),
        Command::Authority(start) => daemon::authority(&config, &start),
        Command::Gateway(start) => daemon::gateway(&config, &start),
        Command::Recorder(start) => daemon::recorder(&config, &start),
        Command::Executor { start, seed_demo: true } => daemon::seed(&config, &start),
        Command::Executor { start, seed_demo: false } => daemon::executor(&config, &start),
        Command::Completions { shell } => pages::completions(shell),
        Command::Man { dir } => pages::man(&dir),
    };
    match done {
        Ok(status) => ExitCode::from(status),
        Err(error) if error.is::<output::Unread>() => ExitCode::from(EXIT_FAILED),
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::from(EXIT_FAILED)
        }
    }
}
