//! Killed, full, torn, failing: what the log keeps.

use super::*;

/// The test that starts itself as a recorder of its own, and is nothing else then.
const CHILD: &str =
    "recorder::tests::crashes::no_record_that_was_answered_for_is_lost_when_the_recorder_is_killed";

/// The recorder of the tests that kill it.
fn record(dir: &str) {
    let mut settings = Settings::default();
    if let Ok(bytes) = std::env::var(CHILD_SEGMENT_BYTES) {
        settings.segment_bytes_max = bytes.parse().unwrap();
    }
    let failed = serve(&places(Path::new(dir)), &ids(), &settings, no_kernel(), for_ever);
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
        .args(["--exact", CHILD, "--nocapture", "--quiet"])
        .env(CHILD_DIR, dir)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn no_record_that_was_answered_for_is_lost_when_the_recorder_is_killed() {
    if let Ok(dir) = std::env::var(CHILD_DIR) {
        return record(&dir);
    }
    let dir = tempfile::tempdir().unwrap();
    let places = places(dir.path());
    let mut answered: Vec<String> = Vec::new();
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
                        let next = |i: usize| format!("{round}.{n}.{i}");
                        while ask(&mut recorder, finding(&next(got.len())), n % 2 == 0).is_ok() {
                            got.push(next(got.len()));
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
        answered.extend(got);
    }
    let last = places.clone();
    std::thread::spawn(move || serve(&last, &ids(), &Settings::default(), no_kernel(), for_ever));
    drop(connect(&places));
    let records = assert_whole(&places);
    let lines = lines(&places);
    assert_eq!(lines.len() as u64, records);
    let known: BTreeSet<&str> = lines.iter().flat_map(|line| line.split('"')).collect();
    for detail in &answered {
        assert!(known.contains(detail.as_str()), "{detail}");
    }
}

#[test]
fn a_full_disk_refuses_and_leaves_nothing_half_written() {
    let dir = tempfile::tempdir().unwrap();
    let places = places(dir.path());
    // 16 blocks of 512 bytes: room for a handful of records, then the write is cut short.
    let mut child = spawn(dir.path(), "trap '' XFSZ; ulimit -f 16;");
    let mut recorder = connect(&places);
    let mut written = 0;
    let why = loop {
        match ask(&mut recorder, finding(&"x".repeat(100)), true) {
            Ok(()) => written += 1,
            Err(why) => break why,
        }
        assert!(written < 100, "the limit holds");
    };
    assert!(why.contains("cannot be written"), "{why}");
    assert!(written > 0, "the control: some were written");
    let records = assert_whole(&places);
    assert_eq!(records, written + 1);
    // Still there, still refusing, and the number was not used up.
    assert!(ask(&mut recorder, finding(&"x".repeat(100)), true).is_err());
    child.kill().unwrap();
    child.wait().unwrap();
    let mut again = spawn(dir.path(), "");
    ask(&mut connect(&places), finding("room again"), true).unwrap();
    assert_eq!(assert_whole(&places), records + 2, "with the record of the start");
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

/// The attack: descriptors run out just when a segment has its file and nothing more.
#[test]
fn a_segment_that_is_half_made_is_made_again() {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let dir = tempfile::tempdir().unwrap();
    let places = places(dir.path());
    let mut child = spawn(dir.path(), &format!("export {CHILD_SEGMENT_BYTES}=1;"));
    let mut recorder = connect(&places);
    ask(&mut recorder, finding("one"), true).unwrap();
    assert_whole(&places);
    // The head is signed and kept, so that nobody but the next segment opens anything.
    std::thread::sleep(Duration::from_millis(300));
    let fds = std::fs::read_dir(format!("/proc/{}/fd", child.id())).unwrap();
    let is_segment = |path: &Path| path.extension().is_some_and(|end| end == "jsonl");
    let kept: BTreeSet<u64> = fds
        .map(|fd| fd.unwrap())
        .filter(|fd| !std::fs::read_link(fd.path()).is_ok_and(|path| is_segment(&path)))
        .map(|fd| fd.file_name().to_str().unwrap().parse().unwrap())
        .collect();
    let second_free = (0..).filter(|fd| !kept.contains(fd)).nth(1);
    let pid = Pid::from_child(&child);
    let limit = |current| {
        let old = rustix::process::getrlimit(Resource::Nofile);
        prlimit(Some(pid), Resource::Nofile, Rlimit { current, maximum: old.maximum }).unwrap()
    };
    let old = limit(second_free);
    let why = ask(&mut recorder, finding("two"), true).unwrap_err();
    assert!(why.contains("Too many open files"), "the control: {why}");
    limit(old.current);
    ask(&mut recorder, finding("three"), true).unwrap();
    assert_eq!(assert_whole(&places), 3);
    child.kill().unwrap();
    child.wait().unwrap();
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
