//! The labelled corpora, which are not part of the project: `ATF_CORPORA` or `../shared/corpora`
//! beside the workspace.

use std::path::PathBuf;
use std::process::Command;

use crate::gate::sql::corpus::{ledger, run};

/// The folder, if it is there. Without it a test proves nothing, which CI must not take for a pass.
fn corpora() -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/corpora");
    let folder = std::env::var_os("ATF_CORPORA").map_or_else(|| beside.into(), PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("the corpora are missing: set ATF_CORPORA to their folder");
    assert!(std::env::var_os("CI").is_none(), "the corpora are missing in CI");
    None
}

fn is_right(text: &str) {
    let report = run(text.lines().map(str::to_owned), &ledger()).unwrap();
    println!("{} cases, {} right, {} skipped", report.cases, report.right, report.skipped);
    let wrong = (&report.false_allow, &report.false_deny);
    assert_eq!(wrong, (&vec![], &vec![]), "(false allows, false denies)");
    assert!(report.right > 0);
}

#[test]
fn the_labelled_statements_are_judged_as_labelled() {
    let Some(folder) = corpora() else { return };
    is_right(&std::fs::read_to_string(folder.join("sql_cases_dev.jsonl")).unwrap());
}

#[test]
fn injection_payloads_in_slots_are_judged_as_labelled() {
    let Some(folder) = corpora() else { return };
    let file = folder.join("sqli_templated_dev.jsonl.gz");
    let output = Command::new("gzip").arg("-dc").arg(file).output().unwrap();
    assert!(output.status.success());
    is_right(&String::from_utf8(output.stdout).unwrap());
}
