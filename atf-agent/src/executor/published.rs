//! A file that another process publishes, read again when it changes. A call needs four of them, and to look at
//! each cost a twentieth of its way.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::error::Mistrust;
use crate::state::files;

/// What was seen of a file holds for so long: who publishes one needs longer to make use of it.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(2);

/// A published file and what was read from it.
pub(super) struct Published<T> {
    path: PathBuf,
    parse: Parse<T>,
    read: Mutex<Option<Read<T>>>,
}

/// What was read from a file.
struct Read<T> {
    stamp: Stamp,
    value: Arc<T>,
    looked: Instant,
}

/// What makes a value of a file's bytes, or says what is wrong with them.
type Parse<T> = Box<dyn Fn(&[u8]) -> Result<T, String> + Send + Sync>;

/// What changes when a file is replaced or written: inode, length, seconds and nanoseconds.
type Stamp = (u64, u64, i64, i64);

impl<T> Published<T> {
    /// The file at `path`, understood by `parse`.
    pub(super) fn new(
        path: PathBuf,
        parse: impl Fn(&[u8]) -> Result<T, String> + Send + Sync + 'static,
    ) -> Self {
        Self { path, parse: Box::new(parse), read: Mutex::default() }
    }

    /// What the file says now, or said [`LOOK_EVERY`] ago. A file that is gone or wrong says nothing, whatever it
    /// said before.
    pub(super) fn get(&self) -> Result<Arc<T>, Mistrust> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let looked = Instant::now();
        if let Some(known) = &*read
            && looked.duration_since(known.looked) < LOOK_EVERY
        {
            return Ok(Arc::clone(&known.value));
        }
        let before = read.take();
        let failed = |why: String| Mistrust::Published { path: self.path.clone(), why };
        let meta = std::fs::symlink_metadata(&self.path).map_err(|e| failed(e.to_string()))?;
        let stamp = (meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec());
        let value = match before.filter(|before| before.stamp == stamp) {
            Some(before) => before.value,
            None => {
                let bytes = files::read_public(&self.path).map_err(|e| failed(e.to_string()))?;
                let bytes = bytes.ok_or_else(|| failed("it is gone".to_owned()))?;
                Arc::new((self.parse)(&bytes).map_err(failed)?)
            }
        };
        *read = Some(Read { stamp, value: Arc::clone(&value), looked });
        Ok(value)
    }
}
