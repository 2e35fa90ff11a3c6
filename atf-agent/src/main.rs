//! `atf`: arguments in, exit status out. `atf_agent::cli` has the rest.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use atf_agent::cli::{self, Arguments, LogFormat};
use clap::Parser as _;
use tracing_subscriber::EnvFilter;

/// A call's way through a daemon is thousands of small allocations, for which the C library's allocator takes a tenth of
/// the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = match EnvFilter::try_new(&arguments.log_filter) {
        Ok(filter) => filter,
        Err(error) => {
            let given = &arguments.log_filter;
            let what = format!("atf: --log-filter {given:?} is not understood: {error}\n");
            let _nobody_reads = std::io::stderr().write_all(what.as_bytes());
            return ExitCode::from(cli::EXIT_USAGE);
        }
    };
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // A line that cannot be written is lost, and nothing else is: the report of that would panic.
        .log_internal_errors(false)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match arguments.log_format {
        LogFormat::Text => log.with_target(false).init(),
        LogFormat::Json => log.json().init(),
    }
    cli::execute(arguments)
}
