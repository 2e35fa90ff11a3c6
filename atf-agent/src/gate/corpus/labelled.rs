//! The labelled corpora of statements.

use std::process::Command;

use super::{ledger, sql};
use crate::corpora::folder;
use crate::gate::sql::{Rewrite, SqlProfile};

/// Judged as labelled; and by a profile that has the canonical text sent, the same but for `no_print` rows, which
/// have none.
fn is_right(text: &str, no_print: usize) {
    let rewriting = SqlProfile { rewrite: Some(Rewrite::Canonical), ..ledger() };
    let printed = sql(text.lines().map(str::to_owned), &rewriting).unwrap();
    println!("without a print: {:?}", printed.false_deny);
    assert_eq!((printed.false_allow, printed.false_deny.len()), (vec![], no_print));
    let report = sql(text.lines().map(str::to_owned), &ledger()).unwrap();
    println!("{} cases, {} right, {} skipped", report.cases, report.right, report.skipped);
    let wrong = (&report.false_allow, &report.false_deny);
    assert_eq!(wrong, (&vec![], &vec![]), "(false allows, false denies)");
    assert!(report.right > 0);
}

#[test]
fn the_labelled_statements_are_judged_as_labelled() {
    let Some(folder) = folder() else { return };
    is_right(&std::fs::read_to_string(folder.join("sql_cases_dev.jsonl")).unwrap(), 0);
}

#[test]
fn injection_payloads_in_slots_are_judged_as_labelled() {
    let Some(folder) = folder() else { return };
    let file = folder.join("sqli_templated_dev.jsonl.gz");
    let output = Command::new("gzip").arg("-dc").arg(file).output().unwrap();
    assert!(output.status.success());
    is_right(&String::from_utf8(output.stdout).unwrap(), 0);
}
