//! The installation and the first start, as the README has them.

use std::process::Command;

use anyhow::{Result, ensure};
use atf_agent::wire::Ids;

use crate::hijacked::mcp::Answered;

use super::boot::PROJECT;
use super::result::{Rows, Seen};
use super::unit::{self, Unit};
use super::{agent, atf, output, readme};

/// The program, the users, the directories, the units, the configuration.
pub(super) const INSTALL: [&str; 6] = [
    "install -m 755",
    "cp packaging/sysusers.d",
    "cp packaging/tmpfiles.d",
    "cp packaging/systemd",
    "mkdir -p /etc/atf/agents",
    "echo 'tools = ",
];

/// What an operator asks before anything is started, and something to try it on.
pub(super) const CHECK: [&str; 4] =
    ["atf doctor", "atf config check", "atf policy check", "atf executor --seed-demo"];

/// The start of everything.
pub(super) const START: &str = "systemctl enable --now";

/// The start of an agent.
pub(super) const AGENT: &str = "systemctl start atf-agent@";

/// Every unit that is to be up.
pub(super) const UNITS: [&str; 7] = [
    "atf-enforcer.service",
    "atf-watch.service",
    "atf-recorder.service",
    "atf-authority.service",
    "atf-executor.service",
    "atf-gateway.service",
    "atf.target",
];

/// Installs, starts, and has an agent make a call.
pub(super) fn install(rows: &mut Rows) {
    rows.check(
        "install",
        "the README's commands install ATF, and it finds all that it needs",
        || {
            let done = [follow(&INSTALL)?, follow(&CHECK)?].concat();
            for (user, id) in users() {
                let found = output(Command::new("id").args(["-u", user]))?;
                ensure!(found == id.to_string(), "{user} has uid {found}, and not {id}");
            }
            Ok(Seen::alone(format!("{} commands, each with status 0", done.len()), true))
        },
    );
    rows.check("start", "its command starts all units, and the cage stands", || {
        follow(&[START])?;
        all_are_up()?;
        Ok(Seen::alone(format!("{} units active; {}", UNITS.len(), proof()?), true))
    });
    rows.check("agent", "its command starts an agent, and a permitted call comes through", || {
        agent::configure(agent::NAME, &agent::query())?;
        follow(&[AGENT])?;
        let ended = agent::ended(agent::UNIT, 0)?;
        let answered: Answered = ended.said()?;
        let status = ended.unit.get("ExecMainStatus");
        let with = match answered.is_result() {
            true => format!("a result, status {status}"),
            false => format!("{answered:?}, status {status}"),
        };
        Ok(Seen::alone(with, answered.is_result() && status == "0"))
    });
}

/// The daemons' users, and their uids as the configuration has them.
fn users() -> [(&'static str, u32); 4] {
    let Ids { authority, gateway, recorder, executor, .. } = Ids::default();
    [
        ("atf-authority", authority),
        ("atf-gateway", gateway),
        ("atf-recorder", recorder),
        ("atf-executor", executor),
    ]
}

/// Waits until every unit is up.
pub(super) fn all_are_up() -> Result<()> {
    for name in UNITS {
        unit::wait(name, "active", Unit::is_active)?;
    }
    Ok(())
}

/// What `atf enforcer check` proves.
pub(super) fn proof() -> Result<String> {
    Ok(atf(&["enforcer", "check"])?.lines().next().unwrap_or_default().to_owned())
}

/// Runs commands of the README in the project's folder.
pub(super) fn follow(beginnings: &[&str]) -> Result<Vec<String>> {
    let commands = readme::commands(beginnings)?;
    for command in &commands {
        output(Command::new("sh").args(["-e", "-c", command]).current_dir(PROJECT))?;
    }
    Ok(commands)
}
