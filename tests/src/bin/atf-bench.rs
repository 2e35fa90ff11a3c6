//! `cargo xtask bench AREA`: measures, and prints a table or JSON.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use atf_tests::bench::{self, Extent, Options, Peer, Peers};
use clap::{Parser, ValueEnum};

/// The allocator of the daemons, whose steps are measured here.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(name = "atf-bench", about = "What ATF costs, beside baselines of the same run")]
struct Cli {
    /// The area.
    #[arg(value_enum)]
    area: Area,
    /// The form of the answer.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
    /// The folder of the policies.
    #[arg(long, default_value = "policies")]
    policies: PathBuf,
    /// The Python packages of other deciders, a folder each, for the area `gate`.
    #[arg(long, value_name = "FOLDER")]
    peers: Option<PathBuf>,
    /// Measure the area `gateway` beside an MCP endpoint on loopback that offers `ledger.query`; may be given
    /// again.
    #[arg(long = "peer", value_name = "NAME=URL")]
    beside: Vec<Peer>,
    /// The bearer token that the peers want, in a file.
    #[arg(long, value_name = "FILE")]
    peer_token: Option<PathBuf>,
    /// Where the tool listens that the peers are to stand before, as plain MCP over HTTP.
    #[arg(long, value_name = "ADDRESS:PORT")]
    upstream: Option<SocketAddr>,
    /// Of the area `gateway`, measure only the loads whose names contain this ("8 connections"), or the
    /// memory ("memory").
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Do a hundredth of it: it shows that it can be measured, and its figures say nothing.
    #[arg(long)]
    sample: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Area {
    /// The decision alone, as a whole and step by step.
    Gate,
    /// The gate, the whole call, the seal.
    Line,
    /// The kernel programs: operations with and without them, the seal, the making of runs.
    Cage,
    /// The whole line under load.
    Gateway,
    /// A worker of the area `cage`. For the bench itself.
    #[value(hide = true)]
    CageWorker,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    Text,
    Json,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("atf-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    let myself = std::env::current_exe()?;
    let beside = myself.parent().context("this program has no folder")?;
    let options = Options {
        atf: beside.join("atf"),
        demo: beside.join("demo"),
        hijacked: beside.join("hijacked"),
        policies: cli.policies.clone(),
        peers: cli.peers.clone(),
        only: cli.only.clone(),
        beside: Peers {
            all: cli.beside.clone(),
            token_file: cli.peer_token.clone(),
            upstream: cli.upstream,
        },
        extent: if cli.sample { Extent::Sample } else { Extent::Whole },
    };
    let report = match cli.area {
        Area::Gate => bench::gate(&options)?,
        Area::Line => bench::line(&options)?,
        Area::Cage => bench::cage(&options)?,
        Area::Gateway => bench::gateway(&options)?,
        Area::CageWorker => return bench::work_in_cage(),
    };
    match cli.output {
        Output::Text => println!("{}", report.table()),
        Output::Json => println!("{}", serde_json::to_string(&report)?),
    }
    Ok(())
}
