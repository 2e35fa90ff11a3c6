//! The versions of a policy beside its directory: each is a whole copy that is never changed, and the directory
//! is exchanged for another one in one step. Whoever reads it finds the one or the other.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::files::{self, FileError};
use super::policy_files::{PolicyFiles, policy_files};
use crate::call::Digest;

/// Digits of a version's number.
const DIGITS: usize = 6;

/// The versions of the policy in one directory.
pub struct Versions {
    current: PathBuf,
    pub(super) kept: PathBuf,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its number, from 1.
    pub number: u32,
    /// The digest over the names and contents of its files.
    pub digest: Digest,
}

/// Why there is no version.
#[derive(Debug, thiserror::Error)]
pub enum VersionError {
    /// The file system says no.
    #[error("cannot {what} {path}: {error}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file cannot be read or kept.
    #[error(transparent)]
    File(#[from] FileError),
    /// A link, a device, or too many.
    #[error("{path}: {what}")]
    Refused {
        /// The file or directory.
        path: PathBuf,
        /// What was found, what was expected.
        what: String,
    },
    /// No such version.
    #[error("there is no version {number}; `atf policy versions` lists them")]
    None {
        /// Its number.
        number: u32,
    },
}

impl Versions {
    /// Those of the policy in `policy_dir`, kept in the directory `NAME.versions` beside it.
    pub fn of(policy_dir: &Path) -> Self {
        let mut kept = policy_dir.as_os_str().to_owned();
        kept.push(".versions");
        Self { current: policy_dir.to_owned(), kept: kept.into() }
    }

    /// All, the oldest first.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn all(&self) -> Result<Vec<Version>, VersionError> {
        let entries = match fs::read_dir(&self.kept) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed("read", &self.kept))?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed("read", &self.kept))?.file_name();
            let number = name.to_str().filter(|n| n.len() == DIGITS).and_then(|n| n.parse().ok());
            if let Some(number) = number {
                found.push(Version { number, digest: digest(&policy_files(&self.path(number))?) });
            }
        }
        found.sort_by_key(|version| version.number);
        Ok(found)
    }

    /// The version that the directory is now, when it is one.
    ///
    /// # Errors
    /// When it or a version cannot be read.
    pub fn now(&self) -> Result<Option<Version>, VersionError> {
        let now = digest(&policy_files(&self.current)?);
        Ok(self.all()?.into_iter().rev().find(|version| version.digest == now))
    }

    /// Where the version is kept.
    pub fn path(&self, number: u32) -> PathBuf {
        self.kept.join(format!("{number:0DIGITS$}"))
    }

    /// Writes `files` where they can be looked at, before they are kept.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn stage(&self, files: &PolicyFiles) -> Result<PathBuf, VersionError> {
        let staged = self.kept.join("staged");
        write(&staged, files)?;
        Ok(staged)
    }

    /// Removes what is staged and will not be kept.
    ///
    /// # Errors
    /// When the file system says no.
    pub fn unstage(&self) -> Result<(), VersionError> {
        let staged = self.kept.join("staged");
        fs::remove_dir_all(&staged).map_err(failed("remove", &staged))
    }

    /// Keeps what is staged as the next version, unless it is the newest already.
    ///
    /// # Errors
    /// When it cannot be read or kept.
    pub fn keep_staged(&self) -> Result<Version, VersionError> {
        let staged = self.kept.join("staged");
        let digest = digest(&policy_files(&staged)?);
        let newest = self.all()?.pop();
        if let Some(newest) = newest.clone().filter(|newest| newest.digest == digest) {
            self.unstage()?;
            return Ok(newest);
        }
        let number = newest.map_or(1, |newest| newest.number + 1);
        let path = self.path(number);
        fs::rename(&staged, &path).map_err(failed("rename", &path))?;
        sync(&self.kept)?;
        Ok(Version { number, digest })
    }

    /// Removes what was staged or kept after version `newest`, and the versions' directory when nothing else is in it.
    ///
    /// # Errors
    /// When one cannot be read or removed.
    pub fn forget_after(&self, newest: u32) -> Result<(), VersionError> {
        let later = self.all()?.into_iter().filter(|version| version.number > newest);
        let later = later.map(|version| self.path(version.number));
        for path in later.chain([self.kept.join("staged")]) {
            match fs::remove_dir_all(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(failed("remove", &path)(error));
                }
                _ => {}
            }
        }
        // It is left where versions are in it, or was never made.
        let _left = fs::remove_dir(&self.kept);
        Ok(())
    }

    /// Keeps what is in `dir` as the next version, unless it is the newest already.
    ///
    /// # Errors
    /// When a file is no regular one, or cannot be read or kept.
    pub fn keep(&self, dir: &Path) -> Result<Version, VersionError> {
        self.stage(&policy_files(dir)?)?;
        self.keep_staged()
    }

    /// Puts a copy of the version in the place of the directory, in one step. What was there is given back
    /// by [`Versions::undo`] or removed by [`Versions::settle`].
    ///
    /// # Errors
    /// When there is no such version, or the file system cannot exchange directories: nothing is changed then.
    pub fn exchange(&self, number: u32) -> Result<(), VersionError> {
        let from = self.path(number);
        if !from.is_dir() {
            return Err(VersionError::None { number });
        }
        write(&self.other(), &policy_files(&from)?)?;
        self.swap()
    }

    /// Puts back what the exchange took out.
    ///
    /// # Errors
    /// When the file system says no.
    pub fn undo(&self) -> Result<(), VersionError> {
        self.swap()?;
        self.settle()
    }

    /// Removes what the exchange took out.
    ///
    /// # Errors
    /// When the file system says no.
    pub fn settle(&self) -> Result<(), VersionError> {
        let other = self.other();
        fs::remove_dir_all(&other).map_err(failed("remove", &other))
    }

    /// Where the other side of an exchange stands.
    fn other(&self) -> PathBuf {
        self.kept.join("exchanged")
    }

    fn swap(&self) -> Result<(), VersionError> {
        renameat_with(CWD, self.other(), CWD, &self.current, RenameFlags::EXCHANGE)
            .map_err(|error| failed("exchange", &self.current)(error.into()))?;
        sync(self.current.parent().unwrap_or(Path::new("/")))?;
        sync(&self.kept)
    }
}

fn digest(files: &PolicyFiles) -> Digest {
    let line = |(name, bytes): &(PathBuf, Vec<u8>)| {
        format!("{} {}\n", Digest::of(bytes), name.to_string_lossy())
    };
    Digest::of(files.iter().map(line).collect::<String>().as_bytes())
}

/// Writes `files` as the directory `to`, on the disk; what a crash left there goes.
fn write(to: &Path, files: &PolicyFiles) -> Result<(), VersionError> {
    match fs::remove_dir_all(to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("remove", to)(error));
        }
        _ => {}
    }
    for dir in ["", "tools"] {
        let dir = to.join(dir);
        fs::create_dir_all(&dir).map_err(failed("make the directory", &dir))?;
    }
    for (name, bytes) in files {
        let path = to.join(name);
        let dir = path.parent().unwrap_or(to);
        fs::create_dir_all(dir).map_err(failed("make the directory", dir))?;
        files::publish(&path, bytes)?;
    }
    sync(to)
}

fn sync(dir: &Path) -> Result<(), VersionError> {
    fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed("sync", dir))
}

pub(super) fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> VersionError {
    let path = path.to_owned();
    move |error| VersionError::Io { what, path, error }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(dir: &Path, data: &str) {
        fs::create_dir_all(dir.join("tools/proposed")).unwrap();
        for (name, text) in [
            ("p.rego", "package p"),
            ("data.json", data),
            ("tools/a.b.json", "{}"),
            ("tools/proposed/c.d.json", "{}"),
            ("notes.txt", "not of the policy"),
        ] {
            fs::write(dir.join(name), text).unwrap();
        }
    }

    struct Lab {
        dir: tempfile::TempDir,
        versions: Versions,
    }

    impl Lab {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            policy(&dir.path().join("policies"), "1");
            let versions = Versions::of(&dir.path().join("policies"));
            Self { dir, versions }
        }

        fn data(&self) -> String {
            fs::read_to_string(self.dir.path().join("policies/data.json")).unwrap()
        }

        fn draft(&self, data: &str) -> PathBuf {
            let draft = self.dir.path().join("draft");
            policy(&draft, data);
            draft
        }
    }

    #[test]
    fn a_directory_is_exchanged_whole_and_back() {
        let lab = Lab::new();
        let first = lab.versions.keep(&lab.dir.path().join("policies")).unwrap();
        let second = lab.versions.keep(&lab.draft("2")).unwrap();
        assert_eq!((first.number, second.number, lab.data()), (1, 2, "1".to_owned()));
        assert_eq!(lab.versions.keep(&lab.draft("2")).unwrap(), second, "it is the newest already");
        lab.versions.exchange(2).unwrap();
        assert_eq!((lab.data(), lab.versions.now().unwrap()), ("2".to_owned(), Some(second)));
        assert!(lab.dir.path().join("policies/tools/a.b.json").exists());
        assert!(!lab.dir.path().join("policies/tools/proposed").exists());
        lab.versions.undo().unwrap();
        assert_eq!((lab.data(), lab.versions.now().unwrap()), ("1".to_owned(), Some(first)));
        lab.versions.exchange(2).unwrap();
        lab.versions.settle().unwrap();
        assert_eq!(lab.data(), "2");
        assert!(matches!(lab.versions.exchange(3), Err(VersionError::None { number: 3 })));
        assert_eq!(lab.data(), "2");
    }

    /// The attack: a draft whose owner has root read what is root's.
    #[test]
    fn a_draft_with_a_link_is_not_kept() {
        let lab = Lab::new();
        let draft = lab.draft("2");
        fs::remove_file(draft.join("data.json")).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", draft.join("data.json")).unwrap();
        assert!(matches!(lab.versions.keep(&draft), Err(VersionError::Refused { .. })));
        assert!(lab.versions.all().unwrap().is_empty());
        fs::remove_file(draft.join("data.json")).unwrap();
        assert!(lab.versions.keep(&draft).is_ok(), "the control");
    }
}
