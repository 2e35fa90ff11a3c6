//! `atf doctor`: what this host can enforce, probed and not guessed, and what it cannot.

use serde::Serialize;

use super::args::Output;
use super::output;
use super::{EXIT_NO, EXIT_OK};
use crate::config::Config;
use crate::gate::{Policy, UNENFORCED};
use crate::kernel::selftest::{Tested, Verdict};
use crate::kernel::{self, Cage, Feature, Mode, Posture, Report, maps};

/// The answer for scripts.
#[derive(Serialize)]
struct Diagnosis<'a> {
    posture: Posture,
    /// The layers that the host offers, by the posture that they make when they hold.
    layers: Posture,
    wanted: Posture,
    /// The self-test of this kernel build; absent when there is none that was passed.
    tested: Option<&'a Tested>,
    /// Why the posture is not proven; empty when it is.
    unproven: &'a str,
    /// What the configuration asks of the programs.
    mode: Mode,
    /// What those that stand do; absent when none do.
    standing: Option<Mode>,
    kernel: &'a str,
    features: &'a [Feature],
    not_covered: Vec<&'a str>,
    /// Tools whose calls are made although the policy refuses them; absent when the policy cannot be read.
    unenforced: Option<Vec<String>>,
}

pub(super) fn doctor(config: &Config, form: Output) -> anyhow::Result<u8> {
    anyhow::ensure!(
        rustix::process::geteuid().is_root(),
        "`atf doctor` loads the kernel programs to see what this host can hold: run it as root"
    );
    let cage = Cage::locate(&config.places, &config.cage)?;
    let report = kernel::probe(&cage);
    let wanted = config.cage.posture;
    let enough = report.layers >= wanted && report.posture > Posture::Refuse;
    let mode = config.cage.mode;
    let standing = maps::mode(&cage.pin_dir).ok();
    let unenforced = Policy::read(&config.places.policy_dir)
        .ok()
        .map(|policy| policy.unenforced().iter().map(ToString::to_string).collect::<Vec<String>>());
    if form == Output::Json {
        output::json(&Diagnosis {
            posture: report.posture,
            layers: report.layers,
            wanted,
            tested: report.tested.as_ref(),
            unproven: &report.unproven,
            mode,
            standing,
            kernel: &report.kernel,
            features: &report.features,
            not_covered: report.not_covered.iter().map(|row| row.id.as_str()).collect(),
            unenforced,
        })?;
    } else {
        output::line(&format!("posture {} on Linux {}", claimed(&report), report.kernel))?;
        if let Some(tested) = &report.tested {
            output::line(&format!("the self-test on this kernel build: {}", summary(tested)))?;
        }
        if let Some(tools) = unenforced.filter(|tools| !tools.is_empty()) {
            output::line(&format!("{UNENFORCED}: {}", tools.join(", ")))?;
        }
        if mode == Mode::Observe {
            let held = report.layers.name();
            output::line(&format!(
                "{OBSERVES}; with cage.mode = \"enforce\" this host holds {held}"
            ))?;
        }
        if let Some(standing) = standing.filter(|standing| *standing != mode) {
            let (standing, mode) = (standing.name(), mode.name());
            output::line(&format!("the cage that stands is in mode {standing}, not {mode}"))?;
        }
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
            output::line(&format!("the configuration asks for {}: {hint}", wanted.name()))?;
        }
    }
    Ok(if enough { EXIT_OK } else { EXIT_NO })
}

/// The posture as it is said: one that was not shown here is said to be so.
fn claimed(report: &Report) -> String {
    match report.unproven.as_str() {
        "" => report.posture.name().to_owned(),
        why => format!("{} (unproven: {why}), so REFUSE", report.layers.name()),
    }
}

fn summary(tested: &Tested) -> String {
    let [closed, vacuous] = [Verdict::Closed, Verdict::Vacuous].map(|v| tested.count(v));
    format!("{closed} attempts closed, {vacuous} not possible here, none got out")
}

/// What every surface says of a cage that only observes.
pub(super) const OBSERVES: &str =
    "OBSERVE MODE: the kernel programs record what they would deny, and DENY NOTHING";
