//! `cargo xtask suite postgres [--file FILE]`: what the gate allows, run on a real PostgreSQL. Exit status
//! 0: all of it keeps within the policy; 1: not; 4: it cannot be judged.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

/// It cannot be judged.
const FAILED: u8 = 4;

#[derive(Parser)]
#[command(name = "atf-postgres", about = "What the gate allows, judged by a real PostgreSQL")]
struct Cli {
    /// A corpus of statements (docs/CORPORA.md); without it, the project's own.
    file: Option<PathBuf>,
    /// The form of the answer.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    Text,
    Json,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match atf_tests::postgres::judge(cli.file.as_deref()) {
        Ok(report) => {
            match cli.output {
                Output::Text => println!("{report}"),
                Output::Json => println!("{}", report.json()),
            }
            if report.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("atf-postgres: {error:#}");
            ExitCode::from(FAILED)
        }
    }
}
