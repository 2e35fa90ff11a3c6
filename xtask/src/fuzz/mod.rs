//! `cargo xtask fuzz`: builds the fuzz targets and runs them within bounds, several at once. What makes one
//! fail is kept, and the command that repeats it is printed.

mod outcome;

use std::collections::VecDeque;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Mutex;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{build, cache, cargo, packages, progress};
use outcome::Outcome;

/// One input may take so long: a gate that needs more stalls the line.
const INPUT_S_MAX: u32 = 10;

/// A target may have so much memory.
const MEMORY_MIB_MAX: u32 = 2_048;

/// The sample of a target ends after so long where it has not made its runs: on a slow or busy machine.
const SAMPLE_S_MAX: u64 = 60;

/// A target of `fuzz/fuzz_targets`.
struct Target {
    name: &'static str,
    /// Words that its inputs are made of, in `fuzz/dictionaries`.
    words: Option<&'static str>,
    /// The longest input in bytes.
    input_bytes_max: u32,
    /// How many inputs the sample tries: some ten to twenty seconds.
    sample_runs: u64,
}

impl Target {
    const fn new(
        name: &'static str,
        words: Option<&'static str>,
        input_bytes_max: u32,
        sample_runs: u64,
    ) -> Self {
        Self { name, words, input_bytes_max, sample_runs }
    }
}

const TARGETS: [Target; 5] = [
    Target::new("verdict", None, 2_048, 1_000_000),
    Target::new("message", Some("json.dict"), 4_096, 200_000),
    Target::new("sql", None, 512, 50_000),
    Target::new("arguments", Some("json.dict"), 1_024, 100_000),
    Target::new("policy", None, 512, 150_000),
];

/// What to run, and within which bounds.
#[derive(Args)]
pub(crate) struct Options {
    /// The targets; all of them when none is named.
    targets: Vec<String>,
    /// How long each may take.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// How many inputs each tries at most.
    #[arg(long)]
    runs: Option<u64>,
    /// What chance is dealt from.
    #[arg(long, default_value_t = 1)]
    seed: u32,
    /// Begin with the seeds alone: neither take what earlier runs have found nor keep what this one finds.
    #[arg(long)]
    fresh: bool,
    /// Give this file alone to the target: what a failure has left.
    #[arg(long, requires = "targets")]
    input: Option<PathBuf>,
    /// Whether each target makes its own number of runs.
    #[arg(skip)]
    is_sample: bool,
}

/// The sample of `cargo xtask test`: the same inputs each time.
pub(crate) fn sample() -> Options {
    Options {
        targets: Vec::new(),
        seconds: SAMPLE_S_MAX,
        runs: None,
        seed: 1,
        fresh: true,
        input: None,
        is_sample: true,
    }
}

/// Runs the targets and prints what became of each; the status is 0 when none failed.
///
/// # Errors
/// When they cannot be built or started.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let named = named(&options.targets)?;
    let built = build()?;
    if let Some(input) = &options.input {
        return repeat(&named, &built, input);
    }
    let at_once = std::thread::available_parallelism().map_or(1, usize::from);
    let (waiting, done) = (Mutex::new(VecDeque::from(named)), Mutex::new(Vec::new()));
    let next = || waiting.lock().ok().and_then(|mut waiting| waiting.pop_front());
    std::thread::scope(|threads| {
        for _ in 0..at_once {
            threads.spawn(|| {
                while let Some(target) = next() {
                    let outcome = fuzz(target, &built, options);
                    if let Ok(mut done) = done.lock() {
                        done.push((target.name, outcome));
                    }
                }
            });
        }
    });
    let mut failed = 0;
    for (name, outcome) in done.into_inner().unwrap_or_default() {
        let outcome = outcome.with_context(|| format!("the target {name}"))?;
        println!("{name:<10} {outcome}");
        if let Some(said) = outcome.failure() {
            failed += 1;
            eprintln!("xtask: the target {name} failed\n{said}");
            if let Some(input) = &outcome.input {
                eprintln!("repeat it: cargo xtask fuzz {name} --input {input}");
            }
        }
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn named(names: &[String]) -> Result<Vec<&'static Target>> {
    if names.is_empty() {
        return Ok(TARGETS.iter().collect());
    }
    let find = |name: &String| {
        let found = TARGETS.iter().find(|target| target.name == name);
        let all = TARGETS.map(|target| target.name).join(", ");
        found.with_context(|| format!("no target is named {name}; there are {all}"))
    };
    names.iter().map(find).collect()
}

/// Builds the targets, into a folder of their own: coverage is in the crates of the workspace
/// (`fuzz/instrumented`), and in no other build of them. Returns where the programs are.
fn build() -> Result<PathBuf> {
    packages::ensure(&["g++", "libc6-dev", "nodejs", "python3"])?;
    progress::step("building the fuzz targets", || {
        let folder = cargo::target_folder().join("instrumented");
        let mut build = cargo::cargo(&["build", "--quiet", "--locked", "--package", "atf-fuzz"]);
        build
            .args(["--bins", "--profile", "fuzz"])
            .env("CARGO_TARGET_DIR", &folder)
            .env("RUSTC_WORKSPACE_WRAPPER", cargo::workspace().join("fuzz/instrumented"));
        build::build(&mut build)?;
        Ok(folder.join("fuzz"))
    })
}

/// Gives one input to one target, whose words go where ours go.
fn repeat(named: &[&Target], built: &Path, input: &Path) -> Result<ExitCode> {
    let [target] = named else { bail!("an input is of one target") };
    let mut command = Command::new(built.join(target.name));
    command.args(bounds()).arg(input);
    let status = command.status().with_context(|| format!("cannot start {}", target.name))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn fuzz(target: &Target, built: &Path, options: &Options) -> Result<Outcome> {
    let folder = cargo::scratch(&format!("fuzz/{}", target.name))?;
    let empty = |name: &str| {
        let path = folder.join(name);
        if path.exists() {
            std::fs::remove_dir_all(&path)?;
        }
        std::fs::create_dir(&path).map(|()| path)
    };
    let found = match options.fresh {
        true => empty("found")?,
        false => cache::folder(&format!("fuzz/{}", target.name))?,
    };
    let seeds = empty("seeds")?;
    let log = folder.join("log");
    let mut command = Command::new(built.join(target.name));
    command
        .args(bounds())
        .arg(format!("-seed={}", options.seed))
        .arg(format!("-max_total_time={}", options.seconds))
        .arg(format!("-max_len={}", target.input_bytes_max))
        .args(["-print_final_stats=1", "-use_value_profile=1"])
        .arg(format!("-artifact_prefix={}/", folder.display()));
    if let Some(runs) = options.runs.or(options.is_sample.then_some(target.sample_runs)) {
        command.arg(format!("-runs={runs}"));
    }
    if let Some(words) = target.words {
        let path = cargo::workspace().join("fuzz/dictionaries").join(words);
        command.arg(format!("-dict={}", path.display()));
    }
    let status = command
        .args([&found, &seeds])
        .env("ATF_FUZZ_SEEDS", &seeds)
        .stderr(File::create(&log).context("cannot write the log")?)
        .status()
        .context("cannot start it")?;
    let said = std::fs::read(&log).context("cannot read the log")?;
    Ok(Outcome::read(status, &String::from_utf8_lossy(&said)))
}

fn bounds() -> [String; 2] {
    [format!("-timeout={INPUT_S_MAX}"), format!("-rss_limit_mb={MEMORY_MIB_MAX}")]
}
