//! `cargo xtask run`: the demo, on this kernel or in VMs, and one report for each.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde::Deserialize;

use crate::{cargo, packages, progress, vm};

/// What to show and where.
#[derive(Args)]
pub(crate) struct Options {
    /// Show it on this kernel, as root, instead of in a VM.
    #[arg(long, conflicts_with_all = ["kernel", "kvm"])]
    host: bool,
    /// The VM's kernels, one VM after the other.
    #[arg(long, value_delimiter = ',', default_value = "6.1")]
    kernel: Vec<String>,
    /// Which suite to run.
    #[arg(long, default_value = "demo")]
    suite: String,
    /// Use KVM, when it proves that it boots; emulation otherwise.
    #[arg(long)]
    kvm: bool,
    /// Run the kernel tests in the VM too, after the suite.
    #[arg(long, conflicts_with = "host")]
    kernel_tests: bool,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    /// What the suite is told beside this, by `cargo xtask suite`.
    #[arg(skip)]
    more: Vec<String>,
}

/// How a result is printed.
#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

impl Output {
    /// The word on the command line.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// What the demo hands to us: the report as it is published, the same as a table, and everything
/// that must not be.
#[derive(Deserialize)]
pub(crate) struct Shown {
    report: serde_json::Value,
    table: String,
    complaints: Vec<String>,
}

impl Options {
    /// The demo on this kernel.
    pub(crate) fn host() -> Self {
        Self { host: true, ..Self::vm("6.1") }
    }

    /// The demo in a VM with this kernel, and the kernel tests after it.
    pub(crate) fn vm(kernel: &str) -> Self {
        Self {
            host: false,
            kernel: vec![kernel.to_owned()],
            suite: "demo".to_owned(),
            kvm: false,
            kernel_tests: true,
            output: Output::Text,
            more: Vec::new(),
        }
    }

    /// Chaos on this kernel.
    pub(crate) fn chaos(rounds: u32, seed: Option<u64>, output: Output) -> Self {
        let mut more = vec!["--rounds".to_owned(), rounds.to_string()];
        if let Some(seed) = seed {
            more.extend(["--seed".to_owned(), seed.to_string()]);
        }
        Self { suite: "chaos".to_owned(), output, more, ..Self::host() }
    }
}

/// Shows the suite everywhere that `options` name. The status is 0 if and only if no demo has a
/// complaint.
///
/// # Errors
/// When something cannot be built, fetched, booted or read.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let shown = if options.host { vec![on_host(options)?] } else { in_vms(options)? };
    if options.output == Output::Json {
        let reports: Vec<_> = shown.iter().map(|one| &one.report).collect();
        println!("{}", serde_json::to_string(&reports)?);
    } else {
        for one in &shown {
            println!("{}", one.table);
        }
    }
    for complaint in shown.iter().flat_map(|one| &one.complaints) {
        eprintln!("xtask: {complaint}");
    }
    let clean = shown.iter().all(|one| one.complaints.is_empty());
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn on_host(options: &Options) -> Result<Shown> {
    if !packages::is_root()? {
        bail!(
            "the demo makes namespaces, cgroups and kernel programs: run it as root, or without --host in a VM"
        );
    }
    let binaries = cargo::binaries()?;
    let result = cargo::scratch("host")?.join("result.json");
    progress::step(&format!("{} on this kernel", options.suite), || {
        let mut demo = Command::new(&binaries.demo);
        demo.arg("--suite").arg(&options.suite);
        demo.arg("--atf").arg(&binaries.atf).arg("--hijacked").arg(&binaries.hijacked);
        demo.arg("--policies").arg(cargo::workspace().join("policies"));
        demo.arg("--result").arg(&result).args(&options.more);
        progress::command(&mut demo)
    })?;
    read(&result)
}

fn in_vms(options: &Options) -> Result<Vec<Shown>> {
    packages::ensure(&["qemu-system-x86"])?;
    let mut binaries = cargo::binaries()?;
    if options.kernel_tests {
        binaries.kernel_tests = Some(cargo::kernel_tests()?);
    }
    let mut shown = Vec::new();
    for version in &options.kernel {
        let kernel = vm::kernel::get(version)?;
        let initramfs = vm::initramfs::write(&kernel, &binaries)?;
        let machine = vm::qemu::Machine {
            kernel: &kernel,
            initramfs: &initramfs,
            init_arguments: &["--suite", &options.suite],
            kvm: options.kvm,
        };
        let what = format!("{} on Linux {} in a VM", options.suite, kernel.release);
        let text = progress::step(&what, || machine.boot())?;
        shown.push(parse(&text)?);
    }
    Ok(shown)
}

fn read(result: &Path) -> Result<Shown> {
    let text = std::fs::read_to_string(result)
        .with_context(|| format!("the demo left no result at {}", result.display()))?;
    parse(&text)
}

fn parse(text: &str) -> Result<Shown> {
    serde_json::from_str(text).context("the demo's result is not what it should be")
}
