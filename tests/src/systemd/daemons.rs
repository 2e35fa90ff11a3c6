//! Restart, upgrade and stop, with a live run that is not to be harmed.

use std::os::unix::fs::MetadataExt as _;

use anyhow::{Context, Result, ensure};

use crate::lab::Oracle;

use super::install::{INSTALL, all_are_up, follow, proof};
use super::live::Live;
use super::result::{Rows, Seen};
use super::unit::{self, Unit, systemctl};
use super::{atf, install};

/// The daemons, in the order of a call.
const DAEMONS: [&str; 5] = ["authority", "gateway", "recorder", "executor", "watch"];

/// The maps that a new version takes over.
const MAPS: [&str; 4] = ["RUNS", "STATES", "DENY", "MARKS"];

/// What systemd prints where an upgrade is told to the enforcer.
const RELOAD: &str = "systemctl reload atf-enforcer";

/// Does all of it to one live run.
pub(super) fn daemons(rows: &mut Rows, oracle: &Oracle) {
    let mut live = match Live::start(oracle) {
        Ok(live) => live,
        Err(error) => return rows.check("live", "a run lives on in a unit", || Err(error)),
    };
    for daemon in DAEMONS {
        let promise = "a daemon that is restarted harms no live run";
        rows.check(&format!("restart_{daemon}"), promise, || restart(daemon, &mut live));
    }
    let promise = "a new version takes the maps over: no gap, and no call that is refused for it";
    rows.check("upgrade", promise, || upgrade(&mut live));
    rows.check("stop", "without its daemons a run can do nothing, and goes on with them", || {
        stop(&mut live)
    });
    rows.check("stop_enforcer", "its unit stops the agents, and not the cage", || {
        ensure!(Live::is_up()?, "the run should be up before");
        systemctl(&["stop", install::UNITS[0]])?;
        let gone = !Live::is_up()?;
        Ok(Seen::alone(format!("agent stopped: {gone}; {}", proof()?), gone))
    });
    rows.check("start_again", "all of it starts again", || {
        systemctl(&["start", "atf.target"])?;
        all_are_up()?;
        let mut again = Live::start(oracle)?;
        let went = again.unharmed()?;
        again.stop()?;
        Ok(Seen::alone(format!("{} calls in a new run", went.rounds - went.failed), true))
    });
}

fn restart(daemon: &str, live: &mut Live<'_>) -> Result<Seen> {
    let name = format!("atf-{daemon}.service");
    let before = Unit::show(&name)?.get("MainPID").to_owned();
    systemctl(&["restart", &name])?;
    let after = unit::wait(&name, "active", Unit::is_active)?.get("MainPID").to_owned();
    ensure!(before != after, "{name} was not restarted");
    let went = live.unharmed()?;
    Ok(Seen::alone(format!("{} rounds, {} calls failed meanwhile", went.rounds, went.failed), true))
}

fn upgrade(live: &mut Live<'_>) -> Result<Seen> {
    let (maps, programs) = (maps()?, programs()?);
    follow(&[INSTALL[0], RELOAD])?;
    let went = live.unharmed()?;
    let kept = self::maps()? == maps;
    let now = self::programs()?;
    let fresh = now.len() == programs.len() && now.iter().all(|id| !programs.contains(id));
    let findings = atf(&["audit", "show"])?.matches("cage.mismatch").count();
    let with = format!(
        "{} rounds, {} calls failed meanwhile; maps kept: {kept}, programs new: {fresh}, findings: \
         {findings}",
        went.rounds, went.failed
    );
    Ok(Seen::alone(with, kept && fresh && went.failed == 0 && findings == 0))
}

fn stop(live: &mut Live<'_>) -> Result<Seen> {
    systemctl(&["stop", "atf.target"])?;
    unit::wait("atf-gateway.service", "at its end", Unit::is_over)?;
    let (cut_off, cage) = (live.is_cut_off()?, proof()?);
    systemctl(&["start", "atf.target"])?;
    let went = live.unharmed()?;
    let with = format!("cut off: {cut_off}; {cage}; then {} calls", went.rounds - went.failed);
    Ok(Seen::alone(with, cut_off))
}

/// What each map's pin is: another map has another.
fn maps() -> Result<Vec<u64>> {
    let inode = |map: &&str| Ok(std::fs::metadata(format!("/sys/fs/bpf/atf/{map}"))?.ino());
    MAPS.iter().map(inode).collect()
}

/// The kernel's ids of the programs that are attached.
fn programs() -> Result<Vec<u64>> {
    let said = atf(&["enforcer", "check", "--output", "json"])?;
    let said: serde_json::Value = serde_json::from_str(&said)?;
    let programs = said["proof"]["programs"].as_array().context("no programs are proven")?;
    Ok(programs.iter().filter_map(|program| program["id"].as_u64()).collect())
}
