//! One approval is one call: of these bytes, under this policy, within its time, once, whatever is killed.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{ApprovalError, Approvals, Boot};
use crate::call::{Approvable, Approver, DecisionId, Digest, RunId, Standing};

const MINUTE_MS: u64 = 60_000;

fn open(dir: &Path, boot: &str) -> Approvals {
    let boot = Boot { id: boot.to_owned(), now_ms: 1 };
    Approvals::open(&dir.join("approvals.db"), &boot).unwrap()
}

fn of(call: &str) -> Approvable {
    Approvable {
        call: Digest::of(call.as_bytes()),
        policy: Digest::of(b"policy"),
        run: RunId::random(),
        target: "ledger.adjust".into(),
        arguments: "{}".into(),
        agent: "clerk".parse().unwrap(),
        user: "alice".into(),
        task: "T-1".into(),
        may_grant: None,
    }
}

fn alice() -> Approver {
    Approver { uid: 0, login_uid: Some(1_000), name: "alice".into() }
}

/// Asks for `of`, and gives the person's word.
fn answered(approvals: &Approvals, of: &Approvable, granted: bool, now: u64) -> DecisionId {
    let decision = DecisionId::random();
    assert_eq!(approvals.ask(of, decision, now).unwrap(), (decision, Standing::Pending));
    approvals.answer(decision, granted, &alice(), now).unwrap();
    decision
}

#[test]
fn a_grant_is_good_for_its_call_once() {
    let dir = tempfile::tempdir().unwrap();
    let approvals = open(dir.path(), "boot");
    let (one, other) = (of("one"), of("other"));
    let decision = answered(&approvals, &one, true, 1);
    assert_eq!(
        approvals.ask(&one, DecisionId::random(), 1).unwrap(),
        (decision, Standing::Granted)
    );
    for (what, call, policy) in [
        ("another call", other.call, one.policy),
        ("another policy", one.call, Digest::of(b"another policy")),
    ] {
        assert!(approvals.take(call, policy, 2).unwrap().is_none(), "{what}");
    }
    let taken = approvals.take(one.call, one.policy, 2).unwrap().unwrap();
    assert_eq!(taken.decision(), decision);
    assert!(taken.is_of(one.call, one.policy) && !taken.is_of(other.call, one.policy));
    assert!(approvals.take(one.call, one.policy, 2).unwrap().is_none(), "twice");
    // The same call has to be asked about anew.
    assert_eq!(approvals.ask(&one, DecisionId::random(), 3).unwrap().1, Standing::Pending);
}

#[test]
fn what_waits_or_was_denied_is_not_granted() {
    let dir = tempfile::tempdir().unwrap();
    let approvals = open(dir.path(), "boot");
    let (waits, denied) = (of("waits"), of("denied"));
    let asked = DecisionId::random();
    approvals.ask(&waits, asked, 1).unwrap();
    let no = answered(&approvals, &denied, false, 1);
    for of in [&waits, &denied] {
        assert!(approvals.take(of.call, of.policy, 2).unwrap().is_none(), "{of:?}");
    }
    // A no is not turned into a yes, nor anything answered that nobody asked.
    for decision in [no, DecisionId::random()] {
        let answer = approvals.answer(decision, true, &alice(), 2);
        assert!(matches!(answer, Err(ApprovalError::NotPending { .. })), "{answer:?}");
    }
    let all = approvals.all(2).unwrap();
    let standing: Vec<_> = all.iter().map(|a| (a.decision, a.standing)).collect();
    assert_eq!(standing, [(no, Standing::Denied), (asked, Standing::Pending)]);
    assert_eq!((&all[0].approver, &all[1].of), (&Some(alice()), &waits));
    approvals.answer(asked, true, &alice(), 2).unwrap();
    assert!(approvals.take(waits.call, waits.policy, 2).unwrap().is_some(), "the control");
}

#[test]
fn nothing_outlives_its_time_its_run_or_its_boot() {
    let dir = tempfile::tempdir().unwrap();
    let approvals = open(dir.path(), "boot");
    let late = of("late");
    answered(&approvals, &late, true, 1);
    assert!(approvals.take(late.call, late.policy, 1 + 10 * MINUTE_MS).unwrap().is_none());
    let slow = DecisionId::random();
    approvals.ask(&of("slow"), slow, 1).unwrap();
    let answer = approvals.answer(slow, true, &alice(), 1 + 15 * MINUTE_MS);
    assert!(matches!(answer, Err(ApprovalError::NotPending { .. })), "{answer:?}");

    let (ended, lives) = (of("ended"), of("lives"));
    for of in [&ended, &lives] {
        answered(&approvals, of, true, 1);
    }
    approvals.forget(ended.run).unwrap();
    assert!(approvals.take(ended.call, ended.policy, 2).unwrap().is_none());
    drop(approvals);
    let again = open(dir.path(), "boot");
    assert_eq!(again.all(2).unwrap().len(), 3, "the gateway alone was restarted");
    drop(again);
    let rebooted = open(dir.path(), "another boot");
    assert!(rebooted.take(lives.call, lives.policy, 2).unwrap().is_none());
    assert!(rebooted.all(2).unwrap().is_empty());
}

/// The attack: many calls at once that share one approval.
#[test]
fn of_a_thousand_calls_at_once_one_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let approvals = open(dir.path(), "boot");
    let one = of("one");
    answered(&approvals, &one, true, 1);
    let taken = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| {
                for _ in 0..100 {
                    if approvals.take(one.call, one.policy, 2).unwrap().is_some() {
                        taken.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    assert_eq!(taken.load(Ordering::SeqCst), 1);
}

#[test]
fn a_run_cannot_fill_the_list_for_others() {
    let dir = tempfile::tempdir().unwrap();
    let approvals = open(dir.path(), "boot");
    let run = RunId::random();
    let ask = |call: usize| {
        let of = Approvable { run, ..of(&call.to_string()) };
        approvals.ask(&of, DecisionId::random(), 1)
    };
    for call in 0..16 {
        assert!(ask(call).is_ok(), "{call}");
    }
    assert!(matches!(ask(16), Err(ApprovalError::Full { found: 16, .. })));
    assert!(ask(3).is_ok(), "one that is known");
    assert!(approvals.ask(&of("another run's"), DecisionId::random(), 1).is_ok(), "the control");
}
