//! `atf config check|show`: everything that a start would read, read now.

use std::path::Path;

use super::args::ConfigAction;
use super::output;
use super::{EXIT_NO, EXIT_OK};
use crate::authority::Manifest;
use crate::call::{AgentName, NameError};
use crate::config::Config;
use crate::{executor, gate};

pub(super) fn config(config: &Config, action: &ConfigAction) -> anyhow::Result<u8> {
    match action {
        ConfigAction::Show => {
            output::line(toml::to_string_pretty(config)?.trim_end())?;
            Ok(EXIT_OK)
        }
        ConfigAction::Check => check(config),
    }
}

fn check(config: &Config) -> anyhow::Result<u8> {
    let mut status = EXIT_OK;
    for doubt in doubts(&config.places.policy_dir) {
        output::line(&format!("warn  policy: {doubt}"))?;
    }
    for (what, result) in findings(config) {
        match result {
            Ok(text) => output::line(&format!("ok    {what}: {text}"))?,
            Err(text) => {
                status = EXIT_NO;
                output::line(&format!("wrong {what}: {text}"))?;
            }
        }
    }
    Ok(status)
}

/// What a start would stumble over: the configuration itself was read before; what it points to is
/// read here.
pub(super) fn findings(config: &Config) -> [(&'static str, Result<String, String>); 4] {
    let places = &config.places;
    [
        (
            "policy",
            gate::Policy::read(&places.policy_dir)
                .map(|policy| match policy.unenforced().as_slice() {
                    [] => format!("revision {}", policy.revision()),
                    tools => {
                        let tools: Vec<String> = tools.iter().map(ToString::to_string).collect();
                        let tools = tools.join(", ");
                        format!("revision {}; {}: {tools}", policy.revision(), gate::UNENFORCED)
                    }
                })
                .map_err(|error| error.to_string()),
        ),
        (
            "tools",
            gate::Pins::read(&places.policy_dir.join("tools"))
                .map(|pins| format!("{} pinned", pins.iter().count()))
                .map_err(|error| error.to_string()),
        ),
        ("agents", manifests(&places.agents_dir).map(|count| format!("{count} manifests"))),
        (
            "servers",
            executor::read_servers(&places.servers_dir, &config.ids)
                .map(|servers| format!("{} tool servers", servers.len()))
                .map_err(|error| error.to_string()),
        ),
    ]
}

/// What the policy's author may not have meant; nothing where policy or pins cannot be read, which is wrong anyway.
fn doubts(policy_dir: &Path) -> Vec<String> {
    let read =
        gate::Policy::read(policy_dir).ok().zip(gate::Pins::read(&policy_dir.join("tools")).ok());
    read.map(|(policy, pins)| policy.doubts(&pins)).unwrap_or_default()
}

/// How many manifests `dir` has, all of them good.
fn manifests(dir: &Path) -> Result<usize, String> {
    let entries = std::fs::read_dir(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let mut count = 0;
    for entry in entries {
        let path = entry.map_err(|error| error.to_string())?.path();
        if path.extension().is_some_and(|kind| kind == "toml") {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let agent: AgentName = stem.parse().map_err(|error: NameError| error.to_string())?;
            Manifest::read(dir, &agent).map_err(|error| error.to_string())?;
            count += 1;
        }
    }
    Ok(count)
}
