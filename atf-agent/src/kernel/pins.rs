//! The pins: who may open what. The directory is root's and opens for ATF's group; each map has the
//! group of the one process that writes it.

use std::fs::{self, DirBuilder, Permissions};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::Path;

use rustix::fs::{FlockOperation, flock, statfs};

use super::cage::Cage;
use super::error::KernelError;
use super::object::Object;
use crate::sys::bpf;
use crate::wire::Ids;

const PIN_DIR_MODE: u32 = 0o750;
const LINKS_MODE: u32 = 0o700;
/// `BPF_FS_MAGIC` of linux/magic.h.
const BPF_FS: i64 = 0xcafe_4a11;
/// Where a bpf file system belongs; the only place where one is mounted if there is none.
const BPF_FS_DIR: &str = "/sys/fs/bpf";

/// The pin of one map.
pub(super) struct MapPin {
    pub(super) name: &'static str,
    pub(super) mode: u32,
    group: fn(&Ids) -> u32,
}

/// Every map.
pub(super) const MAPS: [MapPin; 12] = [
    pin("RUNS", 0o664, |ids| ids.authority),
    pin("STATES", 0o664, |ids| ids.authority),
    pin("RELEASES", 0o664, |ids| ids.authority),
    pin("DENY", 0o664, |ids| ids.gateway),
    pin("LEASE", 0o664, |ids| ids.gateway),
    pin("MARKS", 0o664, |ids| ids.gateway),
    pin("STAMPS", 0o664, |ids| ids.gateway),
    // Reading the ring takes events out of it and writes its consumer's page.
    pin("EVENTS", 0o660, |ids| ids.recorder),
    pin("LOST", 0o644, |_| 0),
    pin("OWNERS", 0o600, |_| 0),
    pin("LOOPBACK", 0o600, |_| 0),
    pin("CONFIG", 0o644, |_| 0),
];

const fn pin(name: &'static str, mode: u32, group: fn(&Ids) -> u32) -> MapPin {
    MapPin { name, mode, group }
}

/// Makes sure that the pin directory is there, on a bpf file system, and root's alone.
///
/// # Errors
/// When it is foreign, or cannot be made.
pub(super) fn ensure_dir(cage: &Cage, ids: &Ids) -> Result<(), KernelError> {
    let dir = &cage.pin_dir;
    let parent = dir.parent().unwrap_or(dir);
    mount_bpffs(parent)?;
    let_through(parent, ids.group)?;
    make_dir(dir)?;
    chown(dir, Some(0), Some(ids.group)).map_err(KernelError::doing("give to ATF's group", dir))?;
    set_mode(dir, PIN_DIR_MODE)
}

/// Whether pins can be made in `pin_dir`, as far as this host shows it: where its parent is not there yet, somebody may
/// still mount it.
///
/// # Errors
/// What is wrong.
pub fn can_pin(pin_dir: &Path) -> Result<(), String> {
    let parent = pin_dir.parent().unwrap_or(pin_dir);
    match statfs(parent) {
        Ok(found) if found.f_type != BPF_FS && parent != Path::new(BPF_FS_DIR) => {
            Err(format!("{} is not on a bpf file system", parent.display()))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Lets ATF's group through `parent` to the pins: systemd closes the bpf file system that it mounts to all
/// but root. Everybody else stays out, and the group can list nothing in it.
///
/// # Errors
/// When it is another group's, or cannot be changed.
fn let_through(parent: &Path, group: u32) -> Result<(), KernelError> {
    let found = fs::symlink_metadata(parent).map_err(KernelError::doing("look at", parent))?;
    let (gid, mode) = (found.gid(), found.mode() & 0o7777);
    if mode & 0o001 != 0 || (gid == group && mode & 0o010 != 0) {
        return Ok(());
    }
    if gid != 0 && gid != group {
        let found = format!("group {gid} and mode {mode:o}");
        return Err(KernelError::Foreign { path: parent.to_owned(), found });
    }
    chown(parent, None, Some(group)).map_err(KernelError::doing("give to ATF's group", parent))?;
    set_mode(parent, mode & 0o7700 | 0o010)
}

/// Makes a directory that root alone may enter, or accepts the one that is there if it is root's.
///
/// # Errors
/// When it is foreign, or cannot be made.
pub(super) fn make_dir(dir: &Path) -> Result<(), KernelError> {
    match DirBuilder::new().mode(LINKS_MODE).create(dir) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => refuse_foreign(dir),
        Err(error) => Err(KernelError::doing("make", dir)(error)),
    }
}

/// Pins the maps that have no pin yet, all but `CONFIG`, and gives each pin its owner.
///
/// # Errors
/// The file system's.
pub(super) fn pin_maps(cage: &Cage, ids: &Ids, object: &Object) -> Result<(), KernelError> {
    for map in MAPS.iter().filter(|map| map.name != super::object::CONFIG) {
        let path = cage.pin_dir.join(map.name);
        if !path.exists() {
            bpf::pin(object.map(map.name)?, &path).map_err(KernelError::doing("pin", &path))?;
        }
    }
    own(cage, ids)
}

/// Pins `CONFIG`, in the place of an older one if there is one.
///
/// # Errors
/// The file system's.
pub(super) fn pin_config(cage: &Cage, ids: &Ids, object: &Object) -> Result<(), KernelError> {
    let (next, path) = (cage.pin_dir.join("CONFIG_next"), cage.pin_dir.join("CONFIG"));
    remove_file(&next)?;
    bpf::pin(object.map(super::object::CONFIG)?.as_fd(), &next)
        .map_err(KernelError::doing("pin", &next))?;
    fs::rename(&next, &path).map_err(KernelError::doing("rename to", &path))?;
    own(cage, ids)
}

/// Removes a file that may be gone already.
///
/// # Errors
/// The file system's.
pub(super) fn remove_file(path: &Path) -> Result<(), KernelError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(KernelError::doing("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// What is wrong with the owners and modes of the pins.
pub(super) fn wrong(cage: &Cage) -> Vec<String> {
    let maps = MAPS.iter().map(|map| (cage.pin_dir.join(map.name), map.mode));
    let dirs = [(cage.pin_dir.clone(), PIN_DIR_MODE), (cage.links_dir(), LINKS_MODE)];
    let mut wrong = Vec::new();
    for (path, mode) in dirs.into_iter().chain(maps) {
        let Ok(found) = fs::symlink_metadata(&path) else {
            wrong.push(format!("{} is missing", path.display()));
            continue;
        };
        let (uid, bits) = (found.uid(), found.mode() & 0o7777);
        if uid != 0 || bits != mode {
            let path = path.display();
            wrong.push(format!("{path} has uid {uid} and mode {bits:o}, expected 0 and {mode:o}"));
        }
    }
    wrong
}

/// Gives each pinned map its owner and mode.
pub(super) fn own(cage: &Cage, ids: &Ids) -> Result<(), KernelError> {
    for map in &MAPS {
        let path = cage.pin_dir.join(map.name);
        if !path.exists() {
            continue;
        }
        let group = (map.group)(ids);
        chown(&path, Some(0), Some(group)).map_err(KernelError::doing("change owner of", &path))?;
        set_mode(&path, map.mode)?;
    }
    Ok(())
}

fn set_mode(path: &Path, mode: u32) -> Result<(), KernelError> {
    fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(KernelError::doing("change the mode of", path))
}

fn refuse_foreign(dir: &Path) -> Result<(), KernelError> {
    let found = fs::symlink_metadata(dir).map_err(KernelError::doing("look at", dir))?;
    let mode = found.mode() & 0o7777;
    if found.is_dir() && found.uid() == 0 && mode & 0o022 == 0 {
        return Ok(());
    }
    let found = format!("uid {} and mode {mode:o}", found.uid());
    Err(KernelError::Foreign { path: dir.to_owned(), found })
}

/// One at a time: a second mount would hide the pins below the first.
fn mount_bpffs(parent: &Path) -> Result<(), KernelError> {
    let is_mounted = || {
        let found = statfs(parent).map_err(KernelError::doing("look at", parent))?;
        Ok(found.f_type == BPF_FS)
    };
    if is_mounted()? {
        return Ok(());
    }
    // The directory below the mount: everyone who finds no bpf file system locks the same one.
    let below = fs::File::open(parent).map_err(KernelError::doing("open", parent))?;
    flock(&below, FlockOperation::LockExclusive).map_err(KernelError::doing("lock", parent))?;
    if is_mounted()? {
        return Ok(());
    }
    if parent != Path::new(BPF_FS_DIR) {
        let error = std::io::Error::other("not on a bpf file system");
        return Err(KernelError::doing("pin under", parent)(error));
    }
    use rustix::mount::{MountFlags, mount};
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("bpf", BPF_FS_DIR, "bpf", flags, Some(c"mode=0755"))
        .map_err(KernelError::doing("mount a bpf file system at", parent))
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_change, unmount};

    use super::*;

    #[test]
    fn the_group_is_let_through_to_the_pins_and_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        let parent = dir.path();
        for (gid, mode, expected) in [
            (0, 0o1700, Some((7_777, 0o1710))),
            (0, 0o750, Some((7_777, 0o710))),
            (7_777, 0o700, Some((7_777, 0o710))),
            (7_777, 0o710, Some((7_777, 0o710))),
            (0, 0o755, Some((0, 0o755))),
            (8_888, 0o700, None),
        ] {
            chown(parent, None, Some(gid)).unwrap();
            set_mode(parent, mode).unwrap();
            let done = let_through(parent, 7_777);
            let now = fs::metadata(parent).unwrap();
            let found = done.is_ok().then(|| (now.gid(), now.mode() & 0o7777));
            assert_eq!(found, expected, "{gid} {mode:o}");
        }
    }

    /// The attack: two loaders at one time, of which the second hides what the first has pinned.
    #[test]
    fn loaders_at_one_time_mount_one_file_system() {
        let mounted = std::thread::spawn(|| {
            crate::sys::mounts::unshare().expect("these tests need root");
            let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
            mount_change("/", private).unwrap();
            while unmount(BPF_FS_DIR, UnmountFlags::DETACH).is_ok() {}
            let start = Barrier::new(8);
            // Threads are born in the namespaces of the one that starts them.
            std::thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| {
                        start.wait();
                        mount_bpffs(Path::new(BPF_FS_DIR)).unwrap();
                    });
                }
            });
            fs::read_to_string("/proc/thread-self/mountinfo").unwrap()
        });
        let mounted = mounted.join().unwrap();
        let count = mounted.lines().filter(|line| line.contains(" /sys/fs/bpf ")).count();
        assert_eq!(count, 1, "{mounted}");
    }
}
