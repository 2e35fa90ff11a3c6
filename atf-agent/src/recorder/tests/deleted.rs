//! What somebody can do who writes the log's directory and nothing besides: the key and the mark stay.

use super::*;
use crate::audit::{HEAD_FILE, Head, VerifyError};

/// The finding of a start without a log.
const GONE: &str = "\"log.gone\"";

/// A recorder's start and its end, with `more` records between; the head has them all.
fn start_and_end(places: &Places, more: usize) -> Result<(), RecorderError> {
    let mut log = start::open(places, &Settings::default())?;
    log.begin(places);
    for n in 0..more {
        let event = finding(&n.to_string());
        log.commit(vec![Job { event, reporter: Process::Gateway, permit: None, durable: true }]);
    }
    let last = log.chain.last().unwrap().seq;
    let until = Instant::now() + Duration::from_secs(20);
    while Head::read(&places.log_dir()).unwrap().is_none_or(|head| head.seq != last) {
        assert!(Instant::now() < until, "no head");
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// What `atf audit verify` says.
fn fault(places: &Places) -> Option<Fault> {
    let key = public_log_key(places).unwrap().unwrap();
    let signed = |bytes: &[u8], signature: &str| key.verify(bytes, signature).is_ok();
    match verify(&places.log_dir(), Some(&signed), mark(places).unwrap()) {
        Ok(_) => None,
        Err(VerifyError::Broken(broken)) => Some(broken.fault),
        Err(error) => panic!("{error}"),
    }
}

fn found(places: &Places) -> bool {
    lines(places).iter().any(|line| line.contains(GONE))
}

fn empty(dir: &Path) {
    std::fs::remove_dir_all(dir).unwrap();
    std::fs::create_dir(dir).unwrap();
}

fn copy(from: &Path, to: &Path) {
    empty(to);
    for file in std::fs::read_dir(from).unwrap().flatten() {
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

#[test]
fn a_fresh_installation_is_whole_and_finds_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let places = places(dir.path());
    for more in [0, 2, 0] {
        start_and_end(&places, more).unwrap();
        assert_eq!((fault(&places), found(&places)), (None, false));
    }
    // After a reboot the published key is not there yet.
    std::fs::remove_file(places.log_key()).unwrap();
    assert_eq!(fault(&places), None);
}

#[test]
fn a_deleted_log_is_not_whole_and_the_next_start_says_so() {
    type Delete = fn(&Path);
    let ways: [(&str, Delete); 4] = [
        ("all files", empty),
        ("the directory", |log| std::fs::remove_dir_all(log).unwrap()),
        ("all but an empty segment", |log| {
            empty(log);
            std::fs::write(Segment::at(log, 0).path, "").unwrap();
        }),
        ("all but the half of a line", |log| {
            empty(log);
            std::fs::write(Segment::at(log, 0).path, "{\"half").unwrap();
        }),
    ];
    for (what, delete) in ways {
        for marked in [true, false] {
            let dir = tempfile::tempdir().unwrap();
            let places = places(dir.path());
            start_and_end(&places, 3).unwrap();
            assert_eq!(fault(&places), None, "the control");
            delete(&places.log_dir());
            if !marked {
                // An installation of a release that kept no mark.
                std::fs::remove_file(places.state("recorder").join("log.mark")).unwrap();
            }
            let torn = what.contains("half");
            let expected = if torn { Fault::Torn { bytes: 6 } } else { Fault::Gone };
            assert_eq!(fault(&places), Some(expected), "{what}");
            start_and_end(&places, 0).unwrap();
            assert!(found(&places), "{what}, marked: {marked}");
            // What came after is whole by itself, with the finding in it; once.
            assert_eq!(fault(&places), None, "{what}");
            let before = lines(&places).len();
            start_and_end(&places, 0).unwrap();
            assert_eq!(lines(&places).len(), before + 1, "{what}");
        }
    }
}

#[test]
fn half_a_deletion_is_not_gone_on_with() {
    type Delete = fn(&Path);
    let ways: [(&str, Delete, Fault); 2] = [
        ("the head", |log| std::fs::remove_file(log.join(HEAD_FILE)).unwrap(), Fault::NoHead),
        (
            "the records",
            |log| std::fs::remove_file(Segment::at(log, 0).path).unwrap(),
            Fault::Cut { head: 3 },
        ),
    ];
    for (what, delete, expected) in ways {
        let dir = tempfile::tempdir().unwrap();
        let places = places(dir.path());
        start_and_end(&places, 3).unwrap();
        delete(&places.log_dir());
        assert_eq!(fault(&places), Some(expected), "{what}");
        let again = start_and_end(&places, 0);
        assert!(matches!(again, Err(RecorderError::Log(_))), "{what}");
    }
}

/// The attack: the log as it was earlier is put back, with the head that the key signed then.
#[test]
fn an_older_copy_is_not_whole_and_not_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    let places = places(dir.path());
    let older = dir.path().join("older");
    std::fs::create_dir(&older).unwrap();
    start_and_end(&places, 3).unwrap();
    copy(&places.log_dir(), &older);
    start_and_end(&places, 0).unwrap();
    assert_eq!(fault(&places), None, "the control");
    copy(&older, &places.log_dir());
    assert_eq!(fault(&places), Some(Fault::Older { seq: 4 }));
    assert!(matches!(start_and_end(&places, 0), Err(RecorderError::Log(_))));

    // Deleted, and the finding of that hidden by a copy that is longer than what began anew.
    empty(&places.log_dir());
    start_and_end(&places, 0).unwrap();
    assert!(found(&places), "the control");
    copy(&older, &places.log_dir());
    assert_eq!(fault(&places), Some(Fault::Other));
    assert!(matches!(start_and_end(&places, 0), Err(RecorderError::Log(_))));
}
