//! A permit needs a person's word where the policy wants one.

use super::attempt::{Attempt, Gate};
use super::line::{reserved, terms};
use super::policy_rows::{DATA, read};
use super::{Judged, Permit};
use crate::call::{Approver, DecisionId};
use crate::state::{Approvals, Boot, Caps};

/// The attack: a call on which the policy wants a person's word, with none, and with that on another call.
#[test]
fn no_permit_is_made_without_the_word_that_the_policy_wants() {
    let obligations = "{\"require_approval\": true}";
    let yes = format!(
        "package atf.gate\ndecision := {{\"allow\": true, \"reasons\": [], \"obligations\": {obligations}}}"
    );
    let mut gate = Gate::shipped();
    gate.policy = read(&yes, DATA).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let boot = Boot { id: "boot".to_owned(), now_ms: 1 };
    let approvals = Approvals::open(&dir.path().join("approvals.db"), &boot).unwrap();
    let approver = Approver { uid: 0, login_uid: None, name: "bob".into() };
    let word_on = |judged: &Judged| {
        let decision = DecisionId::random();
        approvals.ask(&judged.approvable(), decision, 1).unwrap();
        approvals.answer(decision, true, &approver, 1).unwrap();
        approvals.take(judged.call_digest(), judged.policy(), 2).unwrap().unwrap()
    };
    let one = Attempt::honest();
    let other = Attempt::with(|a| a.arguments = a.arguments.replace("100", "101"));
    let another_run = Attempt::honest();
    for (what, word, issued) in [
        ("none", None, false),
        ("on another call", Some(&other), false),
        ("on another run's", Some(&another_run), false),
        ("its own", Some(&one), true),
    ] {
        let judged = one.decide(&gate).unwrap();
        let word = word.map(|attempt| word_on(&attempt.decide(&gate).unwrap()));
        let reservation = reserved(&judged, &Caps::default()).unwrap();
        let permit = Permit::issue(judged, reservation, word.as_ref(), terms());
        assert_eq!(permit.is_ok(), issued, "{what}: {permit:?}");
    }
}
