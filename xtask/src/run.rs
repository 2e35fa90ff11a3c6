//! `cargo xtask run`: the demo, on this kernel or in VMs, and one report for each.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde::Deserialize;

use crate::{cargo, packages, progress, vm};

/// What the demo can show: everything, the attempts with their layers alone, the controls alone.
const SUITES: [&str; 3] = ["demo", "cage", "lab"];

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
    #[arg(long, default_value = "demo", value_parser = SUITES)]
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

impl Shown {
    /// Reads what a suite handed out.
    ///
    /// # Errors
    /// When it is something else.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text).context("the suite's result is not what it should be")
    }
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

    /// A campaign on this kernel, with what it is told.
    pub(crate) fn campaign(suite: &str, more: Vec<String>, output: Output) -> Self {
        Self { suite: suite.to_owned(), output, more, ..Self::host() }
    }
}

/// Shows the suite everywhere that `options` name. The status is 0 if and only if no demo has a
/// complaint.
///
/// # Errors
/// When something cannot be built, fetched, booted or read.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let (shown, failures) =
        if options.host { (vec![on_host(options)?], Vec::new()) } else { in_vms(options)? };
    print(&shown, &failures, options.output)
}

/// Prints what was shown, and says what is wrong. The status is 0 if and only if nothing is.
///
/// # Errors
/// When it cannot be written as JSON.
pub(crate) fn print(shown: &[Shown], failures: &[String], output: Output) -> Result<ExitCode> {
    if output == Output::Json {
        let reports: Vec<_> = shown.iter().map(|one| &one.report).collect();
        println!("{}", serde_json::to_string(&reports)?);
    } else {
        for one in shown {
            println!("{}", one.table);
        }
    }
    let complaints = shown.iter().flat_map(|one| &one.complaints);
    let wrong: Vec<&String> = complaints.chain(failures).collect();
    for complaint in &wrong {
        eprintln!("xtask: {complaint}");
    }
    let clean = wrong.is_empty();
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

/// One report for each kernel, and why there is none of the others: a kernel that cannot be had or
/// booted hides nothing of what the rest have shown.
fn in_vms(options: &Options) -> Result<(Vec<Shown>, Vec<String>)> {
    packages::ensure(&["qemu-system-x86"])?;
    let (mut kernels, mut failures) = (Vec::new(), Vec::new());
    for version in distinct(&options.kernel) {
        match vm::kernel::get(version) {
            Ok(kernel) => kernels.push((version, kernel)),
            Err(error) => failures.push(format!("Linux {version}: {error:#}")),
        }
    }
    if kernels.is_empty() {
        bail!("no kernel to boot: {}", failures.join("; "));
    }
    for failure in &failures {
        eprintln!("xtask: {failure}; going on without it");
    }
    let mut binaries = cargo::binaries()?;
    if options.kernel_tests {
        binaries.kernel_tests = Some(cargo::kernel_tests()?);
    }
    let mut shown = Vec::new();
    for (version, kernel) in &kernels {
        match in_vm(options, kernel, &binaries) {
            Ok(one) => shown.push(one),
            Err(error) => failures.push(format!("Linux {version}: {error:#}")),
        }
    }
    Ok((shown, failures))
}

fn in_vm(
    options: &Options,
    kernel: &vm::kernel::Kernel,
    binaries: &cargo::Binaries,
) -> Result<Shown> {
    let initramfs = vm::initramfs::write(kernel, binaries)?;
    let machine = vm::qemu::Machine {
        kernel,
        initramfs: &initramfs,
        init_arguments: &["--suite", &options.suite],
        disk: None,
        kvm: options.kvm,
    };
    let what = format!("{} on Linux {} in a VM", options.suite, kernel.release);
    Shown::parse(&progress::step(&what, || machine.boot())?)
}

/// Each version once, in the order in which they were named.
fn distinct(versions: &[String]) -> Vec<&str> {
    let mut distinct: Vec<&str> = Vec::new();
    for version in versions {
        if !distinct.contains(&version.as_str()) {
            distinct.push(version);
        }
    }
    distinct
}

fn read(result: &Path) -> Result<Shown> {
    let text = std::fs::read_to_string(result)
        .with_context(|| format!("the demo left no result at {}", result.display()))?;
    Shown::parse(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_that_is_named_twice_is_booted_once() {
        let named = ["6.12", "6.1", "6.12"].map(str::to_owned);
        assert_eq!(distinct(&named), ["6.12", "6.1"]);
    }
}
