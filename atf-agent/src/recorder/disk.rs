//! The segments on the disk. What was written and not yet synced is kept, so that a disk that fails
//! to sync costs a segment and no record.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::pending::Pending;
use crate::audit::{Segment, Tail};

/// Most bytes that wait for a sync: they are kept in memory against a failing disk. A group of 256 records has
/// less, however long they are.
const PENDING_BYTES_MAX: usize = 16 << 20;

/// The log's directory and the segment that is written.
pub(super) struct Disk {
    dir: PathBuf,
    bytes_max: u64,
    open: Option<Open>,
    /// `File::sync_data`, but in the tests of a disk that fails.
    sync: fn(&File) -> io::Result<()>,
    /// Why nothing is written any more.
    dead: Option<String>,
}

/// The segment that is written.
struct Open {
    file: File,
    /// The same file, opened once more for background syncs: the kernel tells a failure to each that was opened,
    /// once. For writing, as some file systems sync for nobody else.
    sync_file: Arc<File>,
    path: PathBuf,
    /// Bytes that are on the disk for certain; what is pending stands behind them.
    synced: u64,
    pending: Pending,
}

/// A sync that nobody waits for, while the log goes on.
pub(super) struct BackgroundSync {
    file: Arc<File>,
    /// How long the file was when it began, and the number of the first record behind that.
    length: u64,
    next_seq: u64,
    sync: fn(&File) -> io::Result<()>,
}

/// What came of a background sync.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SyncEnd {
    /// All that was written before it began is durable by it.
    Durable,
    /// That was durable before, by a sync of all that was written then.
    Overtaken,
    /// The disk failed, and the segment is left: all that was written is durable without it.
    Moved,
}

impl Disk {
    /// The log in `dir`, to go on behind `tail`. A torn last line is cut off.
    pub(super) fn open(dir: &Path, tail: &Tail, bytes_max: u64) -> io::Result<Self> {
        let mut disk =
            Self { dir: dir.to_owned(), bytes_max, open: None, sync: File::sync_data, dead: None };
        if let Some((segment, length)) = &tail.segment {
            let file = append_to(&segment.path)?;
            file.set_len(*length)?;
            file.sync_all()?;
            disk.open = Some(Open {
                file,
                sync_file: Arc::new(append_to(&segment.path)?),
                path: segment.path.clone(),
                synced: *length,
                pending: Pending::default(),
            });
        }
        Ok(disk)
    }

    /// Whether a sync has to come before `bytes` more are written: they have no room in memory beside what is
    /// pending, or the segment is full.
    pub(super) fn has_to_sync_before(&self, bytes: usize) -> bool {
        self.open.as_ref().is_some_and(|open| {
            let pending = open.pending.bytes();
            let has_room = pending + bytes <= PENDING_BYTES_MAX && open.length() < self.bytes_max;
            pending > 0 && !has_room
        })
    }

    /// Writes `lines`, of which the first is record `first_seq`; all of them or none. A segment is left when it is
    /// full and all of it is durable.
    pub(super) fn write(&mut self, first_seq: u64, lines: &[u8]) -> io::Result<()> {
        self.alive()?;
        let is_done = |open: &Open| open.length() >= self.bytes_max && open.pending.bytes() == 0;
        if self.open.as_ref().is_some_and(is_done) {
            self.open = None;
        }
        let open = match &mut self.open {
            Some(open) => open,
            None => self.open.insert(Open::create(&self.dir, first_seq)?),
        };
        let before = open.length();
        if let Err(error) = open.file.write_all(lines) {
            // Half a group would be a torn log for whoever reads it now.
            if let Err(cut) = open.file.set_len(before) {
                return Err(self.die(&format!("{error}, and it cannot be cut back: {cut}")));
            }
            return Err(error);
        }
        open.pending.add(first_seq, lines);
        Ok(())
    }

    /// Makes all that was written durable.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.alive()?;
        let Some(open) = self.open.as_mut().filter(|open| open.pending.bytes() > 0) else {
            return Ok(());
        };
        if let Err(error) = (self.sync)(&open.file) {
            return self.leave_segment(&error);
        }
        open.synced = open.length();
        open.pending.clear();
        Ok(())
    }

    /// A sync of all that was written, before record `next_seq`; `None` when all of it is durable.
    pub(super) fn begin_sync(&self, next_seq: u64) -> Option<BackgroundSync> {
        let open = self.open.as_ref().filter(|open| open.pending.bytes() > 0)?;
        let (file, length) = (Arc::clone(&open.sync_file), open.length());
        self.alive().is_ok().then_some(BackgroundSync { file, length, next_seq, sync: self.sync })
    }

    /// Takes the result of a background sync. What was written meanwhile is pending still.
    pub(super) fn end_sync(
        &mut self,
        begun: &BackgroundSync,
        result: io::Result<()>,
    ) -> io::Result<SyncEnd> {
        self.alive()?;
        let is_its = |open: &&mut Open| Arc::ptr_eq(&open.sync_file, &begun.file);
        let Some(open) = self.open.as_mut().filter(is_its) else {
            return Ok(SyncEnd::Overtaken);
        };
        if let Err(error) = result {
            // Overtaken or not: it may be of what was written meanwhile, and a next one would not be told.
            return self.leave_segment(&error).map(|()| SyncEnd::Moved);
        }
        if begun.length <= open.synced {
            return Ok(SyncEnd::Overtaken);
        }
        open.pending.drop_durable(begun.length - open.synced, begun.next_seq);
        open.synced = begun.length;
        Ok(SyncEnd::Durable)
    }

    /// Bytes that wait for a sync.
    pub(super) fn pending_bytes(&self) -> usize {
        self.open.as_ref().map_or(0, |open| open.pending.bytes())
    }

    /// After a sync that failed, the kernel may have forgotten which pages were not written
    /// (<https://lwn.net/Articles/752063/>), so the same file is never synced again: what is pending goes into a
    /// new segment.
    fn leave_segment(&mut self, error: &io::Error) -> io::Result<()> {
        let path = self.open.as_ref().map(|open| open.path.display().to_string());
        tracing::error!(%error, path, "the disk failed; beginning a new segment");
        self.move_pending().map_err(|again| self.die(&format!("{error}, and then: {again}")))
    }

    fn move_pending(&mut self) -> io::Result<()> {
        let Some(failed) = self.open.take() else {
            return Ok(());
        };
        // Without any, the next record begins its segment itself.
        let Some((first_seq, lines)) = failed.pending.lines() else {
            return Ok(());
        };
        if failed.synced == 0 {
            fs::remove_file(&failed.path)?;
        } else {
            failed.file.set_len(failed.synced)?;
        }
        let mut fresh = Open::create(&self.dir, first_seq)?;
        fresh.file.write_all(lines)?;
        (self.sync)(&fresh.file)?;
        fresh.synced = lines.len() as u64;
        self.open = Some(fresh);
        Ok(())
    }

    fn alive(&self) -> io::Result<()> {
        match &self.dead {
            None => Ok(()),
            Some(why) => Err(io::Error::other(why.clone())),
        }
    }

    fn die(&mut self, why: &str) -> io::Error {
        let why = format!("the log's disk failed ({why}); nothing is recorded until a restart");
        tracing::error!("{why}");
        self.dead = Some(why.clone());
        io::Error::other(why)
    }

    #[cfg(test)]
    pub(super) fn with_sync(self, sync: fn(&File) -> io::Result<()>) -> Self {
        Self { sync, ..self }
    }
}

impl BackgroundSync {
    /// Waits for the disk.
    pub(super) fn wait(&self) -> io::Result<()> {
        (self.sync)(&self.file)
    }
}

impl Open {
    /// Begins the segment of record `first_seq`, or leaves no file.
    fn create(dir: &Path, first_seq: u64) -> io::Result<Self> {
        let path = Segment::at(dir, first_seq).path;
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path)?;
        let sync_file = sync_dir(dir).and_then(|()| append_to(&path)).inspect_err(|_| {
            // The next group has the same number, and begins the segment anew.
            if let Err(error) = fs::remove_file(&path) {
                tracing::error!(%error, path = %path.display(), "a segment in the way of the next");
            }
        })?;
        Ok(Self {
            file,
            sync_file: Arc::new(sync_file),
            path,
            synced: 0,
            pending: Pending::default(),
        })
    }

    fn length(&self) -> u64 {
        self.synced + self.pending.bytes() as u64
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).open(path)
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
