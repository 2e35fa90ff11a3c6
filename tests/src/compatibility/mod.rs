//! Real MCP clients inside runs, and real MCP servers behind the executor. Enforcement is on, and nothing is
//! set otherwise than shipped but for what an operator has to say: which tools, which agents.

mod clients;
mod deferred;
mod have;
mod place;
mod report;
mod seen;
mod servers;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::demo::installation::output;
use clients::{CLIENTS, Door};
use have::Have;
use place::Place;
pub use report::Report;
use report::{ClientRow, DeferredRow, ServerRow};
use seen::{Outcome, Wanted};
use servers::CASES;

/// What is needed.
#[derive(Debug, Clone)]
pub struct Options {
    /// The product's binary.
    pub atf: PathBuf,
    /// Python.
    pub python: PathBuf,
    /// Node.
    pub node: PathBuf,
    /// The packages that could be installed, each with its folder.
    pub have: Vec<(String, PathBuf)>,
    /// The folder of the list and the clients' scripts.
    pub own: PathBuf,
    /// The policies to begin with.
    pub policies: PathBuf,
}

/// The client by which the servers are called.
const CALLER: &str = "mcp2";

/// Tries them all.
///
/// # Errors
/// When ATF cannot be started, or the list has not all that is tried.
pub fn run(options: &Options) -> Result<Report> {
    let have = Have::read(&options.own.join("packages.json"), &options.have)?;
    let mut place = Place::prepare(options)?;
    let mut put = Vec::new();
    for (case, number) in CASES.into_iter().zip(0..) {
        put.push(have.folder(case.name).map(|_| case.put(&place, &have, number)).transpose()?);
    }
    deferred::allow(&place)?;
    place.up()?;
    let mut report = Report {
        node: version(&options.node)?,
        python: version(&options.python)?,
        caller: have.spelling(CALLER)?,
        clients: Vec::new(),
        servers: Vec::new(),
        deferred: Vec::new(),
    };
    let wanted = clients::wanted();
    for client in CLIENTS {
        for door in client.doors() {
            let untried = client.untried(door, have.folder(client.name).is_some());
            let play = || played(&place, &have, (client.name, clients::AGENT), door, &wanted);
            let outcome = untried.unwrap_or_else(play);
            let spelling = have.spelling(client.name)?;
            eprintln!("compatibility: {} by {}: {outcome:?}", client.name, door.name());
            report.clients.push(ClientRow { spelling, door, outcome });
        }
    }
    for (case, approved) in CASES.into_iter().zip(put) {
        let wanted = case.wanted(&place)?;
        let caller = approved.as_ref().and_then(|_| have.folder(CALLER));
        let outcome = caller.map_or(Outcome::NotInstalled, |_| {
            played(&place, &have, (CALLER, case.name), Door::Socket, &wanted)
        });
        eprintln!("compatibility: {}: {outcome:?}", case.name);
        let approved = approved.unwrap_or_default();
        for (tool, why) in &approved.refused {
            eprintln!("compatibility: {tool} is no pin: {why}");
        }
        report.servers.push(ServerRow {
            spelling: have.spelling(case.name)?,
            tool: case.tool,
            reason: wanted.reason,
            pinned: approved.tools.len(),
            not_pinned: approved.refused.into_iter().map(|(tool, _)| tool).collect(),
            outcome,
        });
    }
    report.deferred = deferred_rows(&place, &have)?;
    Ok(report)
}

/// Has clients make calls that are answered later.
fn deferred_rows(place: &Place, have: &Have) -> Result<Vec<DeferredRow>> {
    let mut rows = Vec::new();
    for client in deferred::CLIENTS {
        let are_there = [client.name, deferred::SERVER].map(|name| have.folder(name).is_some());
        let wanted = deferred::wanted(client);
        for door in deferred::DOORS {
            let outcome = match are_there {
                [true, true] => played(place, have, (client.name, deferred::AGENT), door, &wanted),
                _ => Outcome::NotInstalled,
            };
            eprintln!("compatibility: {}, deferred, by {}: {outcome:?}", client.name, door.name());
            let spelling = have.spelling(client.name)?;
            rows.push(DeferredRow { spelling, door, waits: client.waits, outcome });
        }
    }
    Ok(rows)
}

/// What a program says to `--version`, without its name.
fn version(program: &Path) -> Result<String> {
    let said = output(Command::new(program).arg("--version"))?;
    let number = said.trim().trim_start_matches(|c: char| !c.is_ascii_digit());
    Ok(number.to_owned())
}

/// Has a client play an agent, and judges what it saw.
fn played(
    place: &Place,
    have: &Have,
    (client, agent): (&str, &str),
    door: Door,
    wanted: &Wanted,
) -> Outcome {
    match place.play(have, (client, agent), door, wanted) {
        Ok(seen) => seen::judge(&seen, wanted),
        Err(error) => Outcome::Fails { step: "start", why: format!("{error:#}") },
    }
}
