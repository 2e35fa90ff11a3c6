//! `cargo xtask test`: everything, one step after the other, and a table of what became of each.
//! A step that cannot run has failed; nothing passes by being skipped.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::suite::{self, Dealt};
use crate::{bench, build, cargo, ebpf, fuzz, packages, postgres, progress, run, systemd};

/// One step: its name, and the work.
type Step = (&'static str, fn() -> Result<()>);

const STEPS: [Step; 13] = [
    ("format", || tool(&["fmt", "--all", "--check"])),
    ("lints", lints),
    ("cargo test", cargo_test),
    ("SQL by a second parser", sql_by_a_second_parser),
    ("fuzz targets, a sample", || shown(fuzz::run(&fuzz::sample())?)),
    ("ebpf object", || ebpf::build(true)),
    ("demo on this kernel", || demo(&run::Options::host())),
    ("chaos on this kernel", || demo(&suite::chaos(20, &Dealt::default()))),
    ("sockets on this kernel", || demo(&suite::sockets(200_000, &Dealt::default()))),
    ("benches, a sample", bench::sample),
    ("SQL on a real PostgreSQL", sql_on_postgres),
    ("demo in the VM, 6.1", || demo(&run::Options::vm("6.1"))),
    ("systemd in a VM", || shown(systemd::run(run::Output::Text)?)),
];

/// Runs every test.
///
/// # Errors
/// When the packages for it cannot be had. A step's failure is in the table and in the status.
pub(crate) fn run() -> Result<ExitCode> {
    // systemd: its systemd-analyze reads the units. Nothing of it has to run. Node and Python: what the
    // gate takes is held against their readers of JSON.
    packages::ensure(&["gcc", "libc6-dev", "systemd", "nodejs", "python3"])?;
    let mut table: Vec<(&str, Duration, bool)> = Vec::new();
    for (name, work) in STEPS {
        let began = Instant::now();
        let outcome = progress::step(name, work);
        if let Err(error) = &outcome {
            eprintln!("xtask: {name}: {error:#}");
        }
        table.push((name, began.elapsed(), outcome.is_ok()));
    }
    println!();
    for (name, took, passed) in &table {
        let verdict = if *passed { "ok" } else { "FAILED" };
        println!("{name:<24} {verdict:<8} {:>8.1} s", took.as_secs_f64());
    }
    let failed = table.iter().filter(|(_, _, passed)| !passed).count();
    println!("{} steps, {failed} failed", table.len());
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Built first: a build says how far it has come.
fn cargo_test() -> Result<()> {
    build::build(cargo::cargo(&with_workspace("test")).arg("--no-run"))?;
    tool(&with_workspace("test"))
}

fn tool(arguments: &[&str]) -> Result<()> {
    progress::command(&mut cargo::cargo(arguments))
}

/// The rows of SQL once more, in a build with PostgreSQL's own grammar.
fn sql_by_a_second_parser() -> Result<()> {
    packages::ensure(&["libclang-dev"])?;
    let mut test = cargo::cargo(&["test", "--quiet", "--locked", "--package", "atf-agent"]);
    test.args(["--features", "second-parser", "--lib", "--", "gate::sql", "gate::corpus"]);
    progress::command(&mut test)
}

fn lints() -> Result<()> {
    let mut arguments = with_workspace("clippy").to_vec();
    arguments.extend(["--all-targets", "--", "--deny", "warnings"]);
    tool(&arguments)
}

/// The whole workspace but the kernel programs, which are not compiled for the host.
fn with_workspace(task: &'static str) -> [&'static str; 6] {
    [task, "--quiet", "--locked", "--workspace", "--exclude", "atf-ebpf"]
}

fn sql_on_postgres() -> Result<()> {
    if postgres::run(None, run::Output::Text)? != ExitCode::SUCCESS {
        bail!("the server disagrees with the gate; see its table");
    }
    Ok(())
}

fn demo(options: &run::Options) -> Result<()> {
    shown(run::run(options)?)
}

fn shown(status: ExitCode) -> Result<()> {
    if status != ExitCode::SUCCESS {
        bail!("it shows what it must not; see its table");
    }
    Ok(())
}
