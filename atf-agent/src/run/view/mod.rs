//! What a run sees: a root of its own that holds the shown host paths, a scratch, a few devices, its
//! own processes, its gateway's directory and its token. Nothing else has a name in it.

mod devices;
mod root;
mod shown;
pub(super) mod tree;
mod walk;

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::fs::Mode;
use rustix::mount::{MountAttrFlags, MountPropagationFlags, mount_change};

pub(super) use shown::Shown;

use super::acting::as_user;
use super::inside::{Step, Stopped};
use crate::wire::in_run;
use root::{NO_DEVICES, NO_PROGRAMS, READ_ONLY, Root, Source, fresh};

/// The run's home.
pub(super) const HOME: &str = "/home/agent";

/// Where host paths lie that the run sees inside its scratch; links lead here.
pub(super) const SHOWN_ASIDE: &str = "/run/atf/shown";

/// Directories and files of the root itself: a few dozen names, nothing in them.
const ROOT_BYTES: &str = "1m";

/// Most files in the scratch. Each costs about a kilobyte of kernel memory, which the scratch's bytes
/// do not count.
const SCRATCH_FILES: &str = "65536";

/// Parts of a fresh `/proc` that change the host when written; read-only even if a check is missing.
const PROC_READ_ONLY: [&str; 5] = ["sys", "irq", "bus", "fs", "sysrq-trigger"];

/// All that the view is made of; taken by the keeper, so that no name is resolved twice.
pub(super) struct Plan {
    /// The host paths that the run sees.
    pub(super) shown: Vec<Shown>,
    /// A copy of the gateway's directory's mount.
    pub(super) gateway: OwnedFd,
    /// A copy of the identity directory's mount.
    pub(super) identity: OwnedFd,
    /// A directory on top of which the new root is mounted, for this mount namespace alone.
    pub(super) base: PathBuf,
    /// Bytes of the scratch.
    pub(super) scratch_bytes: u64,
    /// Whose home it is.
    pub(super) uid: u32,
    /// Whether the run has a terminal.
    pub(super) terminal: bool,
}

/// Builds the view and moves into it. What was seen before has no name any more.
pub(super) fn enter(plan: &Plan) -> Result<(), Stopped> {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .step("making the mounts private")?;
    let root = Root::mount(&plan.base, ROOT_BYTES)?;
    scratch(&root, plan)?;
    for shown in &plan.shown {
        shown.place(&root, plan.uid)?;
    }
    devices::place(&root, plan.terminal)?;
    processes(&root)?;
    people(&root, plan.uid)?;
    let names_only = READ_ONLY.union(NO_DEVICES).union(NO_PROGRAMS);
    root.bind(Source::Copy(&plan.gateway), in_run::GATEWAY, names_only)?;
    root.bind(Source::Copy(&plan.identity), in_run::IDENTITY, names_only)?;
    root.seal()?;
    root.become_root()
}

/// One tmpfs, so that `/tmp`, the home and `/dev/shm` share one limit.
fn scratch(root: &Root, plan: &Plan) -> Result<(), Stopped> {
    const WHOLE: &str = "/.scratch";
    let open_to_all = Mode::from_raw_mode(0o1777);
    let bytes = plan.scratch_bytes.to_string();
    let options = [("size", bytes.as_str()), ("nr_inodes", SCRATCH_FILES), ("mode", "1777")];
    root.attach(fresh("tmpfs", &options, NO_DEVICES)?, WHOLE)?;
    let own = Mode::RWXU;
    for (part, at, mode, uid) in [
        ("tmp", "/tmp", open_to_all, 0),
        ("shm", "/dev/shm", open_to_all, 0),
        ("home", HOME, own, plan.uid),
    ] {
        let source = format!("{WHOLE}/{part}");
        as_user(uid, uid, || root.directory(&source, mode)).step(format!("making {at}"))??;
        root.bind(Source::Inside(&source), at, NO_DEVICES)?;
    }
    root.detach(WHOLE)
}

/// The run's own processes, and of those only its own uid's.
fn processes(root: &Root) -> Result<(), Stopped> {
    let options = [("hidepid", "invisible")];
    root.attach(fresh("proc", &options, NO_DEVICES.union(NO_PROGRAMS))?, "/proc")?;
    for part in PROC_READ_ONLY {
        let path = format!("/proc/{part}");
        if root.has(&path) {
            let attributes = READ_ONLY.union(NO_DEVICES).union(NO_PROGRAMS);
            root.bind(Source::Inside(&path), &path, attributes)?;
        }
    }
    Ok(())
}

/// Names for the ids that programs look up. Nobody logs in by them.
fn people(root: &Root, uid: u32) -> Result<(), Stopped> {
    let passwd = format!(
        "root:x:0:0:root:/nonexistent:/usr/sbin/nologin\n\
         agent:x:{uid}:{uid}:agent:{HOME}:/bin/sh\n"
    );
    root.file("/etc/passwd", &passwd)?;
    root.file("/etc/group", &format!("root:x:0:\nagent:x:{uid}:\n"))?;
    root.file("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n")?;
    root.file("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n")
}

/// The attributes as the calls of rustix and of mount_setattr(2) both take them.
fn bits(attributes: MountAttrFlags) -> u64 {
    u64::from(attributes.bits())
}
