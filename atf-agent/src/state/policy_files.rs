//! The files of a policy, read below one directory that is opened once: every name is opened in the directory that
//! holds it, and no link is followed. Whoever owns a draft does not choose what of root's is read, nor by being quick.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, statat};
use rustix::io::Errno;

use super::files;
use super::versions::{VersionError, failed};

/// Most files of one policy, and its deepest directory.
const FILES_MAX: usize = 1_000;
const DIRECTORIES_DEEP_MAX: usize = 8;

/// The files of a policy by their path below its directory, in the order of the paths.
pub type PolicyFiles = Vec<(PathBuf, Vec<u8>)>;

/// Whether the file of this path below a policy's directory is one of its files: the rules, the data, the pins,
/// and what a bundle says of them. Drafts of pins are none.
pub fn is_policy_file(name: &Path) -> bool {
    let is_pin =
        name.parent() == Some(Path::new("tools")) && name.extension().is_some_and(|e| e == "json");
    let root = ["data.json", ".manifest", ".signatures.json"];
    is_pin
        || name.extension().is_some_and(|e| e == "rego")
        || root.iter().any(|file| name == Path::new(file))
}

/// The files of the policy in `dir`. Below it no link is followed.
///
/// # Errors
/// When one is no regular file, cannot be read, or there are too many.
pub fn policy_files(dir: &Path) -> Result<PolicyFiles, VersionError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = openat(CWD, dir, flags, Mode::empty());
    let opened = opened.map_err(|error| failed("read", dir)(error.into()))?;
    let mut reader = Reader { root: dir, found: Vec::new() };
    reader.collect(&opened, Path::new(""), 0)?;
    reader.found.sort();
    Ok(reader.found)
}

struct Reader<'r> {
    /// For errors alone: nothing is opened by it.
    root: &'r Path,
    found: PolicyFiles,
}

impl Reader<'_> {
    fn collect(&mut self, dir: &OwnedFd, below: &Path, deep: usize) -> Result<(), VersionError> {
        let shown = self.root.join(below);
        if deep > DIRECTORIES_DEEP_MAX {
            return refused(&shown, "too many directories deep");
        }
        let entries = Dir::read_from(dir).map_err(|error| failed("read", &shown)(error.into()))?;
        for entry in entries {
            let entry = entry.map_err(|error| failed("read", &shown)(error.into()))?;
            let file_name = OsStr::from_bytes(entry.file_name().to_bytes());
            if file_name == "." || file_name == ".." {
                continue;
            }
            let (name, path) = (below.join(file_name), shown.join(file_name));
            let failed = |what, error: Errno| failed(what, &path)(error.into());
            let kind = match entry.file_type() {
                FileType::Unknown => {
                    let stat = statat(dir, file_name, AtFlags::SYMLINK_NOFOLLOW);
                    FileType::from_raw_mode(stat.map_err(|e| failed("look at", e))?.st_mode)
                }
                kind => kind,
            };
            let counts = is_policy_file(&name);
            if kind == FileType::Directory {
                let opened = enter(dir.as_fd(), file_name).map_err(|e| failed("read", e))?;
                self.collect(&opened, &name, deep + 1)?;
            } else if counts && kind != FileType::RegularFile {
                return refused(&path, "expected a regular file, found a link or something else");
            } else if counts && self.found.len() >= FILES_MAX {
                return refused(&path, "too many files");
            } else if counts {
                let file = open(dir.as_fd(), file_name).map_err(|e| failed("open", e))?;
                self.found.push((name, files::read_regular(File::from(file), &path)?));
            }
        }
        Ok(())
    }
}

/// A directory that is none any more, or a link by now, is an error.
fn enter(dir: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(dir, name, flags, Mode::empty())
}

/// A FIFO in the file's place does not keep the reader.
fn open(dir: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(dir, name, flags, Mode::empty())
}

fn refused<T>(path: &Path, what: &str) -> Result<T, VersionError> {
    Err(VersionError::Refused { path: path.to_owned(), what: what.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    use rustix::fs::{RenameFlags, renameat_with};

    use super::*;

    fn draft(dir: &Path, pin: &str) {
        fs::create_dir_all(dir.join("tools/proposed")).unwrap();
        for (name, text) in [
            ("p.rego", "package p"),
            ("data.json", "{}"),
            ("tools/a.b.json", pin),
            ("tools/proposed/c.d.json", "{}"),
            ("notes.txt", "not of the policy"),
        ] {
            fs::write(dir.join(name), text).unwrap();
        }
    }

    #[test]
    fn the_files_of_a_policy_are_read_and_no_others() {
        let dir = tempfile::tempdir().unwrap();
        draft(dir.path(), "pin");
        fs::create_dir_all(dir.path().join("lib/deep")).unwrap();
        fs::write(dir.path().join("lib/deep/q.rego"), "package q").unwrap();
        let found = policy_files(dir.path()).unwrap();
        let names: Vec<&str> = found.iter().map(|(name, _)| name.to_str().unwrap()).collect();
        assert_eq!(names, ["data.json", "lib/deep/q.rego", "p.rego", "tools/a.b.json"]);
        assert_eq!(found[3].1, b"pin");
    }

    /// The attack: a draft whose owner has root read what is root's.
    #[test]
    fn no_link_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (secret, own) = (dir.path().join("secret"), dir.path().join("draft"));
        draft(&secret, "secret");
        draft(&own, "pin");
        symlink(&secret, own.join("more")).unwrap();
        assert_eq!(policy_files(&own).unwrap().len(), 3, "a link to a directory is not gone into");
        fs::remove_file(own.join("tools/a.b.json")).unwrap();
        symlink(secret.join("tools/a.b.json"), own.join("tools/a.b.json")).unwrap();
        assert!(matches!(policy_files(&own), Err(VersionError::Refused { .. })));
    }

    /// The attack: while root reads, a directory and a file are exchanged for links, and back, without end.
    #[test]
    fn no_link_is_followed_that_comes_meanwhile() {
        let dir = tempfile::tempdir().unwrap();
        let (secret, own) = (dir.path().join("secret"), dir.path().join("draft"));
        draft(&secret, "secret");
        draft(&own, "pin");
        let (folder, file) = (dir.path().join("folder"), dir.path().join("file"));
        symlink(secret.join("tools"), &folder).unwrap();
        symlink(secret.join("tools/a.b.json"), &file).unwrap();
        let done = AtomicBool::new(false);
        let (mut whole, mut disturbed, mut leaked) = (0, 0, 0);
        let until = Instant::now() + Duration::from_secs(4);
        std::thread::scope(|scope| {
            for (link, to) in [(&folder, own.join("tools")), (&file, own.join("p.rego"))] {
                let done = &done;
                scope.spawn(move || {
                    while !done.load(Ordering::Relaxed) {
                        let _missing = renameat_with(CWD, link, CWD, &to, RenameFlags::EXCHANGE);
                    }
                });
            }
            while leaked == 0 && Instant::now() < until {
                match policy_files(&own) {
                    Ok(found) if found.iter().any(|(_, bytes)| bytes == b"secret") => leaked += 1,
                    Ok(_) => whole += 1,
                    Err(_) => disturbed += 1,
                }
            }
            done.store(true, Ordering::Relaxed);
        });
        assert_eq!(leaked, 0, "{whole} whole and {disturbed} disturbed before it");
        assert!(whole > 0 && disturbed > 0, "the control: {whole} whole, {disturbed} disturbed");
    }
}
