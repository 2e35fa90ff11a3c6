//! `atf doctor`: what this host can enforce, probed and not guessed, and what it cannot.

use serde::Serialize;

use super::args::Output;
use super::output;
use super::{EXIT_NO, EXIT_OK};
use crate::config::Config;
use crate::kernel::{self, Cage, Feature, Posture};

/// The answer for scripts.
#[derive(Serialize)]
struct Diagnosis<'a> {
    posture: Posture,
    wanted: Posture,
    kernel: &'a str,
    features: &'a [Feature],
    not_covered: Vec<&'a str>,
}

pub(super) fn doctor(config: &Config, form: Output) -> anyhow::Result<u8> {
    anyhow::ensure!(
        rustix::process::geteuid().is_root(),
        "`atf doctor` loads the kernel programs to see what this host can hold: run it as root"
    );
    let cage = Cage::locate(&config.places, &config.cage)?;
    let report = kernel::probe(&cage);
    let wanted = config.cage.posture;
    let enough = report.posture >= wanted && report.posture > Posture::Refuse;
    if form == Output::Json {
        output::json(&Diagnosis {
            posture: report.posture,
            wanted,
            kernel: &report.kernel,
            features: &report.features,
            not_covered: report.not_covered.iter().map(|row| row.id.as_str()).collect(),
        })?;
    } else {
        output::line(&format!("posture {} on Linux {}", name(report.posture), report.kernel))?;
        let rows: Vec<[String; 3]> = report
            .features
            .iter()
            .map(|f| {
                [if f.present { "yes" } else { "no" }.to_owned(), f.name.clone(), f.why.clone()]
            })
            .collect();
        output::table(["", "FEATURE", "WHY"], &rows)?;
        if report.not_covered.is_empty() {
            output::line("every known way out is closed")?;
        }
        for row in &report.not_covered {
            output::line(&format!(
                "not covered: {} ({}); needs {}",
                row.id,
                row.vector,
                row.needs.join(", ")
            ))?;
        }
        if !enough {
            let hint = "boot with bpf in `lsm=`, or set cage.posture = \"CORE\"";
            output::line(&format!("the configuration asks for {}: {hint}", name(wanted)))?;
        }
    }
    Ok(if enough { EXIT_OK } else { EXIT_NO })
}

/// A posture in the spelling of the configuration.
pub(super) fn name(posture: Posture) -> &'static str {
    match posture {
        Posture::Refuse => "REFUSE",
        Posture::Core => "CORE",
        Posture::Full => "FULL",
    }
}
