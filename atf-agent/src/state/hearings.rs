//! What the policy was told and answered, line by line in files of bounded length: the newest are kept. A
//! thread of its own writes them, so that no call waits for the disk. The log is what counts; it names
//! each line by its digest, and a line that is not there is a decision that cannot be replayed.

use std::collections::{HashMap, HashSet};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::call::DecisionId;

/// Files that the whole is divided into: when it is full, the oldest of them goes.
const FILES: u64 = 8;

/// Lines and bytes that may wait to be written. A disk that is slower than the calls loses hearings, and
/// no call.
const WAITING_LINES_MAX: usize = 4_096;
const WAITING_BYTES_MAX: usize = 8 << 20;

/// Pause between two groups of lines: a thread that is awoken for each line takes its time from the call.
const GROUP_EVERY: Duration = Duration::from_millis(10);

/// Bytes that are written at once, but for the last line of a group.
const GROUP_BYTES_MAX: usize = 256 << 10;

/// How long the end of the process waits for what was taken.
const WRITTEN_WITHIN: Duration = Duration::from_secs(1);

/// Digits of a file's number, so that names sort as the numbers do.
const DIGITS: usize = 12;

/// Where hearings are kept; of no use when none are.
pub struct Hearings(Option<Queue>);

struct Queue {
    to: SyncSender<String>,
    waiting: Arc<AtomicUsize>,
}

impl Hearings {
    /// Keeps at most `bytes_max` in `dir`, which is made; nothing when that is 0.
    ///
    /// # Errors
    /// When `dir` cannot be made or written, or there is no thread.
    pub fn open(dir: &Path, bytes_max: u64) -> io::Result<Self> {
        if bytes_max == 0 {
            return Ok(Self(None));
        }
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let mut writer = Writer::open(dir.to_owned(), bytes_max / FILES)?;
        let (to, lines) = sync_channel(WAITING_LINES_MAX);
        let waiting = Arc::new(AtomicUsize::new(0));
        let shared = Arc::clone(&waiting);
        thread::Builder::new()
            .name("hearings".to_owned())
            .spawn(move || writer.run(&lines, &shared))?;
        Ok(Self(Some(Queue { to, waiting })))
    }

    /// Whether anything is kept.
    pub fn keeps(&self) -> bool {
        self.0.is_some()
    }

    /// Takes a line to be written; false when too many wait. `line` has no line end.
    #[must_use = "a line that is not taken must not be named in the log"]
    pub fn keep(&self, line: String) -> bool {
        let Some(Queue { to, waiting }) = &self.0 else {
            return false;
        };
        let length = line.len();
        if waiting.fetch_add(length, Ordering::SeqCst).saturating_add(length) > WAITING_BYTES_MAX {
            waiting.fetch_sub(length, Ordering::SeqCst);
            return false;
        }
        let taken = to.try_send(line).is_ok();
        if !taken {
            waiting.fetch_sub(length, Ordering::SeqCst);
        }
        taken
    }

    /// Waits a while until what was taken is written: the process is about to end.
    pub fn finish(&self) {
        let Some(Queue { waiting, .. }) = &self.0 else {
            return;
        };
        let until = Instant::now() + WRITTEN_WITHIN;
        while waiting.load(Ordering::SeqCst) > 0 && Instant::now() < until {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

struct Writer {
    dir: PathBuf,
    file_bytes_max: u64,
    file: File,
    number: u64,
    written: u64,
}

impl Writer {
    /// Begins a file of its own: the last one may end in half a line.
    fn open(dir: PathBuf, file_bytes_max: u64) -> io::Result<Self> {
        let number = files(&dir)?.last().map_or(0, |(number, _)| number + 1);
        let file = create(&dir, number)?;
        Ok(Self { dir, file_bytes_max, file, number, written: 0 })
    }

    fn run(&mut self, lines: &Receiver<String>, waiting: &AtomicUsize) {
        let mut next = None;
        while let Some(first) = next.take().or_else(|| awaited(lines)) {
            let mut taken = first.len();
            let mut group = first + "\n";
            while group.len() < GROUP_BYTES_MAX
                && let Ok(line) = lines.try_recv()
            {
                if !self.holds(group.len() + line.len() + 1) {
                    next = Some(line);
                    break;
                }
                taken += line.len();
                group.push_str(&line);
                group.push('\n');
            }
            if let Err(error) = self.write(group.as_bytes()) {
                tracing::warn!(%error, dir = %self.dir.display(), "hearings are not kept");
            }
            waiting.fetch_sub(taken, Ordering::SeqCst);
        }
    }

    /// Whether the file that is written may have `bytes` more.
    fn holds(&self, bytes: usize) -> bool {
        self.written + bytes as u64 <= self.file_bytes_max
    }

    fn write(&mut self, group: &[u8]) -> io::Result<()> {
        if self.written > 0 && !self.holds(group.len()) {
            self.file = create(&self.dir, self.number + 1)?;
            (self.number, self.written) = (self.number + 1, 0);
            let all = files(&self.dir)?;
            for (_, old) in all.iter().rev().skip(FILES as usize) {
                fs::remove_file(old)?;
            }
        }
        self.written += group.len() as u64;
        self.file.write_all(group)
    }
}

/// The first line of the next group, once others had time to come; `None` when no more will.
fn awaited(lines: &Receiver<String>) -> Option<String> {
    let first = lines.recv().ok()?;
    thread::sleep(GROUP_EVERY);
    Some(first)
}

fn create(dir: &Path, number: u64) -> io::Result<File> {
    let path = dir.join(format!("{number:0DIGITS$}.jsonl"));
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// The files with their numbers, the oldest first.
fn files(dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        let number = stem.filter(|stem| stem.len() == DIGITS).and_then(|stem| stem.parse().ok());
        if let Some(number) = number.filter(|_| path.extension().is_some_and(|e| e == "jsonl")) {
            found.push((number, path));
        }
    }
    found.sort();
    Ok(found)
}

/// The lines that are kept in `dir` of `wanted`; none when the directory is not there. Lines that are not
/// read belong to none.
///
/// # Errors
/// When a file cannot be read.
pub fn kept(dir: &Path, wanted: &HashSet<DecisionId>) -> io::Result<HashMap<DecisionId, String>> {
    let mut found = HashMap::new();
    let all = match files(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        all => all?,
    };
    for (_, path) in all {
        // The gateway may remove its oldest file meanwhile.
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            file => file?,
        };
        for line in BufReader::new(file).split(b'\n') {
            let Ok(line) = String::from_utf8(line?) else { continue };
            let Ok(Named { decision }) = serde_json::from_str(&line) else { continue };
            if wanted.contains(&decision) {
                found.insert(decision, line);
            }
        }
    }
    Ok(found)
}

#[derive(Deserialize)]
struct Named {
    decision: DecisionId,
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Duration;

    use super::*;

    fn line(decision: DecisionId, bytes: usize) -> String {
        format!(r#"{{"decision":"{decision}","input":"{}"}}"#, "x".repeat(bytes))
    }

    /// Waits until what was taken is written.
    fn drained(hearings: &Hearings) {
        let waiting = &hearings.0.as_ref().unwrap().waiting;
        while waiting.load(Ordering::SeqCst) > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn the_newest_are_kept_across_a_restart_and_nobody_else_reads_them() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("hearings");
        let all: Vec<DecisionId> = (0..100).map(|_| DecisionId::random()).collect();
        for half in all.chunks(50) {
            let hearings = Hearings::open(&dir, 8_000).unwrap();
            for decision in half {
                assert!(hearings.keep(line(*decision, 150)));
            }
            drained(&hearings);
        }
        let found = kept(&dir, &all.iter().copied().collect()).unwrap();
        assert!((20..=40).contains(&found.len()), "{}", found.len());
        assert_eq!(found.get(&all[99]), Some(&line(all[99], 150)));
        assert!(!found.contains_key(&all[0]), "the oldest went");
        let whole: u64 =
            files(&dir).unwrap().iter().map(|(_, p)| p.metadata().unwrap().len()).sum();
        assert!(whole <= 8_000, "{whole}");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&dir), 0o700);
        assert!(files(&dir).unwrap().iter().all(|(_, path)| mode(path) == 0o600));
    }

    #[test]
    fn a_torn_line_is_none_and_hides_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let (torn, whole) = (DecisionId::random(), DecisionId::random());
        let half = line(torn, 50);
        fs::write(dir.path().join("000000000007.jsonl"), &half[..60]).unwrap();
        let hearings = Hearings::open(dir.path(), 80_000).unwrap();
        assert!(hearings.keep(line(whole, 50)));
        drained(&hearings);
        let found = kept(dir.path(), &[torn, whole].into()).unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), [&whole]);
    }

    #[test]
    fn nothing_is_kept_where_nothing_is_asked_for_or_too_much_waits() {
        let dir = tempfile::tempdir().unwrap();
        let none = Hearings::open(&dir.path().join("none"), 0).unwrap();
        assert!(!none.keep(line(DecisionId::random(), 1)) && !none.keeps());
        assert!(!dir.path().join("none").exists());
        let hearings = Hearings::open(dir.path(), 1 << 30).unwrap();
        assert!(!hearings.keep(line(DecisionId::random(), WAITING_BYTES_MAX)));
        assert!(hearings.keep(line(DecisionId::random(), 1)), "the control");
        assert!(kept(&dir.path().join("none"), &HashSet::new()).unwrap().is_empty());
    }
}
