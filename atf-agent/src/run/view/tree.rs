//! A copy of one mount, without those below it and without a place: taken in the keeper's mount
//! namespace, attached in the run's, so that what was checked is what is shown.

use std::os::fd::{AsFd, OwnedFd};

use rustix::mount::{OpenTreeFlags, open_tree};

/// The copy of the file or directory that `held` is open on.
pub(in crate::run) fn copy(held: impl AsFd) -> rustix::io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    open_tree(held, "", flags)
}
