//! The directories of an installation, with their owners and modes. A service manager makes them
//! from the units; without one `atf up` does it here.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::wire::{Ids, Places};

/// The daemons, by the name of their directories.
pub(super) const DAEMONS: [&str; 4] = ["recorder", "authority", "executor", "gateway"];

/// The mode of the directory of the sockets, which all may enter.
const RUN_DIR_MODE: u32 = 0o755;

/// A directory that is not as it must be.
#[derive(Debug, thiserror::Error)]
pub(super) enum LayoutError {
    /// The file system said no.
    #[error("cannot make the directory {path}: {error}")]
    Io {
        /// The directory.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A directory that ATF did not make: its mode is left as it is.
    #[error(
        "{path} is not as ATF makes it: expected owner {owner}, group {group} and mode {mode:04o}, found {found}; name another place in the configuration or, when it is ATF's own, set them"
    )]
    Other {
        /// The path.
        path: PathBuf,
        /// The uid that it should have.
        owner: u32,
        /// The gid that it should have.
        group: u32,
        /// The mode that it should have.
        mode: u32,
        /// What is there.
        found: String,
    },
    /// Something else is in its place.
    #[error(
        "{path} is not a directory of ATF's own: expected owner {owner}, found {found}; remove it or name another place in the configuration"
    )]
    Foreign {
        /// The path.
        path: PathBuf,
        /// The uid that it should have.
        owner: u32,
        /// What is there.
        found: String,
    },
}

/// The uid of a daemon.
pub(super) fn uid_of(ids: &Ids, daemon: &str) -> u32 {
    match daemon {
        "recorder" => ids.recorder,
        "authority" => ids.authority,
        "executor" => ids.executor,
        "gateway" => ids.gateway,
        // The launcher and the enforcer are root.
        _ => 0,
    }
}

/// Makes what is missing and refuses what is foreign.
///
/// # Errors
/// See [`LayoutError`].
pub(super) fn make(places: &Places, ids: &Ids) -> Result<(), LayoutError> {
    for (path, owner, group, mode) in directories(places, ids) {
        if path == places.run_dir || path == places.state_dir {
            named(&path, owner, group, mode)?;
        }
        directory(&path, owner, group, mode)?;
    }
    Ok(())
}

/// Makes the directory of the sockets alone.
///
/// # Errors
/// See [`LayoutError`].
pub(super) fn make_run_dir(places: &Places) -> Result<(), LayoutError> {
    named(&places.run_dir, 0, 0, RUN_DIR_MODE)?;
    directory(&places.run_dir, 0, 0, RUN_DIR_MODE)
}

/// Path, owner, group and mode of each, every one after the one that it is in.
fn directories(places: &Places, ids: &Ids) -> Vec<(PathBuf, u32, u32, u32)> {
    let mut all = vec![
        (places.run_dir.clone(), 0, 0, RUN_DIR_MODE),
        (places.state_dir.clone(), 0, 0, 0o755),
        (places.run_dir.join("runs"), 0, ids.group, 0o710),
        (places.run_dir.join("pids"), 0, 0, 0o755),
        (places.runtime("enforcer"), 0, 0, 0o700),
        (places.state("enforcer"), 0, 0, 0o700),
    ];
    for daemon in DAEMONS {
        let uid = uid_of(ids, daemon);
        all.push((places.runtime(daemon), uid, ids.group, 0o750));
        all.push((places.state(daemon), uid, uid, 0o700));
    }
    all
}

/// Refuses a directory that the configuration names and that is in use by others: one of another group or
/// mode, unless it is empty and nobody but its owner writes there.
fn named(path: &Path, owner: u32, group: u32, mode: u32) -> Result<(), LayoutError> {
    let io = |error| LayoutError::Io { path: path.to_owned(), error };
    let found = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() && found.uid() == owner => found,
        // What is missing is made, and what is of another kind or owner refused, with the others.
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io(error)),
    };
    let (has_group, has_mode) = (found.gid(), found.mode() & 0o7777);
    if (has_group, has_mode) == (group, mode) {
        return Ok(());
    }
    let is_empty = fs::read_dir(path).map_err(io)?.next().is_none();
    if is_empty && has_mode & 0o7022 == 0 {
        return Ok(());
    }
    let empty = if is_empty { "" } else { ", not empty" };
    let found = format!("group {has_group} and mode {has_mode:04o}{empty}");
    Err(LayoutError::Other { path: path.to_owned(), owner, group, mode, found })
}

/// Makes one directory. One that exists must be a real directory of the right owner; its group and
/// mode are set again.
fn directory(path: &Path, owner: u32, group: u32, mode: u32) -> Result<(), LayoutError> {
    let io = |error| LayoutError::Io { path: path.to_owned(), error };
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => std::os::unix::fs::lchown(path, Some(owner), Some(group)).map_err(io)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let found = fs::symlink_metadata(path).map_err(io)?;
            if !found.is_dir() || found.uid() != owner {
                let what = if found.is_dir() { "a directory" } else { "no directory" };
                let found = format!("{what} of owner {}", found.uid());
                return Err(LayoutError::Foreign { path: path.to_owned(), owner, found });
            }
            std::os::unix::fs::lchown(path, None, Some(group)).map_err(io)?;
        }
        Err(error) => return Err(io(error)),
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(io)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_makes_the_same_directories() {
        let packaged = include_str!("../../../packaging/tmpfiles.d/atf.conf");
        let ids = Ids::default();
        let id = |name: &str| match name {
            "root" => 0,
            "atf" => ids.group,
            daemon => uid_of(&ids, daemon.strip_prefix("atf-").unwrap()),
        };
        // The pins' directory, and the way to it, the enforcer makes by itself where it may.
        let other = |line: &&str| line.starts_with('#') || line.contains(" /sys/fs/bpf");
        let lines = packaged.lines().filter(|line| !other(line));
        let mut found: Vec<(PathBuf, u32, u32, u32)> = lines
            .map(|line| {
                let words: Vec<&str> = line.split_whitespace().collect();
                let [kind, path, mode, owner, group] = words[..] else { panic!("{line}") };
                assert_eq!(kind, "d", "{line}");
                let mode = u32::from_str_radix(mode, 8).unwrap();
                (path.into(), id(owner), id(group), mode)
            })
            .collect();
        let mut expected = directories(&Places::default(), &ids);
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_named_directory_of_others_is_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let uid = rustix::process::getuid().as_raw();
        for (mode, has_file, fine) in [
            (0o755, true, true),
            (0o755, false, true),
            (0o700, false, true),
            (0o700, true, false),
            (0o1777, false, false),
            (0o1777, true, false),
            (0o775, false, false),
        ] {
            let path = dir.path().join(format!("{mode:o}-{has_file}"));
            fs::create_dir(&path).unwrap();
            std::os::unix::fs::chown(&path, None, Some(uid)).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            if has_file {
                fs::write(path.join("file"), "").unwrap();
            }
            let made = named(&path, uid, uid, 0o755);
            assert_eq!(made.is_ok(), fine, "{mode:o} {has_file} {made:?}");
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, mode);
        }
        assert!(named(&dir.path().join("none"), uid, uid, 0o755).is_ok());
        let places = Places {
            run_dir: dir.path().join("1777-false"),
            state_dir: dir.path().join("state"),
            ..Places::default()
        };
        if uid == 0 {
            let ids = Ids::default();
            assert!(matches!(make(&places, &ids), Err(LayoutError::Other { .. })));
            assert!(matches!(make_run_dir(&places), Err(LayoutError::Other { .. })));
            assert_eq!(fs::metadata(&places.run_dir).unwrap().mode() & 0o7777, 0o1777);
        }
    }

    #[test]
    fn what_stands_in_the_way_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let uid = rustix::process::getuid().as_raw();
        let good = dir.path().join("good");
        directory(&good, uid, uid, 0o750).unwrap();
        directory(&good, uid, uid, 0o700).unwrap();
        assert_eq!(fs::metadata(&good).unwrap().mode() & 0o7777, 0o700);

        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(directory(&file, uid, uid, 0o700), Err(LayoutError::Foreign { .. })));
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&good, &link).unwrap();
        assert!(matches!(directory(&link, uid, uid, 0o700), Err(LayoutError::Foreign { .. })));
        assert!(matches!(directory(&good, uid + 1, uid, 0o700), Err(LayoutError::Foreign { .. })));
    }
}
