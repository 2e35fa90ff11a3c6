//! A gateway that is killed while it takes approvals: none is taken twice, and none but the one in hand is lost.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use super::{Approvals, Boot};
use crate::call::{Approvable, Approver, DecisionId, Digest, RunId};

/// The test that starts itself as its child.
const THIS: &str = "state::approvals_killed::what_was_taken_before_a_kill_is_not_there_after_it";

/// Tells the child where its file is.
const CHILD_FILE: &str = "ATF_TEST_APPROVALS";

const CALLS: u64 = 200;
/// After so many the child is killed.
const KILLED_AFTER: usize = 40;

fn open(path: &Path) -> Approvals {
    Approvals::open(path, &Boot { id: "boot".to_owned(), now_ms: 1 }).unwrap()
}

fn call(number: u64) -> (Digest, Digest) {
    (Digest::of(&number.to_le_bytes()), Digest::of(b"policy"))
}

/// The child: takes one after the other until it is killed, and says each that it got.
fn take_until_killed(path: &Path) {
    let approvals = open(path);
    for number in 0..CALLS {
        let (call, policy) = call(number);
        if approvals.take(call, policy, 2).unwrap().is_some() {
            std::io::stdout().write_all(format!("got {number}\n").as_bytes()).unwrap();
        }
    }
}

#[test]
fn what_was_taken_before_a_kill_is_not_there_after_it() {
    if let Ok(path) = std::env::var(CHILD_FILE) {
        return take_until_killed(Path::new(&path));
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("approvals.db");
    let approver = Approver { uid: 0, login_uid: None, name: "alice".into() };
    let approvals = open(&path);
    for number in 0..CALLS {
        let ((call, policy), decision) = (call(number), DecisionId::random());
        let of = Approvable {
            call,
            policy,
            run: RunId::random(),
            target: "ledger.adjust".into(),
            arguments: "{}".into(),
            agent: "clerk".parse().unwrap(),
            user: "alice".into(),
            task: "T-1".into(),
            may_grant: None,
        };
        approvals.ask(&of, decision, 1).unwrap();
        approvals.answer(decision, true, &approver, 1).unwrap();
    }
    drop(approvals);
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", THIS, "--nocapture"])
        .env(CHILD_FILE, &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let got = |line: String| line.split("got ").nth(1)?.parse::<u64>().ok();
    let mut lines = lines.filter_map(got);
    let mut taken: Vec<u64> = lines.by_ref().take(KILLED_AFTER).collect();
    child.kill().unwrap();
    taken.extend(lines);
    child.wait().unwrap();
    assert!(taken.len() >= KILLED_AFTER && (taken.len() as u64) < CALLS, "{taken:?}");

    let approvals = open(&path);
    let is_left = |number: &u64| {
        let (call, policy) = call(*number);
        approvals.take(call, policy, 2).unwrap().is_some()
    };
    let twice: Vec<_> = taken.iter().filter(|number| is_left(number)).collect();
    assert!(twice.is_empty(), "taken twice: {twice:?}");
    let left = (0..CALLS).filter(is_left).count() as u64;
    let lost = CALLS - left - taken.len() as u64;
    assert!(lost <= 1, "{lost} were lost: the one in hand may be");
}
