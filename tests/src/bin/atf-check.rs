//! `cargo xtask check CORPUS FILE`: puts a file of labelled cases to the real gate, and says where they
//! disagree. Exit status 0: each row is judged as labelled; 1: not; 4: the file cannot be judged.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, ensure};
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
    let text = read(&cli.file)?;
    let lines = text.lines().map(str::to_owned);
    let report = match cli.corpus {
        Corpus::Sql => corpus::sql(lines, &corpus::ledger()),
        Corpus::Jwt => corpus::jwt(lines),
        Corpus::Jsonrpc => corpus::jsonrpc(lines),
    };
    report.with_context(|| format!("{} is no corpus of this kind", cli.file.display()))
}

/// The file's text. `gzip` undoes the compression, as it does everywhere else on the system.
fn read(file: &Path) -> Result<String> {
    let bytes = if file.extension().is_some_and(|end| end == "gz") {
        let mut gzip = Command::new("gzip");
        gzip.args(["-dc", "--"]).arg(file).stderr(Stdio::inherit());
        let output = gzip.output().context("cannot start gzip")?;
        ensure!(output.status.success(), "gzip cannot read {}", file.display());
        output.stdout
    } else {
        std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?
    };
    String::from_utf8(bytes).with_context(|| format!("{} is no UTF-8", file.display()))
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
