//! `cargo xtask suite systemd`: boots Debian with systemd in a VM and hands it the project to install.
//! What is done there, and what must come of it, is in `atf-systemd`.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::{cargo, packages, progress, run, vm};

/// The kernel of the release that is on the disk.
const KERNEL: &str = "6.1";

/// Shows every row; the status is 0 if and only if each promise was kept.
///
/// # Errors
/// When something cannot be built, fetched or booted, or this is not root.
pub(crate) fn run(output: run::Output) -> Result<ExitCode> {
    if !packages::is_root()? {
        bail!("a root file system has files of many owners: run it as root");
    }
    packages::ensure(&["qemu-system-x86"])?;
    let kernel = vm::kernel::get(KERNEL)?;
    let disk = vm::disk::get()?;
    let binaries = cargo::binaries()?;
    let initramfs =
        vm::initramfs::for_a_disk(&kernel, &binaries.systemd, &binaries.atf, &binaries.hijacked)?;
    let machine = vm::qemu::Machine {
        kernel: &kernel,
        initramfs: &initramfs,
        init_arguments: &[],
        disk: Some(&disk),
        kvm: false,
    };
    let what = format!("systemd on Linux {} in a VM", kernel.release);
    let shown = run::Shown::parse(&progress::step(&what, || machine.boot())?)?;
    run::print(&[shown], &[], output)
}
