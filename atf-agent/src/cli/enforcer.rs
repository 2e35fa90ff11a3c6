//! `atf enforcer up|check|watch|down`: what the enforcer found, said.

use std::convert::Infallible;

use super::args::{DaemonArguments, EnforcerAction, Output};
use super::{EXIT_NO, EXIT_OK, doctor, output};
use crate::config::Config;
use crate::enforcer::{self, DownError, Seen};
use crate::kernel::{Cage, KernelError, Mode, Proof};
use crate::wire;

pub(super) fn enforcer(config: &Config, action: EnforcerAction) -> anyhow::Result<u8> {
    let cage = Cage::locate(&config.places, &config.cage)?;
    match action {
        EnforcerAction::Up { renew } => {
            let proof = match renew {
                true => enforcer::renew(&cage, &config.ids)?,
                false => enforcer::up(&cage, &config.ids, &config.places)?,
            };
            announce(&proof);
            Ok(EXIT_OK)
        }
        EnforcerAction::Check { output } => check(&cage, output),
        #[cfg(feature = "kernel-lines")]
        EnforcerAction::Lines => match crate::kernel::lines(&cage)? {},
        EnforcerAction::Watch(start) => match watch(config, &cage, &start)? {},
        EnforcerAction::Down { force } => match enforcer::down(&cage, force) {
            Ok(()) => {
                tracing::warn!("the cage is gone: nothing holds an agent on this host");
                Ok(EXIT_OK)
            }
            Err(error @ DownError::Runs(_)) => {
                tracing::error!("{error}");
                Ok(EXIT_NO)
            }
            Err(error @ DownError::Kernel(_)) => Err(error.into()),
        },
    }
}

fn check(cage: &Cage, form: Output) -> anyhow::Result<u8> {
    let (proof, wrong) = match enforcer::check(cage) {
        Ok(proof) => (Some(proof), None),
        Err(KernelError::Mismatch(_)) if enforcer::is_absent(cage) => {
            (None, Some("no cage stands here; `atf enforcer up` puts it up".to_owned()))
        }
        Err(error @ KernelError::Mismatch(_)) => (None, Some(error.to_string())),
        Err(error) => return Err(error.into()),
    };
    match (form, &proof, &wrong) {
        (Output::Json, ..) => output::json(
            &serde_json::json!({"proven": proof.is_some(), "proof": proof, "wrong": wrong}),
        )?,
        (Output::Text, Some(proof), _) => {
            if proof.mode == Mode::Observe {
                output::line(doctor::OBSERVES)?;
            }
            output::line(&format!("proven: {}", summary(proof)))?;
            let rows: Vec<[String; 2]> =
                proof.programs.iter().map(|p| [p.name.clone(), p.id.to_string()]).collect();
            output::table(["PROGRAM", "ID"], &rows)?;
        }
        (Output::Text, None, wrong) => {
            output::line(&format!("not proven: {}", wrong.as_deref().unwrap_or_default()))?;
        }
    }
    Ok(if proof.is_some() { EXIT_OK } else { EXIT_NO })
}

fn watch(config: &Config, cage: &Cage, start: &DaemonArguments) -> anyhow::Result<Infallible> {
    if start.with_parent {
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    }
    let mut mode = None;
    let mut stood = false;
    enforcer::watch(cage, &config.ids, &config.places, |seen| {
        if !stood && !matches!(seen, Seen::Broken { .. }) {
            stood = true;
            wire::ready();
        }
        say(seen, &mut mode);
    })
}

fn say(seen: &Seen, mode: &mut Option<Mode>) {
    match seen {
        Seen::Proven(proof) => {
            // Once when it begins, and each time that it changes.
            if mode.replace(proof.mode) != Some(proof.mode) {
                announce(proof);
            }
        }
        Seen::Repaired { mismatch, proof } => {
            tracing::warn!(mismatch, "the cage was repaired: {}", summary(proof));
        }
        Seen::Broken { mismatch, error } => {
            tracing::error!(mismatch, "the runs stay frozen: {error}");
        }
    }
}

/// Says that the cage stands, and loudly when it holds nobody.
pub(super) fn announce(proof: &Proof) {
    match proof.mode {
        Mode::Enforce => tracing::info!("the cage holds: {}", summary(proof)),
        Mode::Observe => tracing::warn!("{}: {}", doctor::OBSERVES, summary(proof)),
    }
}

fn summary(proof: &Proof) -> String {
    format!(
        "{} on Linux {}, {} programs on cgroup {}",
        proof.posture.name(),
        proof.kernel,
        proof.programs.len(),
        proof.agents
    )
}
