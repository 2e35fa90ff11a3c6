//! A run's directory under the runtime directory: the gateway's part, which the run sees, and the
//! identity, which holds its token.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};

use crate::call::{Digest, RunId};
use crate::wire::{Ids, Places};

use super::acting::{as_group, as_user};
use super::error::{Doing, RunError};
use super::view::tree;

/// The parts of a run's directory; `Places` knows them by the same names.
const GATEWAY: &str = "gateway";
const IDENTITY: &str = "identity";

/// The token's file inside the identity directory.
const TOKEN: &str = "token";

/// The file of the prompt's digest beside it.
const PROMPT: &str = "prompt_sha256";

/// Where a new token is written before it takes its place.
const TOKEN_NEXT: &str = "token.next";

/// The directory of one run, as the host sees it.
pub(super) struct Directory {
    path: PathBuf,
    identity: PathBuf,
    gateway: PathBuf,
    /// The gateway's user, and the group that may enter what it is in.
    owner: (u32, u32),
    /// Locked while the keeper lives, whatever it dies of; see [`sweep`](super::sweep).
    _lock: File,
}

impl Directory {
    /// Makes the directory of `run`. What a failure leaves is removed.
    pub(super) fn make(places: &Places, ids: &Ids, run: RunId) -> Result<Self, RunError> {
        let runs = places.run_dir.join("runs");
        // Under a name that is no run's until it is whole and locked.
        let young = runs.join(format!(".{run}"));
        let path = places.run(run);
        let make = || -> io::Result<File> {
            if !runs.is_dir() {
                group_dir(&runs, 0o710, ids.group)?;
            }
            // The group may enter, no more: the gateway reaches its own part, and only root renames.
            group_dir(&young, 0o710, ids.group)?;
            group_dir(&young.join(GATEWAY), 0o775, ids.gateway)?;
            group_dir(&young.join(IDENTITY), 0o755, 0)?;
            let lock = File::open(&young)?;
            lock.lock()?;
            fs::rename(&young, &path)?;
            Ok(lock)
        };
        let lock = make()
            .doing(format!("make the run's directory {}", path.display()))
            .inspect_err(|_| {
                let _nothing_was_made = fs::remove_dir_all(&young);
            })?;
        Ok(Self {
            identity: places.run_identity(run),
            gateway: places.run_gateway(run),
            owner: (ids.gateway, ids.group),
            path,
            _lock: lock,
        })
    }

    /// A mount of the part that the gateway fills and the run sees: of the directory that was made,
    /// whatever happens to its name.
    pub(super) fn gateway(&self) -> Result<OwnedFd, RunError> {
        copy_of(&self.gateway)
    }

    /// A mount of the part that holds the token.
    pub(super) fn identity(&self) -> Result<OwnedFd, RunError> {
        copy_of(&self.identity)
    }

    /// The directory itself; the run's view is built on top of it.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts `jwt` in the place of the token, at once: a reader finds the old one or the new one.
    pub(super) fn write_token(&self, jwt: &str, uid: u32) -> io::Result<()> {
        let next = self.identity.join(TOKEN_NEXT);
        match fs::remove_file(&next) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = File::options();
        options.write(true).create_new(true).mode(0o400);
        let mut file = as_group(uid, || options.open(&next))??;
        // Written before the run's group may read it, so that half a token is never readable.
        file.write_all(jwt.as_bytes())?;
        rustix::fs::fchmod(&file, Mode::RUSR | Mode::RGRP)?;
        fs::rename(&next, self.identity.join(TOKEN))
    }

    /// Writes the digest of the run's prompt, which is no secret.
    pub(super) fn write_prompt(&self, prompt: &Digest) -> io::Result<()> {
        let path = self.identity.join(PROMPT);
        let mut file = File::options().write(true).create_new(true).mode(0o444).open(path)?;
        writeln!(file, "{prompt}")?;
        rustix::fs::fchmod(&file, Mode::RUSR | Mode::RGRP | Mode::ROTH)?;
        Ok(())
    }

    /// Removes it and what is in it; an empty answer is success.
    pub(super) fn take_down(&self) -> Option<String> {
        match remove(&self.path, self.owner) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Some(format!("cannot remove {}: {error}", self.path.display()))
            }
            _ => None,
        }
    }
}

/// Whether the keeper of a registered run is gone. Who may not look is told no.
pub fn is_gone(places: &Places, run: RunId) -> bool {
    match File::open(places.run(run)) {
        // A keeper that lives holds it alone.
        Ok(directory) => directory.try_lock_shared().is_ok(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// Removes a run's directory: what the gateway, `owner`, made in its part is removed as the gateway, the rest
/// as root. Names above that part are root's, so the gateway can lead nobody elsewhere.
pub(super) fn remove(path: &Path, (user, group): (u32, u32)) -> io::Result<()> {
    // What this cannot remove is told by what follows.
    let _left = as_user(user, group, || empty(&path.join(GATEWAY)));
    fs::remove_dir_all(path)
}

fn empty(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Makes a directory of root's whose mode does not depend on the umask.
fn group_dir(path: &Path, mode: u32, gid: u32) -> io::Result<()> {
    as_group(gid, || fs::DirBuilder::new().mode(0o700).create(path))??;
    // Root owns the parent, so the name is this directory.
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

fn copy_of(path: &Path) -> Result<OwnedFd, RunError> {
    let copy = open(path).and_then(|held| Ok(tree::copy(held)?));
    copy.doing(format!("open {}", path.display()))
}

fn open(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
    Ok(directory)
}
