//! `cargo xtask check CORPUS FILE`: puts a file of labelled cases to the real gate, and says where they
//! disagree. Exit status 0: each row is judged as labelled; 1: not; 4: the file cannot be judged.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use atf_agent::gate::corpus::{self, CorpusReport};
use clap::{Parser, ValueEnum};

/// The file cannot be judged.
const FAILED: u8 = 4;

#[derive(Parser)]
#[command(name = "atf-check", about = "Labelled cases, judged by the real gate")]
struct Cli {
    /// What the file's rows are.
    #[arg(value_enum)]
    corpus: Corpus,
    /// The file: one JSON object a line; compressed when its name ends in `.gz`.
    file: PathBuf,
    /// The form of the answer.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

#[derive(Clone, Copy, ValueEnum)]
enum Corpus {
    /// Statements, under the ledger's policy.
    Sql,
    /// Tokens, each with its keys and its time.
    Jwt,
    /// JSON-RPC messages.
    Jsonrpc,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    Text,
    Json,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match judge(&cli).and_then(|report| print(&report, cli.output).map(|()| report.is_right())) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("atf-check: {error:#}");
            ExitCode::from(FAILED)
        }
    }
}

fn judge(cli: &Cli) -> Result<CorpusReport> {
    let text = atf_tests::corpus::read(&cli.file)?;
    let lines = text.lines().map(str::to_owned);
    let report = match cli.corpus {
        Corpus::Sql => corpus::sql(lines, &corpus::ledger()),
        Corpus::Jwt => corpus::jwt(lines),
        Corpus::Jsonrpc => corpus::jsonrpc(lines),
    };
    report.with_context(|| format!("{} is no corpus of this kind", cli.file.display()))
}

fn print(report: &CorpusReport, output: Output) -> Result<()> {
    let text = match output {
        Output::Json => serde_json::to_string(report)?,
        Output::Text => {
            let judged = report.cases - report.skipped;
            let mut lines: Vec<String> =
                [("ALLOWED", &report.false_allow), ("DENIED", &report.false_deny)]
                    .into_iter()
                    .flat_map(|(word, ids)| ids.iter().map(move |id| format!("{word}  {id:?}")))
                    .collect();
            lines.push(format!(
                "{} cases: {} of {judged} judged as labelled, {} false allows, {} false denies, {} skipped",
                report.cases,
                report.right,
                report.false_allow.len(),
                report.false_deny.len(),
                report.skipped,
            ));
            lines.join("\n")
        }
    };
    // A reader that went away is no verdict on the gate.
    let _closed = writeln!(std::io::stdout(), "{text}");
    Ok(())
}
