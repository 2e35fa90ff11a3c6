//! What a VM with a disk is booted with, and, as a service on that disk, the suite itself.

use std::process::ExitCode;

use atf_tests::systemd;

fn main() -> ExitCode {
    if std::process::id() == 1 {
        systemd::boot::run();
    }
    match systemd::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("atf-systemd: {error:#}");
            ExitCode::FAILURE
        }
    }
}
