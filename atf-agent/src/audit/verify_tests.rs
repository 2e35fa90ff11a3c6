use super::*;
use crate::audit::{HEAD_FILE, Process, samples};

/// A log of one of each event in two segments, its lines, and the directory that holds it.
struct Log {
    dir: tempfile::TempDir,
    lines: Vec<Vec<u8>>,
    split: usize,
    head: Head,
}

/// Stands in for the log key: what it signs is the digest.
fn sign(bytes: &[u8]) -> String {
    Digest::of(bytes).to_string()
}

fn signed(bytes: &[u8], signature: &str) -> bool {
    sign(bytes) == signature
}

impl Log {
    fn new() -> Self {
        Self::of(&samples::all())
    }

    fn of(events: &[crate::audit::Event]) -> Self {
        let mut chain = Chain::new("chain".into(), "host".into(), None);
        let lines: Vec<_> = events
            .iter()
            .zip(1_700_000_000_000..)
            .map(|(event, time)| chain.append(event, Process::Gateway, time).unwrap().line)
            .collect();
        let last = chain.last().unwrap();
        let mut head = Head {
            chain: "chain".into(),
            seq: last.seq,
            fingerprint: last.fingerprint,
            time_unix_ms: 1,
            signature: String::new(),
        };
        head.signature = sign(&head.signed_bytes());
        let log = Self { dir: tempfile::tempdir().unwrap(), split: lines.len() / 2, lines, head };
        log.write(&log.lines, log.split);
        log.write_head(&log.head);
        log
    }

    /// Replaces the log by these lines, the second segment beginning with line `split`.
    fn write(&self, lines: &[Vec<u8>], split: usize) {
        for old in segments(self.dir.path()).unwrap() {
            std::fs::remove_file(old.path).unwrap();
        }
        let (first, second) = lines.split_at(split.min(lines.len()));
        for (number, part) in [(0, first), (split as u64, second)] {
            let path = Segment::at(self.dir.path(), number).path;
            std::fs::write(path, part.concat()).unwrap();
        }
    }

    fn write_head(&self, head: &Head) {
        let path = self.dir.path().join(HEAD_FILE);
        std::fs::write(path, serde_json::to_vec(head).unwrap()).unwrap();
    }

    fn verify(&self) -> Result<Whole, VerifyError> {
        verify(self.dir.path(), Some(&signed), None)
    }

    #[track_caller]
    fn broken(&self) -> Broken {
        match self.verify() {
            Err(VerifyError::Broken(broken)) => broken,
            other => panic!("expected a broken log, found {other:?}"),
        }
    }
}

#[test]
fn a_log_as_it_was_written_is_whole() {
    let log = Log::new();
    let whole = log.verify().unwrap();
    assert_eq!(whole.records, log.lines.len() as u64);
    assert_eq!(whole.signed, Some(log.lines.len() as u64));
    assert_eq!(whole.segments, 2);
    assert_eq!(verify(log.dir.path(), None, None).unwrap().signed, None);
    let tail = verify_tail(log.dir.path(), &signed, None).unwrap();
    assert_eq!(tail.last.unwrap().fingerprint, log.head.fingerprint);
    assert!(tail.torn.is_empty());
}

#[test]
fn any_flipped_byte_is_found_at_its_record() {
    // A registration, two decisions with hostile text between them, a seal: every byte of each.
    let all = samples::all();
    let log = Log::of(&[&all[1..2], &all[3..5], &all[8..9]].concat());
    for (seq, line) in log.lines.iter().enumerate() {
        let second = seq >= log.split;
        let first = if second { log.split } else { 0 };
        let path = Segment::at(log.dir.path(), first as u64).path;
        let good = std::fs::read(&path).unwrap();
        let start: usize = log.lines[first..seq].iter().map(Vec::len).sum();
        for at in start..start + line.len() {
            // Each bit in turn: damage to UTF-8, to JSON and to digits.
            let bit = 1 << (at % 8);
            let mut bad = good.clone();
            bad[at] ^= bit;
            std::fs::write(&path, &bad).unwrap();
            let broken = log.broken();
            assert_eq!(broken.seq, seq as u64, "byte {at} bit {bit}: {broken}");
            assert_eq!(broken.offset, start as u64, "byte {at} bit {bit}");
            assert_eq!(broken.file, path);
        }
        std::fs::write(&path, &good).unwrap();
    }
    assert!(log.verify().is_ok(), "the control: as it was, it is whole");
}

#[test]
fn every_edit_of_whole_lines_is_found_where_it_begins() {
    let log = Log::new();
    let edit = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut lines = log.lines.clone();
        change(&mut lines);
        lines
    };
    let n = log.lines.len();
    for (what, lines, seq) in [
        ("a missing line", edit(&|l| drop(l.remove(2))), 2),
        ("a missing first line", edit(&|l| drop(l.remove(0))), 0),
        ("swapped lines", edit(&|l| l.swap(1, 2)), 1),
        ("a duplicated line", edit(&|l| l.insert(3, l[2].clone())), 3),
        ("a cut tail", edit(&|l| l.truncate(n - 1)), n - 1),
        ("an empty log", Vec::new(), 0),
        ("an empty line", edit(&|l| l.insert(4, b"\n".to_vec())), 4),
        ("a line that is no record", edit(&|l| l.insert(4, b"{}\n".to_vec())), 4),
        ("a torn last line", edit(&|l| l[n - 1].truncate(20)), n - 1),
        ("a line without its newline", edit(&|l| assert_eq!(l[n - 1].pop(), Some(b'\n'))), n - 1),
    ] {
        // All in the first segment but where the tail is meant, so that names stay right.
        log.write(&lines, if seq >= log.split { log.split } else { lines.len() });
        if seq < log.split {
            let second = Segment::at(log.dir.path(), lines.len() as u64).path;
            if !lines.is_empty() {
                std::fs::remove_file(second).unwrap();
            }
        }
        let broken = log.broken();
        assert_eq!(broken.seq, seq as u64, "{what}: {broken}");
    }
}

#[test]
fn a_cut_is_found_by_the_head_alone() {
    let log = Log::new();
    let n = log.lines.len();
    log.write(&log.lines[..n - 1], log.split);
    assert_eq!(log.broken().fault, Fault::Cut { head: n as u64 - 1 });
    let tail = verify_tail(log.dir.path(), &signed, None);
    assert!(matches!(tail, Err(VerifyError::Broken(_))));

    let whole_segment = Segment::at(log.dir.path(), log.split as u64).path;
    std::fs::remove_file(whole_segment).unwrap();
    assert_eq!(log.broken().seq, log.split as u64);

    log.write(&log.lines, log.split);
    assert!(log.verify().is_ok(), "the control");
    log.write_head(&Head { seq: 1, ..log.head.clone() });
    assert_eq!(log.broken().fault, Fault::OtherHead);
    log.write_head(&Head { time_unix_ms: 2, ..log.head.clone() });
    assert_eq!(log.broken().fault, Fault::HeadSignature);
    std::fs::remove_file(log.dir.path().join(HEAD_FILE)).unwrap();
    assert_eq!(log.broken().fault, Fault::NoHead);
}

#[test]
fn a_log_that_somebody_wrote_anew_is_not_the_head_s() {
    let log = Log::new();
    let mut chain = Chain::new("chain".into(), "host".into(), None);
    let forged: Vec<_> = samples::all()
        .iter()
        .map(|event| chain.append(event, Process::Gateway, 1).unwrap().line)
        .collect();
    log.write(&forged, log.split);
    assert_eq!(log.broken().fault, Fault::OtherHead);
}

#[test]
fn a_tail_gives_its_torn_line_and_goes_on_before_it() {
    let log = Log::new();
    let mut lines = log.lines.clone();
    lines.push(b"{\"half\":".to_vec());
    log.write(&lines, log.split);
    let tail = verify_tail(log.dir.path(), &signed, None).unwrap();
    assert_eq!(tail.torn, b"{\"half\":");
    let (segment, length) = tail.segment.unwrap();
    assert_eq!(segment.first, Some(log.split as u64));
    let whole: usize = log.lines[log.split..].iter().map(Vec::len).sum();
    assert_eq!(length, whole as u64);
    assert!(matches!(log.broken().fault, Fault::Torn { bytes: 8 }));
}

#[test]
fn a_chain_goes_on_over_an_empty_last_segment() {
    let log = Log::new();
    log.write(&log.lines, log.lines.len());
    assert!(log.verify().is_ok());
    let tail = verify_tail(log.dir.path(), &signed, None).unwrap();
    assert_eq!(tail.last.unwrap().seq, log.head.seq);
    assert_eq!(tail.segment.unwrap().1, 0);
}

/// The attack: a log is deleted, wholly or all but an empty file. Its key, of which there is no file here, stays.
#[test]
fn nothing_is_no_log() {
    let log = Log::new();
    let mark = || Some(Mark { seq: log.head.seq, fingerprint: log.head.fingerprint });
    assert!(verify(log.dir.path(), Some(&signed), mark()).is_ok(), "the control");
    std::fs::remove_file(log.dir.path().join(HEAD_FILE)).unwrap();
    for empty in [true, false] {
        log.write(&[], 0);
        if !empty {
            std::fs::remove_file(Segment::at(log.dir.path(), 0).path).unwrap();
        }
        for mark in [None, mark()] {
            for (key, fault) in [(Some(&signed as Signed<'_>), Fault::Gone), (None, Fault::NoLog)] {
                match verify(log.dir.path(), key, mark) {
                    Err(VerifyError::Broken(broken)) => assert_eq!(broken.fault, fault),
                    other => panic!("{other:?}"),
                }
            }
            let tail = verify_tail(log.dir.path(), &signed, mark).unwrap();
            assert_eq!(tail.last, None, "whoever goes on says what that means");
        }
    }
    let never = log.dir.path().join("never");
    let Err(VerifyError::Broken(broken)) = verify(&never, Some(&signed), None) else { panic!() };
    assert_eq!(broken.fault, Fault::Gone);
}

/// The attack: an older copy of the log is put back, with the head that was signed then.
#[test]
fn an_older_log_with_its_own_head_lacks_what_is_marked() {
    let log = Log::new();
    let mark = Mark { seq: log.head.seq, fingerprint: log.head.fingerprint };
    let older = &log.lines[..log.lines.len() - 1];
    log.write(older, log.split);
    let last = read_last(&older[older.len() - 1][..]).unwrap();
    let mut head = Head { seq: last.seq, fingerprint: last.fingerprint, ..log.head.clone() };
    head.signature = sign(&head.signed_bytes());
    log.write_head(&head);
    assert!(log.verify().is_ok(), "the control: without a mark it is whole");
    let faults = |mark| {
        let whole = verify(log.dir.path(), Some(&signed), Some(mark)).map(drop);
        let tail = verify_tail(log.dir.path(), &signed, Some(mark)).map(drop);
        [whole, tail].map(|found| match found {
            Err(VerifyError::Broken(broken)) => Some(broken.fault),
            _ => None,
        })
    };
    assert_eq!(
        faults(mark),
        [Some(Fault::Older { seq: mark.seq }), Some(Fault::Older { seq: mark.seq })]
    );
    let theirs = Mark { seq: last.seq, fingerprint: mark.fingerprint };
    assert_eq!(faults(theirs), [Some(Fault::Other), Some(Fault::Other)]);
    assert_eq!(
        faults(Mark { fingerprint: last.fingerprint, ..theirs }),
        [None, None],
        "the control"
    );
    assert_eq!(mark.to_string().parse(), Ok(mark));
    assert!("7".parse::<Mark>().is_err() && "x y".parse::<Mark>().is_err());
}
