//! A live run in an agent's unit: it makes a permitted call and tries a way out, over and over, while
//! something is done to ATF's units.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::hijacked::mcp::Round;
use crate::lab::Oracle;

use super::agent;
use super::attempts::bytes;
use super::unit::{self, Unit, systemctl};

/// The agent.
const NAME: &str = "steady";

/// Its unit.
const UNIT: &str = "atf-agent@steady.service";

/// What counts the bytes of its attempts.
const CANARY: &str = "tcp4";

/// So many rounds in a row whose calls come through, and a run goes on.
const WELL: usize = 3;

/// How long a run may take until its calls come through again.
const WELL_WITHIN: Duration = Duration::from_secs(90);

/// A live run.
pub(super) struct Live<'a> {
    main_pid: String,
    run: String,
    oracle: &'a Oracle,
    /// What the canary had before.
    outside: u64,
    /// The lines of its journal that have been judged.
    judged: usize,
}

/// What a run went through, from one look to the next.
#[derive(Debug, Default)]
pub(super) struct Stretch {
    /// Rounds.
    pub(super) rounds: usize,
    /// Those whose call did not come through.
    pub(super) failed: usize,
}

impl<'a> Live<'a> {
    /// Starts it, and waits until its calls come through.
    pub(super) fn start(oracle: &'a Oracle) -> Result<Self> {
        fs::write(format!("/etc/atf/agents/{NAME}.toml"), "tools = [\"ledger.query\"]\n")?;
        let arguments = r#"{"sql":"SELECT id FROM ledger_entries LIMIT 1"}"#;
        let command = agent::mcp("steady --endless", "ledger.query", arguments);
        agent::configure(NAME, &command)?;
        let outside = bytes(oracle, CANARY);
        let judged = unit::said(UNIT)?.len();
        systemctl(&["start", UNIT])?;
        let (main_pid, run) = (Self::pid()?, String::new());
        let mut live = Self { main_pid, run, oracle, outside, judged };
        let first = live.until_well()?.0;
        live.run = first.call.run.context("a round outside of a run")?;
        Ok(live)
    }

    /// What it went through since the last look, once it is well again: the same process, the same run,
    /// no byte outside.
    ///
    /// # Errors
    /// When any of this is not so.
    pub(super) fn unharmed(&mut self) -> Result<Stretch> {
        let (last, stretch) = self.until_well()?;
        let (pid, run) = (Self::pid()?, last.call.run.unwrap_or_default());
        ensure!(pid == self.main_pid, "its launcher was {} and is {pid}", self.main_pid);
        ensure!(run == self.run, "its run was {} and is {run}", self.run);
        Ok(stretch)
    }

    /// Whether it lives and no call of it comes through: without a gateway.
    pub(super) fn is_cut_off(&mut self) -> Result<bool> {
        self.skip()?;
        sleep(Duration::from_secs(3));
        let (rounds, _) = self.look()?;
        ensure!(Self::pid()? == self.main_pid, "its launcher is gone");
        Ok(!rounds.is_empty() && rounds.iter().all(|round| !round.call.is_result()))
    }

    /// Whether its unit is up.
    pub(super) fn is_up() -> Result<bool> {
        Ok(Unit::show(UNIT)?.is_active())
    }

    /// Ends it.
    pub(super) fn stop(&self) -> Result<()> {
        systemctl(&["stop", UNIT]).map(drop)
    }

    fn pid() -> Result<String> {
        Ok(unit::wait(UNIT, "active", Unit::is_active)?.get("MainPID").to_owned())
    }

    /// Passes over what has been said.
    fn skip(&mut self) -> Result<()> {
        self.look().map(drop)
    }

    /// The rounds since the last look. None of them may have got out.
    fn look(&mut self) -> Result<(Vec<Round>, usize)> {
        let lines = unit::said(UNIT)?;
        let fresh = lines.get(self.judged..).unwrap_or_default();
        self.judged = lines.len();
        let rounds: Vec<Round> =
            fresh.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
        if let Some(out) = rounds.iter().find(|round| round.attempt.outcome == "out") {
            bail!("it got out: {:?}", out.attempt);
        }
        let outside = bytes(self.oracle, CANARY) - self.outside;
        ensure!(outside == 0, "{outside} bytes outside");
        let failed = rounds.iter().filter(|round| !round.call.is_result()).count();
        Ok((rounds, failed))
    }

    fn until_well(&mut self) -> Result<(Round, Stretch)> {
        let (until, mut stretch, mut row) = (Instant::now() + WELL_WITHIN, Stretch::default(), 0);
        let mut last = None;
        loop {
            let (rounds, failed) = self.look()?;
            stretch.rounds += rounds.len();
            stretch.failed += failed;
            for round in rounds {
                row = if round.call.is_result() { row + 1 } else { 0 };
                last = Some(round);
            }
            match last.take() {
                Some(last) if row >= WELL => return Ok((last, stretch)),
                seen if Instant::now() > until => {
                    let journal = unit::said(UNIT)?;
                    let words: Vec<&String> = journal.iter().rev().take(3).collect();
                    bail!("its calls do not come through: {seen:?}; {words:?}")
                }
                seen => last = seen,
            }
            sleep(Duration::from_millis(500));
        }
    }
}
