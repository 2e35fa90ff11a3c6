//! A minimal `/dev`: the devices that only make or swallow bytes.

use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, major, minor, openat};

use crate::run::inside::{Step, Stopped};

use super::root::{NO_PROGRAMS, Root, Source};
use rustix::mount::MountAttrFlags;

/// Devices by name and number (Documentation/admin-guide/devices.txt of the kernel).
const DEVICES: [(&str, u32, u32); 5] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9)];

/// The process's own terminal, whichever that is; shown only when it has one.
const TERMINAL: (&str, u32, u32) = ("tty", 5, 0);

/// Names that programs expect.
const LINKS: [(&str, &str); 4] = [
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
];

/// Puts the devices into the root. They are bound and not made: a mount with `nodev` could not hold
/// them, and this one shall be the only one without it.
pub(super) fn place(root: &Root, terminal: bool) -> Result<(), Stopped> {
    let terminal = terminal.then_some(TERMINAL);
    for (name, major_wanted, minor_wanted) in DEVICES.into_iter().chain(terminal) {
        let path = format!("/dev/{name}");
        let doing = || format!("binding {path}");
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let device = openat(CWD, &path, flags, Mode::empty()).step(doing())?;
        let status = fstat(&device).step(doing())?;
        let number = (major(status.st_rdev), minor(status.st_rdev));
        let is_device = FileType::from_raw_mode(status.st_mode) == FileType::CharacterDevice;
        if !is_device || number != (major_wanted, minor_wanted) {
            return Err(Stopped::at(
                doing(),
                format!("expected the character device {major_wanted}:{minor_wanted}"),
            ));
        }
        let attributes = NO_PROGRAMS.union(MountAttrFlags::MOUNT_ATTR_NOSUID);
        root.bind(Source::Held(&device), &path, attributes)?;
    }
    for (path, target) in LINKS {
        root.link(path, Path::new(target))?;
    }
    Ok(())
}
