//! The small files that a process keeps or publishes: keys, key sets, heads. Each is replaced whole,
//! so that a reader or a power cut finds the old one or the new one and nothing between.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Longest file in bytes that is read: keys and key sets have a few hundred.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Why a file cannot be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file system says no.
    #[error("cannot {what} {path}: {error}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A secret that others may read.
    #[error(
        "{path} must be a file of uid {uid} that nobody else may read or write (mode 0600), found uid {found_uid}, mode {found_mode:04o}; was it copied? make a new one or set its mode"
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Whose it should be.
        uid: u32,
        /// Whose it is.
        found_uid: u32,
        /// Its mode.
        found_mode: u32,
    },
    /// What is to be trusted, and others may write.
    #[error(
        "{path} must be a file of root or uid {uid} that nobody else may write, found uid {found_uid}, mode {found_mode:04o}"
    )]
    Writable {
        /// The file.
        path: PathBuf,
        /// Whose it may be.
        uid: u32,
        /// Whose it is.
        found_uid: u32,
        /// Its mode.
        found_mode: u32,
    },
    /// A FIFO, a directory, a device.
    #[error("{path} is no regular file; remove it, and whoever publishes it makes a new one")]
    Kind {
        /// What is there.
        path: PathBuf,
    },
    /// Longer than any such file.
    #[error("{path} is longer than the {FILE_BYTES_MAX} bytes allowed")]
    Long {
        /// The file.
        path: PathBuf,
    },
}

/// Locks the directory `dir` for as long as the file that is returned lives: two processes of one kind would write over
/// each other in it.
///
/// # Errors
/// `WouldBlock` when another one has it; any other when it cannot be opened or locked.
pub fn alone(dir: &Path) -> io::Result<File> {
    let dir = File::open(dir)?;
    rustix::fs::flock(&dir, rustix::fs::FlockOperation::NonBlockingLockExclusive)?;
    Ok(dir)
}

/// The secret at `path`; `None` when there is none yet.
///
/// # Errors
/// When it cannot be read, is a link, or is open to others.
pub fn read_secret(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    read_secret_of(path, rustix::process::geteuid().as_raw())
}

/// The secret of `uid` at `path`; `None` when there is none yet.
///
/// # Errors
/// When it cannot be read, is a link, is another's, or is open to others.
pub fn read_secret_of(path: &Path, uid: u32) -> Result<Option<Vec<u8>>, FileError> {
    let Some(file) = open(path)? else {
        return Ok(None);
    };
    let meta = file.metadata().map_err(io_error("look at", path))?;
    if meta.uid() != uid || meta.mode() & 0o077 != 0 {
        return Err(FileError::Open {
            path: path.to_owned(),
            uid,
            found_uid: meta.uid(),
            found_mode: meta.mode() & 0o7777,
        });
    }
    read_all(file, path).map(Some)
}

/// The file at `path`, which anybody may read and only root or `uid` may write; `None` when there is none.
///
/// # Errors
/// When it cannot be read, is a link, or others may write it.
pub fn read_trusted(path: &Path, uid: u32) -> Result<Option<Vec<u8>>, FileError> {
    let Some(file) = open(path)? else {
        return Ok(None);
    };
    let meta = file.metadata().map_err(io_error("look at", path))?;
    if (meta.uid() != uid && meta.uid() != 0) || meta.mode() & 0o022 != 0 {
        return Err(FileError::Writable {
            path: path.to_owned(),
            uid,
            found_uid: meta.uid(),
            found_mode: meta.mode() & 0o7777,
        });
    }
    read_all(file, path).map(Some)
}

/// The file at `path`, which anybody may read; `None` when there is none.
///
/// # Errors
/// When it cannot be read or is a link.
pub fn read_public(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    match open(path)? {
        Some(file) => read_all(file, path).map(Some),
        None => Ok(None),
    }
}

/// Keeps `bytes` at `path`, for this process alone, on the disk before this returns.
///
/// # Errors
/// When the file system says no; the old file stands then.
pub fn keep_secret(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    replace(path, bytes, 0o600)
}

/// Puts `bytes` at `path`, for all who may enter the directory.
///
/// # Errors
/// When the file system says no; the old file stands then.
pub fn publish(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    replace(path, bytes, 0o644)
}

/// Opens without waiting: a FIFO in the file's place would keep the reader until somebody writes.
fn open(path: &Path) -> Result<Option<File>, FileError> {
    use rustix::fs::OFlags;
    let flags = OFlags::NOFOLLOW.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error("open", path)(error)),
    };
    match file.metadata().map_err(io_error("look at", path))?.is_file() {
        true => Ok(Some(file)),
        false => Err(FileError::Kind { path: path.to_owned() }),
    }
}

/// The whole of an open file, when it is a regular one.
///
/// # Errors
/// When it is none, is too long, or cannot be read.
pub(super) fn read_regular(file: File, path: &Path) -> Result<Vec<u8>, FileError> {
    match file.metadata().map_err(io_error("look at", path))?.is_file() {
        true => read_all(file, path),
        false => Err(FileError::Kind { path: path.to_owned() }),
    }
}

fn read_all(file: File, path: &Path) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(io_error("read", path))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(FileError::Long { path: path.to_owned() });
    }
    Ok(bytes)
}

fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FileError> {
    let fresh = path.with_extension("new");
    // Left by a crash; nobody else writes in a process's own directory.
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(io_error("remove", &fresh)(error));
        }
        _ => {}
    }
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&fresh)
        .and_then(|mut file| {
            // The mode at creation is cut by the umask.
            file.set_permissions(fs::Permissions::from_mode(mode))?;
            file.write_all(bytes)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&fresh, path))
        .and_then(|()| sync_directory(path));
    written.map_err(io_error("write", path))
}

/// Makes the name of `path` durable.
fn sync_directory(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(directory) if directory.as_os_str().is_empty() => File::open(".")?.sync_all(),
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_owned();
    move |error| FileError::Io { what, path, error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_others_may_read_or_that_is_a_link_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        assert!(read_secret(&path).unwrap().is_none());
        keep_secret(&path, b"one").unwrap();
        keep_secret(&path, b"two").unwrap();
        assert_eq!(read_secret(&path).unwrap().unwrap(), b"two", "the control");

        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(matches!(read_secret(&link), Err(FileError::Io { .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(read_secret(&path), Err(FileError::Open { .. })));
        assert_eq!(read_public(&path).unwrap().unwrap(), b"two");
    }

    /// The attack: the owner of a published key puts a FIFO in its place, and its reader waits.
    #[test]
    fn what_is_no_regular_file_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("key");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        for path in [fifo.as_path(), dir.path(), Path::new("/dev/zero")] {
            for read in [read_public, read_secret] {
                assert!(matches!(read(path), Err(FileError::Kind { .. })), "{}", path.display());
            }
        }
        fs::remove_file(&fifo).unwrap();
        keep_secret(&fifo, b"key").unwrap();
        assert_eq!(read_public(&fifo).unwrap().unwrap(), b"key", "the control");
        fs::write(&fifo, vec![0; 2 << 20]).unwrap();
        assert!(matches!(read_public(&fifo), Err(FileError::Long { .. })));
    }
}
