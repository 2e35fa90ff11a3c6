//! The host paths that a run sees, read-only: which may be shown, and how they are placed.

use std::io::ErrorKind;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat, readlink};

use crate::run::RunError;
use crate::run::acting::as_user;
use crate::run::inside::{Step, Stopped};
use crate::run::local;
use crate::wire::Places;

use super::root::{NO_DEVICES, READ_ONLY, Root, Source};
use super::{HOME, SHOWN_ASIDE, tree};

/// What the run has of its own; a host path in, at or above these would take their place.
const OWN: [&str; 4] = ["/proc", "/sys", "/dev", "/run/atf"];

/// The same, but a host path below is fine: the scratch has a link to it.
const OWN_SCRATCH: [&str; 2] = ["/tmp", super::HOME];

/// Most bytes of a symbolic link; PATH_MAX.
const LINK_BYTES: usize = 4_096;

/// One host path, opened.
pub(in crate::run) struct Shown {
    path: String,
    what: What,
}

enum What {
    /// A copy of a file's or directory's mount.
    Tree(OwnedFd),
    /// A symbolic link, shown as the link that it is: `/bin` is `usr/bin` inside, too.
    Link(PathBuf),
}

impl Shown {
    /// Opens `paths`. Those that do not exist are skipped, for hosts differ in whether they have a
    /// `/lib64`; but those that are `asked` for have to. Parents come before what is below them.
    pub(in crate::run) fn open<'a>(
        paths: impl Iterator<Item = &'a PathBuf>,
        asked: &[PathBuf],
        places: &Places,
    ) -> Result<Vec<Self>, RunError> {
        let mut paths: Vec<&PathBuf> = paths.collect();
        paths.sort();
        paths.dedup();
        let mut shown = Vec::new();
        for path in paths {
            let refuse = |why: String| RunError::ReadOnly { path: path.clone(), why };
            let name = allowed(path, places).map_err(refuse)?;
            match open(path, places).map_err(refuse)? {
                Some(what) => shown.push(Self { path: name, what }),
                None if asked.contains(path) => return Err(refuse("it is not there".to_owned())),
                None => {}
            }
        }
        Ok(shown)
    }

    /// Puts it where it is on the host. What would lie in the scratch lies beside it, and a link leads
    /// there: where the run may write is said by directory, and holds for all that is mounted below.
    pub(super) fn place(&self, root: &Root, uid: u32) -> Result<(), Stopped> {
        let attributes = READ_ONLY.union(NO_DEVICES);
        match &self.what {
            What::Link(target) => self.link(root, target, uid),
            What::Tree(held) if is_in_scratch(&self.path) => {
                let aside = format!("{SHOWN_ASIDE}{}", self.path);
                root.bind(Source::Copy(held), &aside, attributes)?;
                self.link(root, aside.as_ref(), uid)
            }
            What::Tree(held) => root.bind(Source::Copy(held), &self.path, attributes),
        }
    }

    /// Makes a link in its place, unless it is there already: with a path above it that is shown, too. In the
    /// run's home the run alone makes anything.
    fn link(&self, root: &Root, target: &Path, uid: u32) -> Result<(), Stopped> {
        let owner = if Path::new(&self.path).starts_with(HOME) { uid } else { 0 };
        as_user(owner, owner, || match root.has(&self.path) {
            true => Ok(()),
            false => root.link(&self.path, target),
        })
        .step(format!("making the link {}", self.path))?
    }
}

fn is_in_scratch(path: &str) -> bool {
    OWN_SCRATCH.iter().any(|own| Path::new(path).starts_with(own))
}

/// The path as text, when a run may see it.
fn allowed(path: &Path, places: &Places) -> Result<String, String> {
    let plain =
        path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    let Some(text) = path.to_str().filter(|_| plain && path.is_absolute()) else {
        return Err("expected an absolute path of UTF-8 without `..`".to_owned());
    };
    let overlaps = |other: &Path| path.starts_with(other) || other.starts_with(path);
    for own in OWN {
        if overlaps(Path::new(own)) {
            return Err(format!("{own} of the run is its own"));
        }
    }
    for own in OWN_SCRATCH {
        if Path::new(own).starts_with(path) {
            return Err(format!("{own} of the run is its own"));
        }
    }
    // What holds ATF's sockets and keys would be reached by another name.
    for secret in [&places.run_dir, &places.state_dir, &places.pin_dir] {
        let real = secret.canonicalize();
        if overlaps(secret) || real.is_ok_and(|real| overlaps(&real)) {
            return Err(format!("{} is ATF's own", secret.display()));
        }
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// Opens it without following its last component; `None` when there is nothing. What links on the way lead to has to
/// be what a run may see by its own name, too.
fn open(path: &Path, places: &Places) -> Result<Option<What>, String> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let held = match openat(CWD, path, flags, Mode::empty()) {
        Ok(held) => held,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let status = fstat(&held).map_err(|error| error.to_string())?;
    match FileType::from_raw_mode(status.st_mode) {
        FileType::Directory | FileType::RegularFile => {}
        FileType::Symlink => {
            let target = readlink(path, Vec::with_capacity(LINK_BYTES))
                .map_err(|error| error.to_string())?;
            let target = target.to_str().map_err(|error| error.to_string())?;
            return Ok(Some(What::Link(PathBuf::from(target))));
        }
        other => {
            return Err(format!("expected a directory or a regular file, found {other:?}"));
        }
    }
    let real = real_path(&held).map_err(|error| error.to_string())?;
    if real != path {
        allowed(&real, places).map_err(|why| format!("it is {}: {why}", real.display()))?;
    }
    match local::objection(&held) {
        Ok(None) => match tree::copy(&held) {
            Ok(copy) => Ok(Some(What::Tree(copy))),
            Err(error) => Err(error.to_string()),
        },
        Ok(Some(why)) => Err(why),
        Err(error) => Err(error.to_string()),
    }
}

/// Where it really is, proc_pid_fd(5).
fn real_path(held: &OwnedFd) -> std::io::Result<PathBuf> {
    std::fs::read_link(format!("/proc/self/fd/{}", held.as_raw_fd()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// The attack: a link in the middle of a path that is shown leads to where ATF's sockets are.
    #[test]
    fn a_link_on_the_way_leads_nowhere_that_may_not_be_shown_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let (run_dir, plain) = (dir.path().join("run"), dir.path().join("plain"));
        for inner in [run_dir.join("data"), plain.join("data")] {
            std::fs::create_dir_all(inner).unwrap();
        }
        let places = Places { run_dir: run_dir.clone(), ..Places::default() };
        let link = dir.path().join("link");
        let shown = |places: &Places| open(&link.join("data"), places).map(|what| what.is_some());
        symlink(&plain, &link).unwrap();
        assert_eq!(shown(&places), Ok(true), "the control");
        std::fs::remove_file(&link).unwrap();
        symlink(&run_dir, &link).unwrap();
        let why = shown(&places).unwrap_err();
        assert!(why.ends_with("is ATF's own"), "{why}");
        // The operator's own name for it is a link.
        let places = Places { run_dir: link.clone(), ..Places::default() };
        assert!(allowed(&run_dir.join("data"), &places).is_err());
        assert!(shown(&places).is_err());
    }

    fn check(path: &str, may_be_shown: bool) {
        let found = allowed(Path::new(path), &Places::default());
        assert_eq!(found.is_ok(), may_be_shown, "{path}: {found:?}");
    }

    #[test]
    fn a_run_sees_neither_what_is_its_own_nor_what_is_atfs() {
        for shown in ["/usr", "/bin", "/etc/ssl", "/tmp/tool", "/opt/x", "/home/agent/x"] {
            check(shown, true);
        }
        for own in ["/", "/proc", "/proc/1", "/sys/fs", "/dev/shm", "/run", "/run/atf"] {
            check(own, false);
        }
        for own in ["/tmp", "/home", "/home/agent"] {
            check(own, false);
        }
        for secret in ["/var", "/var/lib/atf", "/var/lib/atf/authority", "/run/atf/runs"] {
            check(secret, false);
        }
        for odd in ["usr", "", "/usr/../run/atf", "./usr"] {
            check(odd, false);
        }
    }
}
