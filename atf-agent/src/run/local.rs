//! Which file systems a run may touch. Not for speed: reading a file of a network file system makes
//! the kernel send packets for the reader, in the root cgroup, where no hook of the cage sees them.

use std::os::fd::AsFd;

use rustix::fs::fstatfs;
use rustix::io;

/// File systems that keep their bytes on this machine, by the `f_type` of statfs(2). An allow-list:
/// every other one (NFS, SMB, 9p, AFS, Ceph, FUSE, autofs, and also bpffs, cgroupfs, procfs, debugfs)
/// is refused, and so is one that does not exist yet. Numbers of include/uapi/linux/magic.h and of
/// the file systems' own headers.
const LOCAL: [(&str, u32); 15] = [
    ("bcachefs", 0xca45_1a4e),
    ("btrfs", 0x9123_683e),
    ("erofs", 0xe0f5_e1e2),
    ("exfat", 0x2011_bab0),
    ("ext2/3/4", 0xef53),
    ("f2fs", 0xf2f5_2010),
    ("iso9660", 0x9660),
    ("overlayfs", 0x794c_7630),
    ("ramfs", 0x8584_58f6),
    ("squashfs", 0x7371_7368),
    ("tmpfs", 0x0102_1994),
    ("udf", 0x1501_3346),
    ("vfat", 0x4d44),
    ("xfs", 0x5846_5342),
    ("zfs", 0x2fc1_2fc1),
];

/// What is wrong with the file system that `file` is on; `None` when it is a local one.
pub(super) fn objection(file: impl AsFd) -> io::Result<Option<String>> {
    // The field's width differs between architectures; the numbers have 32 bits.
    #[allow(clippy::cast_possible_truncation, reason = "magic numbers have 32 bits")]
    let found = fstatfs(file)?.f_type as u32;
    if LOCAL.iter().any(|(_, local)| *local == found) {
        return Ok(None);
    }
    Ok(Some(format!(
        "it is on a file system of type {found:#x}, which is not known to keep its files on this \
         machine (see statfs(2)); copy what the run needs to a local one"
    )))
}
