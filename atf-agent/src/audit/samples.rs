//! One of each event, for tests.

use atf_common::mode::Mode;

use super::event::{Call, Event, Judged, Notified, Outcome, Rewritten, Verdict};
use crate::call::{
    Approver, CgroupId, Chain, DecisionId, Delegator, Digest, Reason, RunId, Step, Untrusted,
};

/// A call of `run` about which everything is known.
pub(crate) fn call(run: RunId) -> Call {
    Call {
        decision: DecisionId::random(),
        run,
        cgroup: CgroupId(42),
        method: Some("tools/call".into()),
        agent: Some("clerk".parse().unwrap()),
        user: Some("alice".into()),
        task: Some("T-1".into()),
        token: Some(Digest::of(b"token")),
        tool: Some("ledger.query".into()),
        target: None,
        pin: Some(Digest::of(b"pin")),
        arguments: Some(Digest::of(b"{}")),
        rewritten: vec![Rewritten {
            argument: "sql".into(),
            came: Digest::of(b"select 1"),
            sent: Digest::of(b"SELECT 1"),
        }],
        answers: None,
        prompt: Some(Digest::of(b"prompt")),
        policy: Some(Digest::of(b"policy")),
        hearing: Some(Digest::of(b"hearing")),
        approval: Some(DecisionId::random()),
        began: Some(DecisionId::random()),
        permit: Some(Digest::of(b"permit")),
        gate_ns: 120_000,
    }
}

/// One of each event, and of each verdict and outcome, of one run.
pub(crate) fn all() -> Vec<Event> {
    let run = RunId::random();
    let mut all = admitted(run);
    all.extend(called(run));
    all.extend(alarmed(run));
    all.push(Event::RunEnded {
        run,
        how: "exit 0".into(),
        kernel: vec![("connect4".into(), [0, 1, 1, 0, 0, 0])],
    });
    all
}

/// A seal of some run.
pub(crate) fn sealed(mode: Mode) -> Event {
    Event::Sealed {
        run: RunId::random(),
        cgroup: CgroupId(42),
        decision: Some(DecisionId::random()),
        decided_boot_ns: u64::MAX,
        written_boot_ns: 1 << 53,
        mode,
        why: "three refusals".into(),
    }
}

/// A connection that a kernel program judged.
pub(crate) fn judged() -> Judged {
    Judged {
        cgroup: CgroupId(42),
        boot_ns: 1,
        vector: "connect4".into(),
        denial: "forbidden".into(),
        pid: 7,
        uid: 1_900_100_000,
        comm: "curl".into(),
        family: 2,
        detail: 1,
        suppressed: 0,
    }
}

fn called(run: RunId) -> Vec<Event> {
    let decision = DecisionId::random();
    let told = Notified { told: 2, lost: 1, bytes: 90, digest: Digest::of(b"told") };
    let settled = |outcome: Outcome| {
        let told = matches!(outcome, Outcome::Answered { .. }).then_some(told);
        Event::Settled { decision, run, target: "ledger.query".into(), outcome, told }
    };
    vec![
        Event::Decided { call: Box::new(call(run)), verdict: Verdict::Allowed },
        Event::Decided {
            call: Box::new(Call {
                method: None,
                tool: None,
                user: None,
                agent: None,
                prompt: None,
                ..call(run)
            }),
            verdict: Verdict::Refused {
                step: Step::Receive,
                reason: Reason::MessageInvalid,
                detail: Untrusted::new("\u{1b}[2J \"quoted\" \u{202e}é漢😀\n"),
                enforced: true,
            },
        },
        settled(Outcome::Answered { result: Digest::of(b"result"), bytes: 6, is_error: false }),
        settled(Outcome::NotDone { why: "sealed".into() }),
        settled(Outcome::Unknown { why: "gone".into() }),
    ]
}

fn admitted(run: RunId) -> Vec<Event> {
    vec![
        Event::Started { facts: vec![("policy".into(), "abc".into())] },
        Event::RunRegistered {
            run,
            cgroup: CgroupId(42),
            uid: 1_900_100_000,
            agent: "clerk".parse().unwrap(),
            user: "alice".into(),
            task: "T-1".into(),
            prompt: Digest::of(b"prompt"),
            mode: Mode::Observe,
            chain: Chain::new(vec![Delegator {
                agent: "chief".parse().unwrap(),
                run: RunId::random(),
            }]),
        },
        Event::TokenMinted {
            run,
            agent: "clerk".parse().unwrap(),
            token: Digest::of(b"token"),
            key: "kid".into(),
            expires_unix_s: 1_700_000_300,
        },
    ]
}

fn alarmed(run: RunId) -> Vec<Event> {
    vec![
        sealed(Mode::Enforce),
        Event::Released { run, uid: 0 },
        Event::Answered {
            decision: DecisionId::random(),
            run,
            target: "ledger.adjust".into(),
            call: Digest::of(b"call"),
            policy: Digest::of(b"policy"),
            granted: false,
            approver: Approver { uid: 0, login_uid: Some(1_000), name: "alice".into() },
        },
        Event::PolicyPublished {
            version: 2,
            revision: Digest::of(b"policy"),
            signer: Some("ci".into()),
            by: Approver { uid: 0, login_uid: None, name: "alice".into() },
        },
        Event::KernelDenied(judged()),
        Event::KernelDenied(Judged { vector: "seccomp:ptrace".into(), ..judged() }),
        Event::KernelObserved(judged()),
        Event::Finding {
            name: "token.other_run".into(),
            run: Some(run),
            detail: "a token of another run".into(),
        },
    ]
}
