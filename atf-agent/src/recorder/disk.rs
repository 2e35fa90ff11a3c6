//! The segments on the disk. What was written and not yet synced is kept, so that a disk that fails
//! to sync costs a segment and no record.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::audit::{Segment, Tail};

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
    /// The same file, opened once more for syncs beside the writing: the kernel tells a failure to each that was
    /// opened, once.
    beside: Arc<File>,
    path: PathBuf,
    /// Bytes that are on the disk for certain.
    synced: u64,
    /// The number of the first record after them, and those bytes.
    pending_first: u64,
    pending: Vec<u8>,
}

/// A sync that nobody waits for, while the log goes on.
pub(super) struct Begun {
    file: Arc<File>,
    /// The file's bytes that it is of, and the number of the first record after them.
    upto: u64,
    next: u64,
    sync: fn(&File) -> io::Result<()>,
}

impl Disk {
    /// The log in `dir`, to go on behind `tail`. A torn last line is cut off.
    pub(super) fn open(dir: &Path, tail: &Tail, bytes_max: u64) -> io::Result<Self> {
        let mut disk =
            Self { dir: dir.to_owned(), bytes_max, open: None, sync: File::sync_data, dead: None };
        if let Some((segment, length)) = &tail.segment {
            let file = OpenOptions::new().append(true).open(&segment.path)?;
            file.set_len(*length)?;
            file.sync_all()?;
            disk.open = Some(Open {
                file,
                beside: Arc::new(File::open(&segment.path)?),
                path: segment.path.clone(),
                synced: *length,
                pending_first: 0,
                pending: Vec::new(),
            });
        }
        Ok(disk)
    }

    /// Writes `lines`, of which the first is record `first`; all of them or none.
    pub(super) fn write(&mut self, first: u64, lines: &[u8]) -> io::Result<()> {
        self.alive()?;
        if self.open.as_ref().is_some_and(|o| o.length() >= self.bytes_max) {
            self.sync()?;
            self.open = None;
        }
        let open = match &mut self.open {
            Some(open) => open,
            None => self.open.insert(Open::create(&self.dir, first)?),
        };
        let before = open.length();
        if let Err(error) = open.file.write_all(lines) {
            // Half a group would be a torn log for whoever reads it now.
            if let Err(cut) = open.file.set_len(before) {
                return Err(self.die(&format!("{error}, and it cannot be cut back: {cut}")));
            }
            return Err(error);
        }
        if open.pending.is_empty() {
            open.pending_first = first;
        }
        open.pending.extend_from_slice(lines);
        Ok(())
    }

    /// Makes all that was written durable. After a failure the kernel may have forgotten which pages
    /// were not written (<https://lwn.net/Articles/752063/>), so the same file is never synced again:
    /// what is pending goes into a new segment.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.alive()?;
        let Some(open) = self.open.as_mut().filter(|open| !open.pending.is_empty()) else {
            return Ok(());
        };
        if let Err(error) = (self.sync)(&open.file) {
            return self.failed(&error);
        }
        open.synced = open.length();
        open.pending.clear();
        Ok(())
    }

    /// A sync of all that was written, before record `next`; `None` when all of it is durable.
    pub(super) fn begin_sync(&self, next: u64) -> Option<Begun> {
        let open = self.open.as_ref().filter(|open| !open.pending.is_empty())?;
        let file = Arc::clone(&open.beside);
        self.alive().is_ok().then(|| Begun { file, upto: open.length(), next, sync: self.sync })
    }

    /// What came of a sync beside the writing. What was written meanwhile is pending still; where the segment is
    /// another one now, whoever began that has seen to the sync.
    pub(super) fn end_sync(&mut self, begun: &Begun, synced: io::Result<()>) -> io::Result<()> {
        self.alive()?;
        let is_its = |open: &&mut Open| Arc::ptr_eq(&open.beside, &begun.file);
        let Some(open) = self.open.as_mut().filter(is_its) else {
            return Ok(());
        };
        if let Err(error) = synced {
            return self.failed(&error);
        }
        if let Some(bytes) = begun.upto.checked_sub(open.synced)
            && let Ok(bytes) = usize::try_from(bytes)
        {
            open.pending.drain(..bytes.min(open.pending.len()));
            (open.synced, open.pending_first) = (begun.upto, begun.next);
        }
        Ok(())
    }

    /// After a sync that failed.
    fn failed(&mut self, error: &io::Error) -> io::Result<()> {
        let path = self.open.as_ref().map(|open| open.path.display().to_string());
        tracing::error!(%error, path, "the disk failed; beginning a new segment");
        self.begin_anew().map_err(|again| self.die(&format!("{error}, and then: {again}")))
    }

    /// Bytes that wait for a sync.
    pub(super) fn pending_bytes(&self) -> usize {
        self.open.as_ref().map_or(0, |open| open.pending.len())
    }

    fn begin_anew(&mut self) -> io::Result<()> {
        let Some(failed) = self.open.take() else {
            return Ok(());
        };
        if failed.synced == 0 {
            fs::remove_file(&failed.path)?;
        } else {
            failed.file.set_len(failed.synced)?;
        }
        let mut fresh = Open::create(&self.dir, failed.pending_first)?;
        fresh.file.write_all(&failed.pending)?;
        (self.sync)(&fresh.file)?;
        fresh.synced = failed.pending.len() as u64;
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

impl Begun {
    /// Waits for the disk.
    pub(super) fn wait(&self) -> io::Result<()> {
        (self.sync)(&self.file)
    }
}

impl Open {
    fn create(dir: &Path, first: u64) -> io::Result<Self> {
        let path = Segment::at(dir, first).path;
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path)?;
        File::open(dir)?.sync_all()?;
        let beside = Arc::new(File::open(&path)?);
        Ok(Self { file, beside, path, synced: 0, pending_first: first, pending: Vec::new() })
    }

    fn length(&self) -> u64 {
        self.synced + self.pending.len() as u64
    }
}
