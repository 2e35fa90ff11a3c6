//! Nothing starts before the cage stands, and nothing starts without it; and all of it starts by itself.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::hijacked::mcp::Answered;

use super::agent::{self, UNIT};
use super::install::{all_are_up, proof};
use super::result::{Rows, Seen};
use super::unit::{self, Unit, systemctl};
use super::{atf, install, output};

/// The agent's unit without the lines that make it wait for the cage.
const EARLY: &str = "early@.service";

/// What the agent's unit is called in place of [`EARLY`].
const EARLY_UNIT: &str = "early@reconciler.service";

/// A part of the enforcer's unit that has it fail.
const FAILS: (&str, &str) =
    ("atf-enforcer.service.d/fails.conf", "[Service]\nExecStartPre=/bin/false\n");

/// A part of the enforcer's unit that has it take its time.
const SLOW: (&str, &str) =
    ("atf-enforcer.service.d/slow.conf", "[Service]\nExecStartPre=/bin/sleep 5\n");

/// The cage is down and cannot be put up.
pub(super) fn without_a_cage(rows: &mut Rows) {
    rows.check("no_cage", "while the enforcer fails, systemd starts no agent", || {
        systemctl(&["stop", "atf.target", install::UNITS[0]])?;
        atf(&["enforcer", "down"])?;
        // As the unit says, after that.
        output(Command::new("systemd-tmpfiles").arg("--create"))?;
        unit::write(FAILS.0, FAILS.1)?;
        early()?;
        agent::configure(agent::NAME, &agent::query())?;
        let refused = systemctl(&["start", UNIT]).is_err();
        let started = Unit::show(UNIT)?.started_us()?;
        drop(systemctl(&["start", EARLY_UNIT]));
        let control = unit::wait(EARLY_UNIT, "at its end", Unit::is_over)?;
        Ok(Seen {
            without: Some(("its process starts".to_owned(), control.started_us()? > 0)),
            with: (format!("job refused: {refused}"), refused && started == 0),
        })
    });
    rows.check("no_cage_launcher", "a launcher that starts all the same runs nothing", || {
        let before = unit::said(EARLY_UNIT)?.len();
        drop(systemctl(&["start", EARLY_UNIT]));
        let ended = agent::ended(EARLY_UNIT, before)?;
        let (status, silent) = (ended.unit.get("ExecMainStatus").to_owned(), ended.is_silent());
        let bare: Answered = agent::plain(&agent::query())?.said()?;
        Ok(Seen {
            without: Some(("the command runs".to_owned(), bare.error.is_some())),
            with: (format!("status {status}, command ran: {}", !silent), status != "0" && silent),
        })
    });
    rows.check("cage_again", "once the enforcer does not fail, the agent runs", || {
        unit::remove(FAILS.0)?;
        systemctl(&["reset-failed"])?;
        let answered: Answered = agent::once(&agent::query())?.said()?;
        Ok(Seen::alone(proof()?, answered.is_result()))
    });
}

/// Has the next boot start everything, the enforcer last.
pub(super) fn before_the_boot(rows: &mut Rows) {
    rows.check("enable", "an agent can be enabled", || {
        unit::write(SLOW.0, SLOW.1)?;
        systemctl(&["enable", UNIT, EARLY_UNIT])?;
        let states = [UNIT, EARLY_UNIT].map(|name| systemctl(&["is-enabled", name]));
        let states: Result<Vec<String>> = states.into_iter().collect();
        let states = states?;
        Ok(Seen::alone(states.join(", "), states.iter().all(|state| state == "enabled")))
    });
}

/// The next boot, which nobody has touched.
pub(super) fn after_the_boot(rows: &mut Rows) {
    rows.check("boot", "all units are up after a boot, and the cage stands", || {
        all_are_up()?;
        Ok(Seen::alone(format!("{} units active; {}", install::UNITS.len(), proof()?), true))
    });
    rows.check(
        "boot_order",
        "an enabled agent is started when the cage stands, not before",
        || {
            let cage = Unit::show(install::UNITS[0])?.number("ActiveEnterTimestampMonotonic")?;
            let early = unit::wait(EARLY_UNIT, "at its end", Unit::is_over)?.started_us()?;
            let agent = unit::wait(UNIT, "at its end", Unit::is_over)?.started_us()?;
            ensure!(agent > 0, "it was not started");
            let tell = |at: u64| match at > cage {
                true => format!("{} ms after the cage", (at - cage) / 1_000),
                false => format!("{} ms before the cage", (cage - at) / 1_000),
            };
            Ok(Seen {
                without: Some((tell(early), early > 0 && early < cage)),
                with: (tell(agent), agent > cage),
            })
        },
    );
    rows.check("boot_early", "one that is started before the cage stands does not run", || {
        let ended = agent::ended(EARLY_UNIT, 0)?;
        let status = ended.unit.get("ExecMainStatus").to_owned();
        let (silent, ran) = (ended.is_silent(), agent::ended(UNIT, 0)?);
        let ran = !ran.is_silent();
        Ok(Seen {
            without: Some(("the same command ran later".to_owned(), ran)),
            with: (format!("status {status}, command ran: {}", !silent), status != "0" && silent),
        })
    });
    rows.check("boot_agent", "the enabled agent's permitted call comes through", || {
        let answered: Answered = agent::ended(UNIT, 0)?.said()?;
        Ok(Seen::alone(format!("{:?}", answered.status), answered.is_result()))
    });
    rows.check("log", "the log is whole over the boots", || {
        let said = atf(&["audit", "verify"])?;
        Ok(Seen::alone(said.lines().next().unwrap_or_default(), true))
    });
}

/// The agent's unit as it is installed, but for what makes it wait.
fn early() -> Result<()> {
    let text = unit::text("atf-agent@.service")?;
    let waits =
        |line: &&str| ["Requires=", "Wants=", "After="].iter().any(|key| line.starts_with(key));
    ensure!(text.lines().filter(waits).count() >= 4, "the unit waits for nothing");
    let lines: Vec<&str> = text.lines().filter(|line| !waits(line)).collect();
    unit::write(EARLY, &(lines.join("\n") + "\n")).context(EARLY)
}
