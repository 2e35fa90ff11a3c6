//! Giving up root: limits, capabilities, ids, in the order in which each still may be given up.

use rustix::fs::{Gid, Uid};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, capabilities,
    clear_ambient_capability_set, set_capabilities, set_capabilities_secure_bits, set_no_new_privs,
    set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};

use crate::sys::privileges::{empty_bounding_set, own_session_keyring};

use super::inside::{Step, Stopped};
use super::settings::Settings;

/// Bytes of a run's core dump. Not zero: zero stops files alone, one stops `core_pattern` pipes too
/// (`do_coredump` in fs/coredump.c), and is less than any dump file needs.
const CORE_BYTES: u64 = 1;

/// Bytes that a run may lock in memory: enough for a key, too little to hurt.
const LOCKED_BYTES: u64 = 64 << 10;

/// What one process, and one uid, of the run may use, beside the limits of its cgroup.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    processes: u64,
    files: u64,
}

impl From<&Settings> for Limits {
    fn from(settings: &Settings) -> Self {
        Self { processes: settings.pids_max.into(), files: settings.files_max }
    }
}

/// Becomes `uid` and nothing more, for good.
pub(super) fn give_up(uid: u32, limits: &Limits) -> Result<(), Stopped> {
    for (resource, most) in [
        // The uid is no other live run's, so the count is the run's.
        (Resource::Nproc, limits.processes),
        (Resource::Nofile, limits.files),
        (Resource::Core, CORE_BYTES),
        (Resource::Memlock, LOCKED_BYTES),
        (Resource::Msgqueue, 0),
        (Resource::Rtprio, 0),
    ] {
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        setrlimit(resource, limit).step(format!("limiting {resource:?}"))?;
    }
    empty_bounding_set().step("emptying the bounding set")?;
    clear_ambient_capability_set().step("clearing the ambient set")?;
    set_capabilities_secure_bits(locked_bits()).step("locking the secure bits")?;
    become_user(uid)?;
    set_capabilities(None, none()).step("giving up capabilities")?;
    own_session_keyring().step("giving up keys")?;
    set_no_new_privs(true).step("giving up new privileges")?;
    // Until the command is executed: nobody in the run reads or traces its supervisor.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).step("hiding the supervisor's memory")?;
    match capabilities(None).step("reading the capabilities")? {
        held if held == none() => Ok(()),
        held => Err(Stopped::at("giving up capabilities", format!("left {held:?}"))),
    }
}

fn become_user(uid: u32) -> Result<(), Stopped> {
    if uid == 0 {
        return Err(Stopped::at("changing the uid", "a run is never root"));
    }
    let (user, group) = (Uid::from_raw(uid), Gid::from_raw(uid));
    set_thread_groups(&[]).step("giving up groups")?;
    set_thread_res_gid(group, group, group).step("changing the gid")?;
    set_thread_res_uid(user, user, user).step("changing the uid")
}

/// Root means nothing, capabilities do not survive, and nobody changes that any more.
fn locked_bits() -> CapabilitiesSecureBits {
    CapabilitiesSecureBits::NO_ROOT
        | CapabilitiesSecureBits::NO_ROOT_LOCKED
        | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
        | CapabilitiesSecureBits::KEEP_CAPS_LOCKED
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED
}

fn none() -> CapabilitySets {
    CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    }
}
