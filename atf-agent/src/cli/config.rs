//! `atf config check|show`: everything that a start would read, read now.

use std::path::Path;

use anyhow::Context as _;

use super::args::ConfigAction;
use super::layout::uid_of;
use super::output;
use super::{EXIT_NO, EXIT_OK};
use crate::authority::Manifest;
use crate::call::{AgentName, NameError};
use crate::config::Config;
use crate::state::policy_files;
use crate::sys::as_user::as_user;
use crate::wire::Places;
use crate::{executor, gate, kernel};

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
    for (what, doubt) in doubts(config) {
        output::line(&format!("warn  {what}: {doubt}"))?;
    }
    for (what, result) in findings(config)? {
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

/// One thing that a start reads, and what was found or is wrong.
type Finding = (&'static str, Result<String, String>);

/// What a start would stumble over: the configuration itself was read before; what it points to is
/// read here, with the rights of the daemon that will read it when this process is root.
///
/// # Errors
/// When the kernel does not let this process take a daemon's rights.
pub(super) fn findings(config: &Config) -> anyhow::Result<Vec<Finding>> {
    let (places, ids) = (&config.places, &config.ids);
    let by = |daemon: &'static str, read: &(dyn Fn() -> Result<String, String> + Sync)| {
        as_user(uid_of(ids, daemon), ids.group, || {
            read().map_err(|wrong| format!("{wrong} (read as the {daemon})"))
        })
        .with_context(|| format!("cannot read as the {daemon} does"))
    };
    let tools = || pins(places);
    Ok(vec![
        ("policy", by("gateway", &|| policy(places))?),
        ("signers", by("gateway", &|| signers(config))?),
        ("tools", by("gateway", &tools)?.and(by("executor", &tools)?)),
        (
            "agents",
            by("authority", &|| {
                manifests(&places.agents_dir).map(|all| format!("{} manifests", all.len()))
            })?,
        ),
        // They are read before the executor gives up root's rights.
        (
            "servers",
            executor::read_servers(&places.servers_dir, ids)
                .map(|servers| format!("{} tool servers", servers.len()))
                .map_err(|error| error.to_string()),
        ),
        (
            "pin_dir",
            kernel::can_pin(&places.pin_dir).map(|()| places.pin_dir.display().to_string()),
        ),
    ])
}

fn policy(places: &Places) -> Result<String, String> {
    let policy = gate::Policy::read(&places.policy_dir).map_err(|error| error.to_string())?;
    let revision = policy.revision();
    Ok(match policy.unenforced().as_slice() {
        [] => format!("revision {revision}"),
        tools => {
            let tools: Vec<String> = tools.iter().map(ToString::to_string).collect();
            format!("revision {revision}; {}: {}", gate::UNENFORCED, tools.join(", "))
        }
    })
}

/// Whether the keys are there, and one of them signed the policy.
fn signers(config: &Config) -> Result<String, String> {
    let signers = gate::Signers::read(&config.policy).map_err(|error| error.to_string())?;
    if !signers.demand() {
        return Ok("none, so no policy has to be signed".to_owned());
    }
    let files = policy_files(&config.places.policy_dir).map_err(|error| error.to_string())?;
    let signer = signers.check(&files).map_err(|error| error.to_string())?;
    Ok(format!("the policy is signed by {}", signer.unwrap_or_default()))
}

fn pins(places: &Places) -> Result<String, String> {
    gate::Pins::read(&places.policy_dir.join("tools"))
        .map(|pins| format!("{} pinned", pins.iter().count()))
        .map_err(|error| error.to_string())
}

/// What their authors may not have meant, and what keeps a single tool from its work; nothing of what cannot be read,
/// which is wrong anyway.
fn doubts(config: &Config) -> Vec<(&'static str, String)> {
    let places = &config.places;
    let mut found = Vec::new();
    if let Ok(pins) = gate::Pins::read(&places.policy_dir.join("tools")) {
        if let Ok(policy) = gate::Policy::read(&places.policy_dir) {
            found.extend(policy.doubts(&pins).into_iter().map(|doubt| ("policy", doubt)));
        }
        for (agent, manifest) in manifests(&places.agents_dir).unwrap_or_default() {
            let doubts = manifest.doubts(&pins).into_iter();
            found.extend(doubts.map(|doubt| ("agents", format!("{agent}: {doubt}"))));
        }
    }
    for server in executor::read_servers(&places.servers_dir, &config.ids).unwrap_or_default() {
        if let Some(command) = server.missing_command() {
            let what = format!("{}: the command {} is no file", server.name, command.display());
            found.push(("servers", what));
        }
    }
    found
}

/// The manifests of `dir`, all of them good.
fn manifests(dir: &Path) -> Result<Vec<(AgentName, Manifest)>, String> {
    let entries = std::fs::read_dir(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let mut all = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| error.to_string())?.path();
        if path.extension().is_some_and(|kind| kind == "toml") {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let agent: AgentName = stem.parse().map_err(|error: NameError| error.to_string())?;
            let manifest = Manifest::read(dir, &agent).map_err(|error| error.to_string())?;
            all.push((agent, manifest));
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// The names of what is wrong.
    fn wrong(config: &Config) -> Vec<&'static str> {
        let findings = findings(config).unwrap().into_iter();
        findings.filter(|(_, found)| found.is_err()).map(|(what, _)| what).collect()
    }

    fn mode(dir: &Path, name: &str, mode: u32) {
        fs::set_permissions(dir.join(name), Permissions::from_mode(mode)).unwrap();
    }

    /// An installation in `dir` with which nothing is wrong.
    fn installed(dir: &Path) -> Config {
        let mode = |name: &str, bits| mode(dir, name, bits);
        mode("", 0o755);
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
        let folders = ["policies", "policies/atf", "policies/tools", "agents", "servers"];
        for name in folders {
            fs::create_dir(dir.join(name)).unwrap();
            mode(name, 0o755);
        }
        let pin = "policies/tools/ledger.query.json";
        for name in ["policies/atf/gate.rego", "policies/data.json", pin] {
            let from = shipped.join(name.strip_prefix("policies/").unwrap());
            fs::copy(from, dir.join(name)).unwrap();
            mode(name, 0o644);
        }
        fs::write(dir.join("agents/clerk.toml"), "tools = [\"ledger.query\"]\n").unwrap();
        mode("agents/clerk.toml", 0o644);
        let mut config = Config::default();
        config.places.policy_dir = dir.join("policies");
        config.places.agents_dir = dir.join("agents");
        config.places.servers_dir = dir.join("servers");
        config
    }

    #[test]
    fn what_a_daemon_cannot_read_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = installed(dir.path());
        let mode = |name: &str, bits| mode(dir.path(), name, bits);
        assert_eq!(wrong(&config), [""; 0], "the control");
        let pin = "policies/tools/ledger.query.json";
        for (name, what) in
            [("policies/data.json", "policy"), (pin, "tools"), ("agents/clerk.toml", "agents")]
        {
            mode(name, 0);
            assert_eq!(wrong(&config), [what], "{name}");
            mode(name, 0o644);
        }
        config.policy.signers.insert("ci".to_owned(), "/nonexistent/k.pem".into());
        assert_eq!(wrong(&config), ["signers"]);
    }

    #[test]
    fn what_is_on_no_bpf_file_system_takes_no_pins() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = installed(dir.path());
        for (pin_dir, expected) in [("", &["pin_dir"][..]), ("not/there/yet", &[])] {
            config.places.pin_dir = dir.path().join(pin_dir).join("atf");
            assert_eq!(wrong(&config), expected, "{pin_dir}");
        }
    }

    /// The mistake: a name is misspelt, or a program is not installed. What has nothing to do with it works.
    #[test]
    fn what_an_agent_or_a_server_lacks_is_doubted() {
        let dir = tempfile::tempdir().unwrap();
        let config = installed(dir.path());
        let of_the_policy = doubts(&config).len();
        assert!(doubts(&config).iter().all(|(what, _)| *what == "policy"), "the control");
        let manifest = "tools = [\"ledger.query\", \"ledger.qury\"]\n\
                        [narrow.\"ledger.query\".properties]\nsqll = {maxLength = 9}\n";
        fs::write(dir.path().join("agents/clerk.toml"), manifest).unwrap();
        for (name, command) in [("here", "/bin/sh"), ("away", "/nonexistent/node")] {
            let uid = 1_900_000_101 + u32::from(name == "away");
            let text = format!("command = \"{command}\"\nuid = {uid}\n");
            fs::write(dir.path().join(format!("servers/{name}.toml")), text).unwrap();
            mode(dir.path(), &format!("servers/{name}.toml"), 0o600);
        }
        let found = doubts(&config).split_off(of_the_policy);
        let [(_, qury), (_, sqll), (_, away)] = &found[..] else { panic!("{found:?}") };
        assert!(qury.contains("clerk: the tool ledger.qury has no pin"), "{qury}");
        assert!(sqll.contains("clerk") && sqll.contains("\"sqll\" is no argument"), "{sqll}");
        assert!(away.contains("away") && away.contains("/nonexistent/node"), "{away}");
        assert_eq!(wrong(&config), [""; 0]);
    }
}
