//! The recorder's tests: what they share, and reporters side by side.

mod crashes;
mod deleted;
mod permits;
mod syncs;

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use super::writer::{Job, Log};
use super::*;
use crate::audit::{Call, Event, Fault, Process, Segment, Verdict, samples, segments, verify};
use crate::call::{DecisionId, Digest, RunId, Target};
use crate::identity::{AgreementKey, AgreementPublic, Purpose, VerifyingKey};
use crate::state::files;
use crate::wire::{
    Connection, MayTell, PermitBody, Pipelined, Receipt, ReceiptBody, RecorderReply,
    RecorderRequest,
};

type Recorder = Connection<RecorderRequest, RecorderReply>;

/// The executor that permits are for.
static EXECUTOR: LazyLock<AgreementKey> = LazyLock::new(|| AgreementKey::generate().unwrap());

/// The directory for a recorder in a process of its own.
const CHILD_DIR: &str = "ATF_TEST_RECORDER_DIR";

/// Bytes after which it begins a new segment, where they are not the shipped ones.
const CHILD_SEGMENT_BYTES: &str = "ATF_TEST_RECORDER_SEGMENT_BYTES";

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

/// Nobody stops it.
fn for_ever() {
    loop {
        std::thread::park();
    }
}

fn no_kernel() -> Option<fn() -> io::Result<Vec<atf_common::event::Event>>> {
    None
}

/// A recorder on a thread of this process; it lives as long as the process.
fn start(dir: &Path, settings: Settings) -> Places {
    let places = places(dir);
    let served = places.clone();
    std::thread::spawn(move || serve(&served, &ids(), &settings, no_kernel(), for_ever).unwrap());
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

/// Records an event without a permit, of which there is no receipt.
fn ask(recorder: &mut Recorder, event: Event, durable: bool) -> Result<(), String> {
    let event = Box::new(event);
    match recorder.ask(&RecorderRequest::Append { event, durable, permit: None }) {
        Ok(RecorderReply::Recorded { receipt }) => {
            assert_eq!(receipt, None, "a receipt for nothing");
            Ok(())
        }
        Ok(RecorderReply::Refused { why }) => Err(why.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

fn finding(detail: &str) -> Event {
    Event::Finding { name: "test".into(), run: None, detail: detail.into() }
}

/// What a log without a socket answers to a record.
fn append(log: &mut Log, detail: &str, durable: bool) -> RecorderReply {
    let (event, reporter) = (finding(detail), Process::Gateway);
    let mut answers = log.commit(vec![Job { event, reporter, permit: None, durable }]);
    assert_eq!(answers.len(), 1, "one answer to one record");
    answers.remove(0)
}

/// Whether it takes one.
fn taken(log: &mut Log, durable: bool) -> bool {
    matches!(append(log, "x", durable), RecorderReply::Recorded { .. })
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
        match verify(&places.log_dir(), Some(&|b, s| key.verify(b, s).is_ok()), None) {
            Ok(whole) => return whole.records,
            Err(error) if Instant::now() > until => panic!("{error}"),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// The lines of the whole log.
fn lines(places: &Places) -> Vec<String> {
    let text = |s: &Segment| std::fs::read_to_string(&s.path).unwrap();
    let all: String = segments(&places.log_dir()).unwrap().iter().map(text).collect();
    all.lines().map(str::to_owned).collect()
}

/// Whether exactly one line is that of `finding(detail)`.
fn has_once(lines: &[String], detail: &str) -> bool {
    let quoted = format!("\"{detail}\"");
    lines.iter().filter(|line| line.contains(&quoted)).count() == 1
}

#[test]
fn records_of_concurrent_reporters_are_all_in_one_whole_log() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { segment_bytes_max: 20_000, ..Settings::default() };
    let places = start(dir.path(), settings);
    drop(connect(&places));
    let (reporters, each) = (8, 25);
    std::thread::scope(|scope| {
        for n in 0..reporters {
            let places = &places;
            scope.spawn(move || {
                let mut recorder = connect(places);
                for i in 0..each {
                    ask(&mut recorder, finding(&format!("{n}.{i}")), i % 2 == 0).unwrap();
                }
            });
        }
    });
    // Record 0 is the start of the recorder itself.
    assert_eq!(assert_whole(&places), reporters * each + 1);
    let lines = lines(&places);
    for (n, i) in (0..reporters).flat_map(|n| (0..each).map(move |i| (n, i))) {
        assert!(has_once(&lines, &format!("{n}.{i}")), "{n}.{i}");
    }
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
        target: Target::Tool("ledger.query".parse().unwrap()),
        pin: call.pin,
        arguments: call.arguments.unwrap(),
        policy: call.policy.unwrap(),
        nonce: EXECUTOR.public().into(),
        expires_unix_s: 1_700_000_010,
        exchange: None,
        may_tell: MayTell::default(),
        defers: None,
        began: call.began,
        waived: false,
    };
    call.permit = Some(Digest::of(text(&permit).as_bytes()));
    (call, permit)
}

fn text(permit: &PermitBody) -> String {
    serde_json::to_string(permit).unwrap()
}

fn decided(call: Call, verdict: Verdict) -> Event {
    Event::Decided { call: Box::new(call), verdict }
}

/// The attack: a process of ATF that fell brings records without end and without reading an answer.
#[test]
fn one_who_brings_many_records_does_not_hold_up_another() {
    const FLOOD: u64 = 2_000;
    let dir = tempfile::tempdir().unwrap();
    let places = start(dir.path(), Settings { group_records_max: 8, ..Settings::default() });
    let mut honest = connect(&places);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let path = places.recorder_socket();
    let flood = std::thread::spawn(move || {
        runtime.block_on(async {
            let hog = Pipelined::<RecorderRequest, RecorderReply>::open(&path).await.unwrap();
            let hog = std::sync::Arc::new(hog);
            let ask = |_| {
                let hog = std::sync::Arc::clone(&hog);
                tokio::spawn(async move {
                    let event = Box::new(finding("flood"));
                    hog.ask(&RecorderRequest::Append { event, durable: true, permit: None }).await
                })
            };
            for asked in (0..FLOOD).map(ask).collect::<Vec<_>>() {
                asked.await.unwrap().unwrap();
            }
        });
    });
    let mut meanwhile = 0;
    while !flood.is_finished() {
        ask(&mut honest, finding("honest"), true).unwrap();
        meanwhile += 1;
    }
    flood.join().unwrap();
    // It has every second turn, of some hundreds.
    assert!(meanwhile > 10, "{meanwhile} records beside the flood");
}
