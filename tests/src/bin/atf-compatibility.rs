//! Real MCP clients and servers with ATF between them. Writes the page; its status is 0 if and only if each
//! of them does what it must.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use atf_tests::compatibility::{self, Options};
use clap::Parser;

#[derive(Parser)]
#[command(name = "atf-compatibility")]
struct Cli {
    /// The binary of ATF.
    #[arg(long)]
    atf: PathBuf,
    /// Python.
    #[arg(long)]
    python: PathBuf,
    /// Node.
    #[arg(long)]
    node: PathBuf,
    /// A package of the list that could be installed, as NAME=FOLDER; may be given again.
    #[arg(long, value_parser = named_folder)]
    have: Vec<(String, PathBuf)>,
    /// The folder of the list, the clients' scripts and the page's text.
    #[arg(long, default_value = "tests/compatibility")]
    own: PathBuf,
    /// The folder of the policies.
    #[arg(long, default_value = "policies")]
    policies: PathBuf,
    /// The page to write.
    #[arg(long)]
    page: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

fn named_folder(text: &str) -> Result<(String, PathBuf), String> {
    let (name, folder) = text.split_once('=').ok_or("expected NAME=FOLDER")?;
    Ok((name.to_owned(), folder.into()))
}

fn main() -> ExitCode {
    match show(Cli::parse()) {
        Ok(status) => status,
        Err(error) => {
            eprintln!("compatibility: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn show(cli: Cli) -> Result<ExitCode> {
    let text = cli.own.join("page.md");
    let text = std::fs::read_to_string(&text).with_context(|| format!("no {}", text.display()))?;
    let report = compatibility::run(&Options {
        // A run is shown it by its path.
        atf: cli.atf.canonicalize()?,
        python: cli.python,
        node: cli.node,
        have: cli.have,
        own: cli.own,
        policies: cli.policies,
    })?;
    let page = report.page(&text);
    if let Some(path) = cli.page {
        std::fs::write(&path, &page).with_context(|| format!("no {}", path.display()))?;
    }
    match cli.json {
        true => println!("{}", serde_json::to_string(&report)?),
        false => print!("{page}"),
    }
    Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
