//! What a receipt stands for, and who may tell what.

use super::*;
use crate::audit::Judged;
use crate::call::Step;

/// The permit for which a fresh recorder gives a receipt to one record, and how many records it has
/// then.
fn answer(
    event: Event,
    reporter: Process,
    permit: Option<String>,
) -> (Result<Option<Digest>, String>, u64) {
    let dir = tempfile::tempdir().unwrap();
    let mut log = start::open(&places(dir.path()), &Settings::default()).unwrap();
    let is_ours = permit.as_ref().is_some_and(|text| text.contains(&EXECUTOR.public().hex()));
    let answer = match &log.commit(vec![Job { event, reporter, permit, durable: true }])[..] {
        [RecorderReply::Recorded { receipt }] => {
            receipt.iter().for_each(|receipt| check_code(&places(dir.path()), receipt, is_ours));
            Ok(receipt.as_ref().map(|receipt| receipt.body.permit))
        }
        [RecorderReply::Refused { why }] => Err(why.to_string()),
        found => panic!("one answer to one record, found {found:?}"),
    };
    (answer, log.chain.next_seq())
}

/// The executor finds the recorder's code on a receipt that is for it, and on no other one.
fn check_code(places: &Places, receipt: &Receipt, is_for_it: bool) {
    let key = std::fs::read_to_string(places.receipt_key()).unwrap();
    let key = AgreementPublic::from_hex(&key).unwrap();
    let key = EXECUTOR.from_writer(Purpose::Receipt, key).unwrap();
    let holds = |body: &ReceiptBody| key.holds(&body.bytes(), receipt.code);
    let body = &receipt.body;
    assert_eq!(holds(body), is_for_it);
    for lie in [
        ReceiptBody { seq: body.seq + 1, ..body.clone() },
        ReceiptBody { fingerprint: Digest::of(b"other"), ..body.clone() },
        ReceiptBody { permit: Digest::of(b"other"), ..body.clone() },
        ReceiptBody { durable: !body.durable, ..body.clone() },
    ] {
        assert!(!holds(&lie), "{lie:?}");
    }
}

#[test]
fn a_receipt_stands_for_a_permit_only_when_the_gateway_allowed_it() {
    let refused_by = |step, enforced| Verdict::Refused {
        step,
        reason: crate::call::Reason::PolicyDenied,
        detail: "no".into(),
        enforced,
    };
    let refused = || refused_by(Step::Policy, true);
    let (call, permit) = allowed();
    let (digest, text) = (call.permit, Some(text(&permit)));
    let yes = || decided(call.clone(), Verdict::Allowed);
    let no = || decided(call.clone(), refused());
    // The policy's no in vain: permit and record both say so.
    let vain_permit = PermitBody { waived: true, ..permit.clone() };
    let vain_text = Some(super::text(&vain_permit));
    let vain_digest = Some(Digest::of(super::text(&vain_permit).as_bytes()));
    let vain = |step| {
        let call = Call { permit: vain_digest, ..call.clone() };
        decided(call, refused_by(step, false))
    };
    for (event, reporter, permit, expected) in [
        (yes(), Process::Gateway, text.clone(), Ok(digest)),
        (yes(), Process::Gateway, None, Ok(None)),
        (no(), Process::Gateway, None, Ok(None)),
        (finding("x"), Process::Gateway, None, Ok(None)),
        (no(), Process::Gateway, text.clone(), Err("found one of Gateway")),
        (vain(Step::Policy), Process::Gateway, vain_text.clone(), Ok(vain_digest)),
        (vain(Step::Sql), Process::Gateway, vain_text.clone(), Err("found one of Gateway")),
        (vain(Step::Policy), Process::Gateway, text.clone(), Err("`waived`")),
        (yes(), Process::Gateway, vain_text.clone(), Err("`waived`")),
        (finding("x"), Process::Gateway, text.clone(), Err("found one of Gateway")),
        (yes(), Process::Authority, text.clone(), Err("Authority tells no such")),
        (yes(), Process::Enforcer, text.clone(), Err("Enforcer tells no such")),
        (yes(), Process::Gateway, text.map(|text| text + "{}"), Err("JSON of a permit")),
    ] {
        let shown = format!("{event:?} of {reporter:?}");
        match (answer(event, reporter, permit), expected) {
            ((Ok(found), 1), Ok(expected)) => assert_eq!(found, expected, "{shown}"),
            ((Err(why), 0), Err(expected)) => assert!(why.contains(expected), "{shown}: {why}"),
            (found, expected) => panic!("{shown}: expected {expected:?}, found {found:?}"),
        }
    }
}

/// The attack: the gateway's uid tells of a release, of a run's end, of a kernel's denial.
#[test]
fn a_process_tells_its_own_events_and_no_other() {
    use Process::{Authority, Enforcer, Executor, Gateway, Recorder};
    let everybody = [Authority, Enforcer, Executor, Gateway, Recorder];
    for event in samples::all() {
        let tellers: &[Process] = match &event {
            Event::Started { .. } | Event::Finding { .. } => &everybody,
            Event::RunRegistered { .. }
            | Event::TokenMinted { .. }
            | Event::RunEnded { .. }
            | Event::Answered { .. }
            | Event::PolicyPublished { .. }
            | Event::Released { .. } => &[Authority],
            Event::Decided { .. } | Event::Settled { .. } | Event::Sealed { .. } => &[Gateway],
            Event::KernelDenied(judged) if judged.vector.starts_with(Judged::FILTER) => &[Enforcer],
            Event::KernelDenied(_) | Event::KernelObserved(_) => &[Recorder],
        };
        for reporter in everybody {
            let (found, records) = answer(event.clone(), reporter, None);
            let expected = tellers.contains(&reporter);
            assert_eq!(found.is_ok(), expected, "{reporter:?} of {event:?}: {found:?}");
            assert_eq!(records, u64::from(expected), "{reporter:?} of {event:?}");
        }
    }
}

/// A change of a record and its permit.
type Twist = fn(&mut Call, &mut PermitBody);

/// The attack: the gateway's uid records a harmless call under the digest of a permit for another.
#[test]
fn a_record_that_says_another_thing_than_its_permit_is_refused() {
    let rows: &[(Twist, &str)] = &[
        (|_, _| {}, ""),
        (|_, p| p.nonce = Digest::of(b"the next life"), ""),
        (|_, p| p.nonce = Digest::from_bytes([0; 32]), "nonce"),
        (|_, p| p.decision = DecisionId::random(), "`decision`"),
        (|_, p| p.run = RunId::random(), "`run`"),
        (|_, p| p.cgroup.0 += 1, "`cgroup`"),
        (|_, p| p.token = Digest::of(b"other"), "`token`"),
        (|c, _| c.token = None, "`token`"),
        (|_, p| p.target = Target::Tool("ledger.adjust".parse().unwrap()), "`target`"),
        (|_, p| p.target = Target::Prompt("ledger.query".parse().unwrap()), "`method`"),
        (|c, _| c.method = Some("prompts/get".into()), "`method`"),
        (|c, _| (c.target, c.tool) = (c.tool.take(), None), "`target`"),
        (|c, _| c.tool = Some("ledger.query ".into()), "`target`"),
        (|c, _| c.tool = None, "`target`"),
        (|_, p| p.pin = Some(Digest::of(b"other")), "`pin`"),
        (|c, _| c.pin = None, "`pin`"),
        (|_, p| p.arguments = Digest::of(b"other"), "`arguments`"),
        (|c, _| c.arguments = None, "`arguments`"),
        (|_, p| p.policy = Digest::of(b"other"), "`policy`"),
        (|c, _| c.policy = None, "`policy`"),
    ];
    for (number, (twist, expected)) in rows.iter().enumerate() {
        let (mut call, mut permit) = allowed();
        twist(&mut call, &mut permit);
        // The attacker has the digest right, as the executor asks for it.
        let text = text(&permit);
        call.permit = Some(Digest::of(text.as_bytes()));
        check_permit(&format!("row {number}"), call, text, expected);
    }
    let (mut call, permit) = allowed();
    call.permit = Some(Digest::of(b"other"));
    check_permit("another digest", call, text(&permit), "`permit`");
    let (call, permit) = allowed();
    check_permit("other bytes", call, text(&permit) + " ", "`permit`");
}

/// The recorder's answer says `expected`; with nothing expected the receipt names the permit.
fn check_permit(name: &str, call: Call, text: String, expected: &str) {
    let digest = call.permit;
    match answer(decided(call, Verdict::Allowed), Process::Gateway, Some(text)) {
        (Ok(found), 1) => assert_eq!(("", found), (expected, digest), "{name}"),
        (Err(why), 0) => assert!(!expected.is_empty() && why.contains(expected), "{name}: {why}"),
        found => panic!("{name}: {found:?}"),
    }
}
