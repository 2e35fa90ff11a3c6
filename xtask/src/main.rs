//! ATF's own commands, called as `cargo xtask NAME`. One task a file; this one only tells them
//! apart. Progress and prose go to standard error, results to standard output.

mod agentdojo;
mod bench;
mod build;
mod cache;
mod cargo;
mod check;
mod comparison;
mod compatibility;
mod conformance;
mod ebpf;
mod fuzz;
mod node;
mod packages;
mod peers;
mod postgres;
mod progress;
mod python;
mod run;
mod suite;
mod systemd;
mod test;
mod toolchain;
mod vm;

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Build, show, test and measure ATF")]
enum Task {
    /// Show the demo: in a VM (the default) or on this kernel.
    Run(run::Options),
    /// Run every test: format, lints, unit tests, the eBPF object, the demo on the host and in a VM.
    Test,
    /// Measure one area and compare it with its baseline.
    Bench(bench::Options),
    /// Run a long campaign.
    #[command(subcommand)]
    Suite(suite::Suite),
    /// Look for inputs that break a promise, guided by coverage.
    Fuzz(fuzz::Options),
    /// Judge a file of labelled cases with the real gate.
    Check(check::Options),
    /// Build the eBPF object that is committed beside its source.
    Ebpf {
        /// Build nothing anew: prove that the committed object is what the sources give.
        #[arg(long)]
        check: bool,
        /// Build one whose programs log what they deny (aya-log), under the target folder.
        #[arg(long, conflicts_with = "check")]
        lines: bool,
    },
}

fn main() -> ExitCode {
    let done = match Task::parse() {
        Task::Run(options) => run::run(&options),
        Task::Test => test::run(),
        Task::Bench(options) => bench::run(&options),
        Task::Suite(suite) => suite::run(&suite),
        Task::Fuzz(options) => fuzz::run(&options),
        Task::Check(options) => check::run(&options),
        Task::Ebpf { lines: true, .. } => ebpf::lines().map(|()| ExitCode::SUCCESS),
        Task::Ebpf { check, .. } => ebpf::build(check).map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}
