//! The disk in its own time: syncs that fail, that end late, or that nobody asks for any more.

use std::cell::Cell;

use super::super::heads::Heads;
use super::super::shared_log::SharedLog;
use super::*;
use crate::audit::Head;

/// Time between two syncs, where a test is to see one.
const A_MOMENT: Duration = Duration::from_millis(20);

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

fn panics(_: &File) -> io::Result<()> {
    panic!("a test's panic");
}

fn log_in(dir: &Path) -> (Places, Log) {
    let places = places(dir);
    let log = start::open(&places, &Settings::default()).unwrap();
    (places, log)
}

/// The head on the disk comes to record `seq`, and stays there.
#[track_caller]
fn assert_head(places: &Places, seq: u64) {
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        std::thread::sleep(Duration::from_millis(200));
        let found = Head::read(&places.log_dir()).unwrap().map(|head| head.seq);
        if found == Some(seq) {
            return;
        }
        assert!(Instant::now() < until, "the head is {found:?} in place of {seq}");
    }
}

#[track_caller]
fn assert_comes(what: &str, mut has_come: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(10);
    while !has_come() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_disk_that_fails_to_sync_costs_a_segment_and_no_record() {
    for (sync, ok) in [(fails_once as fn(&File) -> _, true), (fails, false)] {
        let dir = tempfile::tempdir().unwrap();
        let (places, mut log) = log_in(dir.path());
        assert!(taken(&mut log, true), "the control");
        let second = start::open(&places, &Settings::default()).map(|_| ());
        assert!(second.is_err(), "one log has one recorder");
        assert!(taken(&mut log, false));
        log.disk = log.disk.with_sync(sync);
        assert_eq!(taken(&mut log, true), ok);
        assert_eq!(taken(&mut log, true), ok, "a dead disk stays dead");
        if ok {
            assert_eq!(assert_whole(&places), 4);
            assert_eq!(segments(&places.log_dir()).unwrap().len(), 2);
        }
    }
}

/// The queued ones of a group whose sync failed may be gone with the segment.
#[test]
fn a_group_whose_sync_fails_is_refused_as_a_whole() {
    for (sync, ok) in [(File::sync_data as fn(&File) -> _, true), (fails, false)] {
        let dir = tempfile::tempdir().unwrap();
        let (_, mut log) = log_in(dir.path());
        log.disk = log.disk.with_sync(sync);
        let (event, reporter) = (finding("x"), Process::Gateway);
        let job = |durable| Job { event: event.clone(), reporter, permit: None, durable };
        for answer in log.commit(vec![job(false), job(true), job(false)]) {
            assert_eq!(matches!(answer, RecorderReply::Recorded { .. }), ok, "{answer:?}");
        }
    }
}

/// The attacks: the disk fails while the log goes on, before and after a sync that somebody waited for.
#[test]
fn a_sync_beside_the_writing_that_fails_costs_no_record() {
    for waited in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let (places, mut log) = log_in(dir.path());
        let add = |log: &mut Log, durable| assert!(taken(log, durable));
        log.begin(&places);
        add(&mut log, false);
        let (begun, head) = log.begin_sync().expect("one is not synced");
        add(&mut log, waited);
        assert_head(&places, if waited { 2 } else { 0 });
        begun.wait().unwrap();
        log.end_sync(&begun, Ok(()), head);
        assert_eq!(log.disk.pending_bytes() > 0, !waited, "what came meanwhile is pending still");
        assert_head(&places, if waited { 2 } else { 1 });
        add(&mut log, false);
        let (begun, head) = log.begin_sync().unwrap();
        add(&mut log, false);
        let pending = log.disk.pending_bytes();
        log.end_sync(&begun, fails(&File::open(dir.path()).unwrap()), head.clone());
        assert_eq!(segments(&places.log_dir()).unwrap().len(), 2, "the control: it failed");
        assert_eq!((log.disk.pending_bytes(), pending > 0), (0, true));
        assert_head(&places, 4);
        add(&mut log, false);
        // That was of the segment before: neither its failure nor its success is of this one.
        log.end_sync(&begun, fails(&File::open(dir.path()).unwrap()), head.clone());
        log.end_sync(&begun, Ok(()), head);
        assert!(log.disk.pending_bytes() > 0);
        add(&mut log, true);
        assert_eq!(segments(&places.log_dir()).unwrap().len(), 2);
        assert_eq!(assert_whole(&places), 7);
        assert_head(&places, 6);
    }
}

/// The attack: a sync beside the writing fails, when all that it is of is durable by a later one. Its failure may be
/// of what came after that, and the kernel tells it once.
#[test]
fn a_sync_that_fails_late_costs_a_segment_and_no_record() {
    for (before, meanwhile) in [
        // Durable or not.
        (&[true, false][..], &[true][..]),
        (&[true, false], &[true, false]),
        (&[false], &[true]),
        (&[false], &[true, false]),
    ] {
        let what = format!("{before:?}, then {meanwhile:?}");
        let dir = tempfile::tempdir().unwrap();
        let (places, mut log) = log_in(dir.path());
        before.iter().for_each(|durable| assert!(taken(&mut log, *durable)));
        let (begun, head) = log.begin_sync().expect("one is not synced");
        meanwhile.iter().for_each(|durable| assert!(taken(&mut log, *durable)));
        log.end_sync(&begun, fails(&File::open(dir.path()).unwrap()), head);
        assert_eq!(log.disk.pending_bytes(), 0, "{what}");
        assert!(taken(&mut log, true), "{what}");
        let records = before.len() + meanwhile.len() + 1;
        assert_eq!(assert_whole(&places), records as u64, "{what}");
        assert_eq!(segments(&places.log_dir()).unwrap().len(), 2, "{what}");
    }
}

/// As a file system that syncs only what was opened for writing.
fn for_writers_alone(file: &File) -> io::Result<()> {
    use rustix::fs::OFlags;
    let mode = rustix::fs::fcntl_getfl(file)?.intersection(OFlags::RWMODE);
    if mode == OFlags::RDONLY { Err(io::Error::from_raw_os_error(9)) } else { file.sync_data() }
}

#[test]
fn a_segment_is_synced_by_who_may_write_it() {
    let dir = tempfile::tempdir().unwrap();
    assert!(for_writers_alone(&File::open(dir.path()).unwrap()).is_err(), "the control");
    for (seq, segment) in [(0, "a new one"), (1, "the one of the start before")] {
        let (places, mut log) = log_in(dir.path());
        log.disk = log.disk.with_sync(for_writers_alone);
        assert!(taken(&mut log, false));
        let (begun, head) = log.begin_sync().unwrap();
        assert!(begun.wait().is_ok(), "{segment}");
        log.end_sync(&begun, Ok(()), head);
        assert_head(&places, seq);
    }
}

/// What is durable has its head, also where the next segment was the reason.
#[test]
fn a_segment_that_is_full_has_its_head_signed() {
    let dir = tempfile::tempdir().unwrap();
    let places = places(dir.path());
    let settings = Settings { segment_bytes_max: 1, ..Settings::default() };
    let mut log = start::open(&places, &settings).unwrap();
    assert!(taken(&mut log, false) && taken(&mut log, false));
    assert_head(&places, 0);
    assert_eq!(segments(&places.log_dir()).unwrap().len(), 2);
}

thread_local! {
    /// The length of the file at its last sync by this thread.
    static LENGTH: Cell<u64> = const { Cell::new(0) };
}

fn tells_its_length(file: &File) -> io::Result<()> {
    LENGTH.set(file.metadata()?.len());
    file.sync_data()
}

/// The attack: a disk that never ends a sync, while records come that nobody waits for.
#[test]
fn a_sync_that_does_not_end_costs_a_bounded_memory() {
    const MOST: u64 = 16 << 20;
    for (records, bytes) in [(100, 2_000), (2_000, 5_000)] {
        let dir = tempfile::tempdir().unwrap();
        let (_, mut log) = log_in(dir.path());
        log.disk = log.disk.with_sync(tells_its_length);
        assert!(taken(&mut log, false));
        let (begun, head) = log.begin_sync().expect("one is not synced");
        LENGTH.set(0);
        let (event, reporter) = (finding(&"x".repeat(bytes)), Process::Gateway);
        let job = || Job { event: event.clone(), reporter, permit: None, durable: false };
        while LENGTH.get() == 0 {
            let answers = log.commit((0..records).map(|_| job()).collect());
            assert!(matches!(answers[..], [RecorderReply::Recorded { .. }, ..]));
            assert!(log.disk.pending_bytes() as u64 <= MOST, "a sync is due");
        }
        // It was the first sync: all that the file had then was pending.
        assert!((MOST / 2..=MOST).contains(&LENGTH.get()), "{} bytes in memory", LENGTH.get());
        log.end_sync(&begun, Ok(()), head);
        assert!(taken(&mut log, true));
    }
}

/// The chain and the disk may be at odds after a panic: what came after it would be taken for whole.
#[test]
fn after_a_panic_in_the_middle_nothing_is_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let (_, mut log) = log_in(dir.path());
    assert!(taken(&mut log, true), "the control");
    log.disk = log.disk.with_sync(panics);
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| taken(&mut log, true)));
    assert!(caught.is_err(), "the control: it panics");
    log.disk = log.disk.with_sync(File::sync_data);
    assert!(!taken(&mut log, true));
}

/// No cut of what came after would be found.
#[test]
fn when_nobody_signs_heads_nothing_is_recorded() {
    for durable in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let (_, mut log) = log_in(dir.path());
        assert!(taken(&mut log, durable), "the control");
        let before = (log.chain.next_seq(), log.disk.pending_bytes());
        log.heads = Heads::whose_thread_has_ended();
        assert!(!taken(&mut log, durable), "durable: {durable}");
        assert_eq!((log.chain.next_seq(), log.disk.pending_bytes()), before);
        assert_eq!(log.begin_sync().is_some(), !durable, "what was taken comes to the disk still");
    }
}

/// The attack: to stop the recorder right after a record, and to cut that record off the log.
#[test]
fn the_end_of_a_log_that_is_closed_is_under_its_head() {
    let dir = tempfile::tempdir().unwrap();
    let (places, mut log) = log_in(dir.path());
    for durable in [true, false, false] {
        assert!(taken(&mut log, durable));
    }
    let written = log.chain.next_seq() - 1;
    log.close().unwrap();
    assert_eq!(Head::read(&places.log_dir()).unwrap().unwrap().seq, written, "without a wait");
    assert!(!taken(&mut log, true), "nothing is written behind it");
    assert_eq!(assert_whole(&places), written + 1);
}

/// What is queued would stay in memory.
#[test]
fn when_nobody_syncs_what_is_queued_nothing_is_recorded() {
    for (sync, ends) in [(File::sync_data as fn(&File) -> _, false), (panics, true)] {
        let dir = tempfile::tempdir().unwrap();
        let (_, mut log) = log_in(dir.path());
        log.disk = log.disk.with_sync(sync);
        let log = SharedLog::start(log, A_MOMENT);
        let (event, reporter) = (finding("x"), Process::Gateway);
        let taken = || {
            let event = event.clone();
            let answers = log.commit(vec![Job { event, reporter, permit: None, durable: false }]);
            matches!(answers[..], [RecorderReply::Recorded { .. }])
        };
        assert!(taken(), "the control");
        let is_over = || log.sync_thread.is_finished() || log.log.lock().disk.pending_bytes() == 0;
        assert_comes("the sync", is_over);
        assert_eq!((log.sync_thread.is_finished(), taken()), (ends, !ends));
    }
}

#[test]
fn the_sync_thread_ends_with_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let (_, log) = log_in(dir.path());
    let SharedLog { log, sync_thread } = SharedLog::start(log, A_MOMENT);
    assert!(taken(&mut log.lock(), false));
    drop(log);
    assert_comes("its end", || sync_thread.is_finished());
}

/// The attack: more is queued than may be off the disk until the time for a sync.
#[test]
fn much_that_is_queued_is_synced_before_its_time() {
    let dir = tempfile::tempdir().unwrap();
    let (_, log) = log_in(dir.path());
    let log = SharedLog::start(log, Duration::from_secs(3_600));
    let (event, reporter) = (finding(&"x".repeat(5_000)), Process::Gateway);
    let job = || Job { event: event.clone(), reporter, permit: None, durable: false };
    log.commit(vec![job()]);
    std::thread::sleep(Duration::from_millis(200));
    assert!(log.log.lock().disk.pending_bytes() > 0, "the control: its time has not come");
    log.commit((0..1_000).map(|_| job()).collect());
    assert_comes("the sync", || log.log.lock().disk.pending_bytes() == 0);
}
