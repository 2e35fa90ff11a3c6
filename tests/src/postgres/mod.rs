//! A real PostgreSQL as the judge of the gate: what the gate allows must run there as a role that may
//! read the listed columns and nothing else, and the server's own plan must be of the listed tables. What
//! the gate refuses shows that the judge sees: plans of other tables.

mod cluster;
mod own;
mod plan;
mod report;

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use atf_agent::gate::corpus::ledger;
use atf_agent::gate::sql::{self as gate, Dialect, Rewrite, SqlProfile, check};
use serde::Deserialize;

use cluster::{Cluster, Role, Said};
pub use report::{Report, Row, Verdict};

/// Refused statements whose plan is asked for, at most: a few show that the judge sees.
const CONTROLS_MAX: usize = 400;

/// Why a statement that the gate allows may fail all the same, as the first two or all five characters of
/// the SQLSTATE: the gate knows no types. Never 42501, which is "permission denied".
const LISTED: [(&str, &str); 9] = [
    ("22", "a value that does not fit its type"),
    ("42883", "an operator or function that these types do not have"),
    ("42725", "an operator that these types have more than once"),
    ("42804", "types that do not go together"),
    ("42803", "a column that is neither grouped nor aggregated"),
    ("42P10", "an ORDER BY or DISTINCT that is not in the select list"),
    ("42846", "a cast between types that have none"),
    ("42P18", "a literal whose type nobody knows"),
    ("21000", "a sub-query that gave more than one row"),
];

/// A row of a corpus: see docs/CORPORA.md.
#[derive(Deserialize)]
struct Case {
    id: String,
    dialect: Dialect,
    sql: String,
}

/// Judges the statements of `file`, or the project's own, by the newest server of this host.
///
/// # Errors
/// When there is no server, it does not start, or the file is no corpus.
pub fn judge(file: Option<&Path>) -> Result<Report> {
    let cases = match file {
        Some(file) => read(file)?,
        None => own::cases().collect(),
    };
    let profile = SqlProfile { dialect: Dialect::Postgres, ..ledger() };
    let of_postgres = cases.into_iter().filter(|case| case.dialect == Dialect::Postgres);
    let (mut allowed, refused): (Vec<Case>, Vec<Case>) =
        of_postgres.partition(|case| check(&case.sql, &profile).is_ok());
    allowed.extend(prints(&allowed, &profile));
    let cluster = Cluster::start()?;
    let listed: BTreeSet<String> = profile.tables.keys().cloned().collect();
    let rows = answers(&cluster, Role::Narrow, &allowed)?
        .into_iter()
        .map(|(case, said)| row(case, &said, &listed))
        .collect();
    // Explained, never run; one statement, so that nothing runs behind it.
    let plain = |case: &Case| case.sql.len() < 4096 && !case.sql.contains([';', '\0']);
    let refused: Vec<Case> = refused.into_iter().filter(plain).collect();
    let step = refused.len().div_ceil(CONTROLS_MAX).max(1);
    let controls: Vec<Case> = refused.into_iter().step_by(step).collect();
    let foreign = |(_, said): &(&Case, Said)| {
        let plan = said.plan.as_deref().and_then(|plan| plan::touched(plan).ok());
        plan.is_some_and(|touched| !touched.is_subset(&listed))
    };
    let seen = answers(&cluster, Role::Wide, &controls)?.iter().filter(|row| foreign(row)).count();
    Ok(Report { server: cluster.version()?, rows, controls: controls.len(), seen })
}

/// What is sent in their place by a profile that has the canonical text sent, where that is another text.
fn prints(allowed: &[Case], profile: &SqlProfile) -> Vec<Case> {
    let rewriting = SqlProfile { rewrite: Some(Rewrite::Canonical), ..profile.clone() };
    let print = |Case { id, dialect, sql }: &Case| {
        let print = gate::judge(sql, &rewriting).ok()?.canonical.filter(|print| print != sql)?;
        Some(Case { id: format!("{id}, printed"), dialect: *dialect, sql: print })
    };
    allowed.iter().filter_map(print).collect()
}

fn read(file: &Path) -> Result<Vec<Case>> {
    let text = crate::corpus::read(file)?;
    let case = |line: &str| serde_json::from_str(line).with_context(|| format!("no case: {line}"));
    text.lines().filter(|line| !line.trim().is_empty()).map(case).collect()
}

fn answers<'c>(cluster: &Cluster, role: Role, cases: &'c [Case]) -> Result<Vec<(&'c Case, Said)>> {
    let mut all = Vec::with_capacity(cases.len());
    for batch in cases.chunks(cluster::BATCH) {
        let statements: Vec<&str> = batch.iter().map(|case| case.sql.as_str()).collect();
        let said = cluster.ask(role, &statements)?;
        ensure!(said.len() == batch.len(), "{} answers to {} statements", said.len(), batch.len());
        all.extend(batch.iter().zip(said));
    }
    Ok(all)
}

fn row(case: &Case, said: &Said, listed: &BTreeSet<String>) -> Row {
    let touched = said.plan.as_deref().map(plan::touched);
    let (verdict, why) = match (&said.error, touched) {
        (Some(state), _) => match LISTED.iter().find(|(known, _)| state.starts_with(known)) {
            Some((_, why)) => (Verdict::FailsAsListed, Some(format!("{state}: {why}"))),
            None => (Verdict::Fails, Some(format!("{state}: {}", said.complaint))),
        },
        (None, None) => (Verdict::Fails, Some("it has no plan".to_owned())),
        (None, Some(Err(error))) => (Verdict::Fails, Some(format!("its plan: {error:#}"))),
        (None, Some(Ok(touched))) => {
            let foreign: Vec<&str> = touched.difference(listed).map(String::as_str).collect();
            match foreign.as_slice() {
                [] => (Verdict::Runs, None),
                foreign => (Verdict::Foreign, Some(format!("its plan has {}", foreign.join(", ")))),
            }
        }
    };
    Row { id: case.id.clone(), verdict, why }
}
