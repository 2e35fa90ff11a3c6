//! What the suite says, and the comparison.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::Options;
use super::names::Server;

/// One check of a scenario.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(super) struct Check {
    id: String,
    status: String,
    #[serde(default, rename = "errorMessage")]
    error: Option<String>,
}

/// The checks of each scenario.
pub(super) type Results = BTreeMap<String, Vec<Check>>;

/// How a scenario ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Score {
    /// Checks that passed.
    pub passed: usize,
    /// Checks that failed.
    pub failed: usize,
}

/// One scenario of one revision.
#[derive(Debug, Serialize)]
pub struct Row {
    /// The revision.
    pub revision: &'static str,
    /// How the server behind ATF is spoken with.
    pub server: &'static str,
    /// The scenario.
    pub scenario: String,
    /// Against the fixture.
    pub direct: Option<Score>,
    /// Through ATF.
    pub through: Option<Score>,
    /// Whether each check ended alike.
    pub equal: bool,
    /// Why ATF refuses what the scenario wants, when that is meant so.
    pub refused: Option<&'static str>,
    /// The first check that differs, and what the suite says of it through ATF.
    pub differs: Option<String>,
}

/// All of them.
#[derive(Debug, Serialize)]
pub struct Report {
    /// In the suite's order of revisions, by name.
    pub rows: Vec<Row>,
}

/// What ATF refuses on purpose: scenarios by how their names begin, and with which servers. It stands beside the
/// difference and does not excuse it.
const REFUSED: [(&str, &[Server], &str); 3] = [
    (
        "input-required-result-",
        &AFTER_A_HANDSHAKE,
        "a server with a handshake waits for its answers, and a run without one is asked by a result",
    ),
    (
        "tools-call-with-logging",
        &[Server::HandshakeByUrl],
        "what the fixture writes down on its standing stream is of no call: nothing orders two connections",
    ),
    (
        "tasks-",
        &AFTER_A_HANDSHAKE,
        "a run without a handshake has no call deferred by a server with one",
    ),
];

/// The servers that are spoken with after a handshake.
const AFTER_A_HANDSHAKE: [Server; 2] = [Server::Handshake, Server::HandshakeByUrl];

/// Runs a part of the suite against `url` and reads what it left in `folder`.
pub(super) fn of(options: &Options, url: &str, words: &[&str], folder: &Path) -> Result<Results> {
    fs::create_dir_all(folder)?;
    let ran = Command::new(&options.node)
        .arg(&options.suite)
        .args(["server", "--url", url, "--output-dir"])
        .arg(folder)
        .args(words)
        .stdin(Stdio::null())
        .output()
        .context("cannot start the suite")?;
    let mut results = Results::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(scenario) = scenario(&name) else { continue };
        // A scenario that was given up left a folder and no checks: it did not run.
        let Ok(text) = fs::read_to_string(entry.path().join("checks.json")) else { continue };
        let mut checks: Vec<Check> = serde_json::from_str(&text)?;
        checks.sort();
        results.insert(scenario.to_owned(), checks);
    }
    if results.is_empty() && !ran.status.success() {
        let said = String::from_utf8_lossy(&ran.stderr);
        eprintln!("conformance: {}: {}", words.join(" "), said.trim());
    }
    Ok(results)
}

/// The scenario of a folder `server-NAME-TIME`, where the time is `2026-11-26T16-54-37-203Z`.
fn scenario(folder: &str) -> Option<&str> {
    let name = folder.strip_prefix("server-")?;
    name.len().checked_sub("-2026-11-26T16-54-37-203Z".len()).and_then(|end| name.get(..end))
}

/// Both ways, side by side.
pub(super) fn compare(
    (revision, server): (&'static str, Server),
    direct: &Results,
    through: &Results,
) -> Vec<Row> {
    let mut names: Vec<&String> = direct.keys().chain(through.keys()).collect();
    names.sort();
    names.dedup();
    let row = |name: &String| {
        let (by_itself, by_atf) = (direct.get(name), through.get(name));
        let differs = difference(by_itself, by_atf);
        let refused = REFUSED
            .iter()
            .find(|(scenario, of, _)| name.starts_with(scenario) && of.contains(&server));
        Row {
            revision,
            server: server.name(),
            scenario: name.clone(),
            direct: by_itself.map(|checks| score(checks)),
            through: by_atf.map(|checks| score(checks)),
            equal: differs.is_none(),
            refused: refused.filter(|_| differs.is_some()).map(|(.., why)| *why),
            differs,
        }
    };
    names.into_iter().map(row).collect()
}

fn score(checks: &[Check]) -> Score {
    let of = |status: &str| checks.iter().filter(|check| check.status == status).count();
    Score { passed: of("SUCCESS"), failed: of("FAILURE") }
}

fn difference(direct: Option<&Vec<Check>>, through: Option<&Vec<Check>>) -> Option<String> {
    let (Some(direct), Some(through)) = (direct, through) else {
        return Some("one of the two did not run".to_owned());
    };
    let ends = |checks: &[Check]| -> Vec<(String, String)> {
        checks.iter().map(|check| (check.id.clone(), check.status.clone())).collect()
    };
    let (ends_direct, ends_through) = (ends(direct), ends(through));
    if ends_direct == ends_through {
        return None;
    }
    let other = through.iter().zip(&ends_through).find(|(_, end)| !ends_direct.contains(end));
    Some(other.map_or_else(
        || "a check is missing".to_owned(),
        |(check, _)| {
            let said: String =
                check.error.as_deref().unwrap_or_default().chars().take(300).collect();
            format!("{} {}: {said}", check.id, check.status)
        },
    ))
}

impl Report {
    /// Whether ATF makes no difference.
    pub fn is_equal(&self) -> bool {
        !self.rows.is_empty() && self.rows.iter().all(|row| row.equal)
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut table = String::new();
        let shown = |score: Option<Score>| {
            score
                .map_or_else(|| "-".to_owned(), |s| format!("{}/{}", s.passed, s.passed + s.failed))
        };
        for row in &self.rows {
            let verdict = if row.equal { "equal" } else { "DIFFERS" };
            let why = row.refused.map(|why| format!("refused: {why}"));
            let why = why.or_else(|| row.differs.clone()).unwrap_or_default();
            let why = why.lines().next().unwrap_or_default();
            let (direct, through) = (shown(row.direct), shown(row.through));
            let (revision, server, scenario) = (row.revision, row.server, &row.scenario);
            table += &format!(
                "{revision} {server} {scenario:<48} {direct:>6} {through:>6} {verdict:<8}{why}\n"
            );
        }
        let count = |is: fn(&&Row) -> bool| self.rows.iter().filter(is).count();
        let (equal, refused) = (count(|row| row.equal), count(|row| row.refused.is_some()));
        let all = self.rows.len();
        table += &format!(
            "{equal} of {all} scenarios are equal, {refused} are refused on purpose, {} differ else\n",
            all - equal - refused
        );
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(status: &str) -> Results {
        let check = |id: &str, status: &str| Check {
            id: id.to_owned(),
            status: status.to_owned(),
            error: None,
        };
        [("ping".to_owned(), vec![check("a", "SUCCESS"), check("b", status)])].into()
    }

    #[test]
    fn a_check_that_ends_otherwise_is_a_difference_and_nothing_excuses_it() {
        let [good, bad] = ["SUCCESS", "FAILURE"].map(results);
        for (direct, through, equal) in [
            (&good, &good, true),
            (&bad, &bad, true),
            (&good, &bad, false),
            (&bad, &good, false),
            (&good, &Results::new(), false),
        ] {
            let report =
                Report { rows: compare(("2025-11-25", Server::Stateless), direct, through) };
            assert_eq!(report.is_equal(), equal, "{}", report.table());
        }
        assert!(!Report { rows: Vec::new() }.is_equal(), "nothing ran");
    }

    #[test]
    fn a_folder_names_its_scenario() {
        let folder = "server-tools-list-2026-11-26T16-54-37-203Z";
        assert_eq!(scenario(folder), Some("tools-list"));
        assert_eq!(scenario("client-x"), None);
        assert_eq!(scenario("server-x"), None);
    }
}
