use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use super::writer::{Answer, Job, Log};
use super::*;
use crate::audit::{Call, Event, Fault, Process, Segment, Verdict, samples, segments, verify};
use crate::call::{DecisionId, Digest, RunId};
use crate::identity::VerifyingKey;
use crate::state::files;
use crate::wire::{Connection, PermitBody, Receipt, RecorderReply, RecorderRequest};

type Recorder = Connection<RecorderRequest, RecorderReply>;

/// The directory for a recorder in a process of its own.
const CHILD_DIR: &str = "ATF_TEST_RECORDER_DIR";

fn places(dir: &Path) -> Places {
    Places { run_dir: dir.join("run"), state_dir: dir.join("state"), ..Places::default() }
}

fn ids() -> Ids {
    Ids {
        // The tests are the gateway, whoever runs them but root.
        gateway: rustix::process::geteuid().as_raw(),
        ..Ids::default()
    }
}

fn no_kernel() -> Option<fn() -> io::Result<Vec<atf_common::event::Event>>> {
    None
}

/// A recorder on a thread of this process; it lives as long as the process.
fn start(dir: &Path, settings: Settings) -> Places {
    let places = places(dir);
    let served = places.clone();
    std::thread::spawn(move || serve(&served, &ids(), &settings, no_kernel()).unwrap());
    places
}

fn connect(places: &Places) -> Recorder {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        match Recorder::open(&places.recorder_socket(), Duration::from_secs(20)) {
            Ok(connection) => return connection,
            Err(error) if Instant::now() > until => panic!("no recorder: {error}"),
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

fn ask(recorder: &mut Recorder, event: Event, durable: bool) -> Result<Receipt, String> {
    let event = Box::new(event);
    match recorder.ask(&RecorderRequest::Append { event, durable, permit: None }) {
        Ok(RecorderReply::Recorded { receipt }) => Ok(receipt),
        Ok(RecorderReply::Refused { why }) => Err(why.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

fn finding(detail: &str) -> Event {
    Event::Finding { name: "test".into(), run: None, detail: detail.into() }
}

fn log_key(places: &Places) -> VerifyingKey {
    let text = std::fs::read_to_string(places.log_key()).unwrap();
    VerifyingKey::from_hex(&text).unwrap()
}

#[track_caller]
fn assert_whole(places: &Places) -> u64 {
    let key = log_key(places);
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        // The head follows the records by some milliseconds.
        match verify(&places.log_dir(), Some(&|b, s| key.verify(b, s).is_ok())) {
            Ok(whole) => return whole.records,
            Err(error) if Instant::now() > until => panic!("{error}"),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

#[test]
fn concurrent_reporters_get_consecutive_numbers_and_good_receipts() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { segment_bytes_max: 20_000, ..Settings::default() };
    let places = start(dir.path(), settings);
    drop(connect(&places));
    let each = 25;
    let receipts: Vec<Receipt> = std::thread::scope(|scope| {
        let reporters: Vec<_> = (0..8)
            .map(|n| {
                let places = &places;
                scope.spawn(move || {
                    let mut recorder = connect(places);
                    (0..each)
                        .map(|i| ask(&mut recorder, finding(&format!("{n}.{i}")), i % 2 == 0))
                        .collect::<Result<Vec<_>, _>>()
                        .unwrap()
                })
            })
            .collect();
        reporters.into_iter().flat_map(|r| r.join().unwrap()).collect()
    });
    let key = log_key(&places);
    for receipt in &receipts {
        assert!(key.verify(&receipt.signed_bytes(), &receipt.signature).is_ok());
        let lie = Receipt { durable: !receipt.durable, ..receipt.clone() };
        assert!(key.verify(&lie.signed_bytes(), &lie.signature).is_err());
    }
    // Record 0 is the start of the recorder itself.
    let numbers: BTreeSet<u64> = receipts.iter().map(|r| r.seq).collect();
    assert_eq!(numbers, (1..=8 * each).collect());
    assert_eq!(assert_whole(&places), 8 * each + 1);
    assert!(segments(&places.log_dir()).unwrap().len() > 3, "segments rotate");
}

/// A record of an allowed call, and the permit that belongs to it.
fn allowed() -> (Call, PermitBody) {
    let mut call = samples::call(RunId::random());
    let permit = PermitBody {
        decision: call.decision,
        run: call.run,
        cgroup: call.cgroup,
        token: call.token.unwrap(),
        tool: "ledger.query".parse().unwrap(),
        pin: call.pin.unwrap(),
        arguments: call.arguments.unwrap(),
        policy: call.policy.unwrap(),
        nonce: Digest::of(b"nonce"),
        expires_unix_s: 1_700_000_010,
    };
    call.permit = Some(Digest::of(text(&permit).as_bytes()));
    (call, permit)
}

fn text(permit: &PermitBody) -> String {
    serde_json::to_string(permit).unwrap()
}

/// What a fresh recorder answers to one record, and how many records it has then.
fn answer(
    event: Event,
    reporter: Process,
    permit: Option<String>,
) -> (Result<Receipt, String>, u64) {
    let dir = tempfile::tempdir().unwrap();
    let mut log = start::open(&places(dir.path()), &Settings::default()).unwrap();
    let (answers, outbox) = std::sync::mpsc::channel();
    let job = Job::new(event, reporter, true, Answer::to(1, answers));
    log.commit(vec![job.with_permit(permit)]);
    let answer = match outbox.recv().unwrap().1 {
        RecorderReply::Recorded { receipt } => Ok(receipt),
        RecorderReply::Refused { why } => Err(why.to_string()),
    };
    (answer, log.chain.next_seq())
}

fn decided(call: Call, verdict: Verdict) -> Event {
    Event::Decided { call: Box::new(call), verdict }
}

#[test]
fn a_receipt_stands_for_a_permit_only_when_the_gateway_allowed_it() {
    let refused = || Verdict::Refused {
        step: crate::call::Step::Policy,
        reason: crate::call::Reason::PolicyDenied,
        detail: "no".into(),
    };
    let (call, permit) = allowed();
    let (digest, text) = (call.permit, Some(text(&permit)));
    let yes = || decided(call.clone(), Verdict::Allowed);
    let no = || decided(call.clone(), refused());
    for (event, reporter, permit, expected) in [
        (yes(), Process::Gateway, text.clone(), Ok(digest)),
        (yes(), Process::Gateway, None, Ok(None)),
        (no(), Process::Gateway, None, Ok(None)),
        (finding("x"), Process::Gateway, None, Ok(None)),
        (no(), Process::Gateway, text.clone(), Err("found one of Gateway")),
        (finding("x"), Process::Gateway, text.clone(), Err("found one of Gateway")),
        (yes(), Process::Authority, text.clone(), Err("Authority tells no such")),
        (yes(), Process::Enforcer, text.clone(), Err("Enforcer tells no such")),
        (yes(), Process::Gateway, text.map(|text| text + "{}"), Err("JSON of a permit")),
    ] {
        let shown = format!("{event:?} of {reporter:?}");
        match (answer(event, reporter, permit), expected) {
            ((Ok(receipt), 1), Ok(expected)) => assert_eq!(receipt.permit, expected, "{shown}"),
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
            | Event::Released { .. } => &[Authority],
            Event::Decided { .. } | Event::Settled { .. } | Event::Sealed { .. } => &[Gateway],
            Event::KernelDenied { .. } => &[Recorder],
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
        (|_, p| p.decision = DecisionId::random(), "`decision`"),
        (|_, p| p.run = RunId::random(), "`run`"),
        (|_, p| p.cgroup.0 += 1, "`cgroup`"),
        (|_, p| p.token = Digest::of(b"other"), "`token`"),
        (|c, _| c.token = None, "`token`"),
        (|_, p| p.tool = "ledger.adjust".parse().unwrap(), "`tool`"),
        (|c, _| c.tool = Some("ledger.query ".into()), "`tool`"),
        (|c, _| c.tool = None, "`tool`"),
        (|_, p| p.pin = Digest::of(b"other"), "`pin`"),
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
        (Ok(receipt), 1) => assert_eq!(("", receipt.permit), (expected, digest), "{name}"),
        (Err(why), 0) => assert!(!expected.is_empty() && why.contains(expected), "{name}: {why}"),
        found => panic!("{name}: {found:?}"),
    }
}

/// Not a test by itself: the recorder of the tests that kill it.
#[test]
#[ignore = "started by other tests as a process of its own"]
fn as_a_process_of_its_own() {
    let Ok(dir) = std::env::var(CHILD_DIR) else {
        return;
    };
    let failed = serve(&places(Path::new(&dir)), &ids(), &Settings::default(), no_kernel());
    eprintln!("{}", failed.unwrap_err());
    std::process::exit(3);
}

/// A recorder in a process of its own, started through `sh -c "PREFIX exec ..."`.
fn spawn(dir: &Path, prefix: &str) -> Child {
    let this = std::env::current_exe().unwrap();
    Command::new("sh")
        .arg("-c")
        .arg(format!("{prefix} exec \"$0\" \"$@\""))
        .arg(this)
        .args(["--exact", "recorder::tests::as_a_process_of_its_own"])
        .args(["--ignored", "--nocapture", "--quiet"])
        .env(CHILD_DIR, dir)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn no_receipted_record_is_lost_when_the_recorder_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let places = places(dir.path());
    let mut receipts: Vec<Receipt> = Vec::new();
    for round in 0..3 {
        let mut child = spawn(dir.path(), "");
        let got = std::thread::scope(|scope| {
            let reporters: Vec<_> = (0..4)
                .map(|n| {
                    let places = &places;
                    scope.spawn(move || {
                        let mut recorder = connect(places);
                        let mut got = Vec::new();
                        // Until it is killed.
                        while let Ok(r) = ask(&mut recorder, finding("x"), n % 2 == 0) {
                            got.push(r);
                        }
                        got
                    })
                })
                .collect();
            drop(connect(&places));
            std::thread::sleep(Duration::from_millis(300 + 70 * round));
            child.kill().unwrap();
            child.wait().unwrap();
            reporters.into_iter().flat_map(|r| r.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(!got.is_empty());
        receipts.extend(got);
    }
    let last = places.clone();
    std::thread::spawn(move || serve(&last, &ids(), &Settings::default(), no_kernel()));
    drop(connect(&places));
    let records = assert_whole(&places);
    let log: String = segments(&places.log_dir())
        .unwrap()
        .iter()
        .map(|s| std::fs::read_to_string(&s.path).unwrap())
        .collect();
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len() as u64, records);
    for receipt in &receipts {
        let line = lines[usize::try_from(receipt.seq).unwrap()];
        assert!(line.contains(&receipt.fingerprint.to_string()), "{}", receipt.seq);
    }
}

#[test]
fn a_full_disk_refuses_and_leaves_nothing_half_written() {
    let dir = tempfile::tempdir().unwrap();
    let places = places(dir.path());
    // 16 blocks of 512 bytes: room for a handful of records, then the write is cut short.
    let mut child = spawn(dir.path(), "trap '' XFSZ; ulimit -f 16;");
    let mut recorder = connect(&places);
    let mut seqs = Vec::new();
    let why = loop {
        match ask(&mut recorder, finding(&"x".repeat(100)), true) {
            Ok(receipt) => seqs.push(receipt.seq),
            Err(why) => break why,
        }
        assert!(seqs.len() < 100, "the limit holds");
    };
    assert!(why.contains("cannot be written"), "{why}");
    assert!(!seqs.is_empty(), "the control: some were written");
    let records = assert_whole(&places);
    assert_eq!(records, seqs.len() as u64 + 1);
    // Still there, still refusing, and the number was not used up.
    assert!(ask(&mut recorder, finding(&"x".repeat(100)), true).is_err());
    child.kill().unwrap();
    child.wait().unwrap();
    let mut again = spawn(dir.path(), "");
    let receipt = ask(&mut connect(&places), finding("room again"), true).unwrap();
    assert_eq!(receipt.seq, records + 1, "after the record of the start");
    assert_whole(&places);
    again.kill().unwrap();
    again.wait().unwrap();
}

/// The attack: a process of ATF opens connections until the recorder has no descriptor left.
#[test]
fn a_flood_of_connections_does_not_end_the_recorder() {
    let dir = tempfile::tempdir().unwrap();
    let places = places(dir.path());
    let mut child = spawn(dir.path(), "ulimit -n 24;");
    ask(&mut connect(&places), finding("before"), true).unwrap();
    let flood: Vec<Recorder> = (0..60).map(|_| connect(&places)).collect();
    std::thread::sleep(Duration::from_millis(300));
    let open = std::fs::read_dir(format!("/proc/{}/fd", child.id())).unwrap().count();
    assert!(open >= 23, "the control: {open} descriptors, none is left");
    assert!(child.try_wait().unwrap().is_none(), "it ended");
    drop(flood);
    let until = Instant::now() + Duration::from_secs(10);
    while let Err(why) = ask(&mut connect(&places), finding("after"), true) {
        assert!(Instant::now() < until, "{why}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

fn fails(_: &File) -> io::Result<()> {
    Err(io::Error::from_raw_os_error(5))
}

fn fails_once(file: &File) -> io::Result<()> {
    use std::sync::atomic::{AtomicBool, Ordering};
    static FAILED: AtomicBool = AtomicBool::new(false);
    if FAILED.swap(true, Ordering::Relaxed) {
        return file.sync_data();
    }
    fails(file)
}

#[test]
fn a_disk_that_fails_to_sync_costs_a_segment_and_no_record() {
    for (sync, ok) in [(fails_once as fn(&File) -> _, true), (fails, false)] {
        let dir = tempfile::tempdir().unwrap();
        let places = places(dir.path());
        let mut log = start::open(&places, &Settings::default()).unwrap();
        let ask = |log: &mut Log, durable| {
            let (answers, outbox) = std::sync::mpsc::channel();
            let answer = Answer::to(1, answers);
            log.commit(vec![Job::new(finding("x"), Process::Gateway, durable, answer)]);
            matches!(outbox.recv().unwrap().1, RecorderReply::Recorded { .. })
        };
        assert!(ask(&mut log, true), "the control");
        let second = start::open(&places, &Settings::default()).map(|_| ());
        assert!(second.is_err(), "one log has one recorder");
        assert!(ask(&mut log, false));
        log.disk = log.disk.with_sync(sync);
        assert_eq!(ask(&mut log, true), ok);
        assert_eq!(ask(&mut log, true), ok, "a dead disk stays dead");
        if ok {
            assert_eq!(assert_whole(&places), 4);
            assert_eq!(segments(&places.log_dir()).unwrap().len(), 2);
        }
    }
}

#[test]
fn a_torn_line_is_cut_off_and_told() {
    let dir = tempfile::tempdir().unwrap();
    let places = places(dir.path());
    let mut child = spawn(dir.path(), "");
    ask(&mut connect(&places), finding("one"), true).unwrap();
    assert_whole(&places);
    child.kill().unwrap();
    child.wait().unwrap();
    let segment = Segment::at(&places.log_dir(), 0).path;
    let mut text = std::fs::read(&segment).unwrap();
    text.extend(b"{\"half");
    std::fs::write(&segment, &text).unwrap();

    let mut child = spawn(dir.path(), "");
    ask(&mut connect(&places), finding("two"), true).unwrap();
    assert_eq!(assert_whole(&places), 5);
    let log = std::fs::read_to_string(&segment).unwrap();
    assert!(log.contains("log.torn") && log.contains("6 bytes after the last whole record"));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_log_that_is_not_whole_is_not_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    let places = places(dir.path());
    let mut child = spawn(dir.path(), "");
    let mut recorder = connect(&places);
    for n in 0..3 {
        ask(&mut recorder, finding(&n.to_string()), true).unwrap();
    }
    assert_whole(&places);
    std::thread::sleep(Duration::from_millis(200));
    child.kill().unwrap();
    child.wait().unwrap();
    let segment = Segment::at(&places.log_dir(), 0).path;
    let good = std::fs::read(&segment).unwrap();
    let open = || start::open(&places, &Settings::default()).map(|_| ());
    let cut = good[..good.len() - 1].iter().rposition(|b| *b == b'\n').unwrap() + 1;
    let mut flipped = good.clone();
    flipped[cut + 40] ^= 1;
    for (bad, what) in [(flipped, "flipped"), (good[..cut].to_vec(), "cut")] {
        std::fs::write(&segment, bad).unwrap();
        assert!(matches!(open(), Err(RecorderError::Log(_))), "{what}");
    }
    let fault = Fault::Cut { head: 3 };
    let error = open().unwrap_err().to_string();
    assert!(error.contains(&fault.to_string()), "{error}");
    std::fs::write(&segment, good).unwrap();
    assert!(open().is_ok(), "the control");
    std::fs::write(places.state("recorder").join("log.key"), b"no key").unwrap();
    assert!(matches!(open(), Err(RecorderError::Key { .. })));
    files::keep_secret(&places.state("recorder").join("log.key"), b"").unwrap();
    assert!(matches!(open(), Err(RecorderError::Key { .. })));
}
