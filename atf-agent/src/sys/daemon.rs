//! From root to a daemon: an own uid, no capability, no way to get one back, and no network but where a server is reached by it.

#![allow(unsafe_code, reason = "leaving the network namespace and huge pages have no safe wrapper")]

use std::io;

use rustix::process::{DumpableBehavior, Gid, Resource, Rlimit, Signal, Uid};
use rustix::thread::{CapabilitySet, CapabilitySets, UnshareFlags};

/// The network of a daemon that was root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// One of its own, with nothing in it.
    Empty,
    /// The host's.
    Hosts,
}

/// Turns this process into a daemon of `uid`, with the group of the same number and `group`.
/// A process that is `uid` already (a service manager did it) keeps its groups; one that is neither
/// root nor `uid` is refused. Call it before the first thread is started: the kernel changes one
/// thread at a time.
///
/// # Errors
/// When the process is of another user, or the kernel refuses a step; nothing may be served then.
pub fn become_daemon(uid: u32, group: u32, with_parent: bool, network: Network) -> io::Result<()> {
    // The one who started us may have blocked the signals that end us.
    super::signals::unblock_all()?;
    let now = rustix::process::geteuid();
    if now.is_root() {
        if network == Network::Empty {
            // SAFETY: the descriptor table stays shared; only the network namespace is new.
            unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }?;
        }
        super::privileges::empty_bounding_set()?;
        let (user, own, shared) = (Uid::from_raw(uid), Gid::from_raw(uid), Gid::from_raw(group));
        rustix::thread::set_thread_groups(&[own, shared])?;
        rustix::thread::set_thread_res_gid(own, own, own)?;
        rustix::thread::set_thread_res_uid(user, user, user)?;
    } else if now.as_raw() != uid {
        let found = format!("started as uid {}; start it as root or as uid {uid}", now.as_raw());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, found));
    }
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(
        None,
        CapabilitySets { effective: none, permitted: none, inheritable: none },
    )?;
    rustix::thread::set_no_new_privs(true)?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    let files = rustix::process::getrlimit(Resource::Nofile).maximum;
    rustix::process::setrlimit(Resource::Nofile, Rlimit { current: files, maximum: files })?;
    no_huge_pages()?;
    if with_parent {
        // A change of uid clears it, so it comes last.
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    }
    Ok(())
}

/// Has this process's memory in pages of the common size alone, PR_SET_THP_DISABLE(2const): its heap is made of many
/// small pieces, of which each begun huge page would keep two megabytes. Its children inherit that.
fn no_huge_pages() -> io::Result<()> {
    const UNUSED: libc::c_ulong = 0;
    // SAFETY: integers only, as wide as the kernel reads them.
    match unsafe {
        libc::prctl(libc::PR_SET_THP_DISABLE, libc::c_ulong::from(1_u8), UNUSED, UNUSED, UNUSED)
    } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_has_no_huge_pages() {
        let has = || {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            status
                .lines()
                .find_map(|line| line.strip_prefix("THP_enabled:"))
                .map(str::trim)
                .map(str::to_owned)
        };
        assert_eq!(has().as_deref(), Some("1"), "the control");
        no_huge_pages().unwrap();
        assert_eq!(has().as_deref(), Some("0"));
    }
}
