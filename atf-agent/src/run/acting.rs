//! Acting as another user or group for a moment: what is to be somebody else's is made as that one, and what
//! is somebody else's is removed so. The launcher needs no capability by which root overrides owners.

use std::os::fd::AsFd;

use rustix::fs::{Gid, Uid};
use rustix::io::{Errno, Result};
use rustix::process::{Signal, pidfd_send_signal};
use rustix::thread::{set_thread_res_gid, set_thread_res_uid};

/// Does `work` with the effective ids `uid` and `gid`; root again afterwards. The ids are those of the
/// calling thread, credentials(7): real and saved ones stay root's, so that nobody may signal or trace it.
pub(super) fn as_user<T>(uid: u32, gid: u32, work: impl FnOnce() -> T) -> Result<T> {
    let (user, group) = (Uid::from_raw(uid), Gid::from_raw(gid));
    set_thread_res_gid(Gid::ROOT, group, Gid::ROOT)?;
    let done = set_thread_res_uid(Uid::ROOT, user, Uid::ROOT).map(|()| work());
    // The group may be changed by root alone: the user first.
    set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT)?;
    set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT)?;
    done
}

/// Does `work` as root with the effective group `gid`: what it makes has that group.
pub(super) fn as_group<T>(gid: u32, work: impl FnOnce() -> T) -> Result<T> {
    as_user(0, gid, work)
}

/// Sends a signal to the first process of a run: root's own until it has become `uid`.
pub(super) fn signal(process: impl AsFd, uid: u32, signal: Signal) -> Result<()> {
    match pidfd_send_signal(&process, signal) {
        Err(Errno::PERM) => as_user(uid, uid, || pidfd_send_signal(&process, signal))?,
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use rustix::process::{getegid, geteuid};

    use super::*;

    #[test]
    fn what_is_made_belongs_to_the_other_and_root_is_root_again() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let [theirs, shared, ours] =
            ["theirs", "shared", "ours"].map(|name| folder.path().join(name));
        let (user, group) = (1_900_100_001, 1_900_100_002);
        as_user(user, group, || fs::write(&theirs, "")).unwrap().unwrap();
        as_group(group, || fs::write(&shared, "")).unwrap().unwrap();
        fs::write(&ours, "").unwrap();
        let owner = |path| fs::metadata(path).map(|found| (found.uid(), found.gid())).unwrap();
        assert_eq!(owner(&theirs), (user, group));
        assert_eq!(owner(&shared), (0, group));
        assert_eq!(owner(&ours), (0, 0));
        assert!(geteuid().is_root() && getegid().is_root());
        let kept = fs::read_to_string("/etc/shadow");
        assert!(kept.is_ok(), "root may again what root may: {kept:?}");
        let refused = as_user(user, group, || fs::read_to_string("/etc/shadow")).unwrap();
        assert!(refused.is_err(), "and the other may not");
    }
}
