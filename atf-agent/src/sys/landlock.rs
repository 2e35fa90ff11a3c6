//! Landlock, landlock(7): a process gives up what files it may change, for good and for all that it
//! starts.
#![allow(unsafe_code, reason = "landlock_*(2) have no safe wrapper in rustix")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// `LANDLOCK_CREATE_RULESET_VERSION` of include/uapi/linux/landlock.h.
const VERSION: libc::c_ulong = 1;

/// `LANDLOCK_RULE_PATH_BENEATH` of the same.
const PATH_BENEATH: libc::c_int = 1;

/// The first version of the interface under which files can still be moved from one directory to
/// another (Linux 5.19); one below it forbids that to whoever uses it.
pub const VERSION_MOVES: u32 = 2;
/// The first version that knows [`TRUNCATE`] (Linux 6.2).
pub const VERSION_TRUNCATE: u32 = 3;

/// `LANDLOCK_ACCESS_FS_*` of the same: opening a file to write to it.
pub const WRITE_FILE: u64 = 1 << 1;
/// Cutting a file off.
pub const TRUNCATE: u64 = 1 << 14;
/// Removing, making, linking and renaming whatever a directory can hold, from [`VERSION_MOVES`] on.
pub const CHANGE_DIRECTORY: u64 = 0x3ff << 4;

/// `struct landlock_path_beneath_attr`.
#[repr(C, packed)]
struct PathBeneath {
    allowed: u64,
    parent: i32,
}

/// The version of the interface; 0 when this kernel has no Landlock, or has it switched off.
///
/// # Errors
/// When the kernel says anything else.
pub fn version() -> io::Result<u32> {
    let nothing = std::ptr::null::<u64>();
    // SAFETY: with this flag the kernel reads no memory.
    let answer = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, nothing, 0, VERSION) };
    if let Ok(version) = u32::try_from(answer) {
        return Ok(version);
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::ENOSYS | libc::EOPNOTSUPP) => Ok(0),
        _ => Err(error),
    }
}

/// What is going to be refused, and where it is not.
#[derive(Debug)]
pub struct Ruleset {
    fd: OwnedFd,
}

impl Ruleset {
    /// One that refuses `handled` everywhere.
    ///
    /// # Errors
    /// When the kernel does not know one of the accesses.
    pub fn refusing(handled: u64) -> io::Result<Self> {
        // The first field of `struct landlock_ruleset_attr`; the kernel takes a shorter one.
        let attributes = &raw const handled;
        // SAFETY: `attributes` is a live u64 of the stated size, which the kernel only reads.
        let fd = unsafe {
            libc::syscall(
                libc::SYS_landlock_create_ruleset,
                attributes,
                size_of::<u64>(),
                0 as libc::c_ulong,
            )
        };
        let Ok(number @ 0..) = i32::try_from(fd) else {
            return Err(io::Error::last_os_error());
        };
        // SAFETY: the kernel returned a new descriptor, which nobody else owns.
        Ok(Self { fd: unsafe { OwnedFd::from_raw_fd(number) } })
    }

    /// Lets `access` through on the file `place`, or on the directory and all below it.
    ///
    /// # Errors
    /// `EBADFD` for a file without a path (a pipe, a socket), which no ruleset refuses; `EINVAL` for an
    /// access to directories on a file.
    pub fn allow(&self, place: BorrowedFd<'_>, access: u64) -> io::Result<()> {
        let rule = PathBeneath { allowed: access, parent: place.as_raw_fd() };
        // SAFETY: `rule` is a live struct of the layout that this kind of rule has, only read.
        let done = unsafe {
            libc::syscall(
                libc::SYS_landlock_add_rule,
                self.fd.as_fd().as_raw_fd(),
                PATH_BENEATH,
                &raw const rule,
                0 as libc::c_ulong,
            )
        };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Holds the calling thread, and all that it starts, to it.
    ///
    /// # Errors
    /// Without `no_new_privs`, or when 16 rulesets hold the thread already.
    pub fn restrict_self(self) -> io::Result<()> {
        let fd = self.fd.as_raw_fd();
        // SAFETY: integers only.
        match unsafe { libc::syscall(libc::SYS_landlock_restrict_self, fd, 0 as libc::c_ulong) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}
