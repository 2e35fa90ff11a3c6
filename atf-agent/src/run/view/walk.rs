//! Opens a path below a root where openat2(2) is missing: systemd hides it from a service whose set-id bits it
//! restricts, since no filter can read its arguments (systemd.exec(5), `RestrictSUIDSGID=`). One name after the
//! other: links are read and not followed, `..` goes back, and nothing leads out.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, fstat, openat, readlinkat};
use rustix::io::{Errno, Result};

/// As many links as the kernel follows in one path (path_resolution(7)).
const LINKS_MAX: usize = 40;

/// Opens `path` as a process whose root is `root` would see it.
///
/// # Errors
/// The kernel's.
pub(super) fn open_below(root: BorrowedFd<'_>, path: &str) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut entered: Vec<OwnedFd> = Vec::new();
    let mut names = reversed(path.as_bytes());
    let mut links = 0;
    while let Some(name) = names.pop() {
        match name.as_slice() {
            b"" | b"." => continue,
            b".." => drop(entered.pop()),
            name => {
                let here = entered.last().map_or(root, AsFd::as_fd);
                let found = openat(here, name, flags, Mode::empty())?;
                if FileType::from_raw_mode(fstat(&found)?.st_mode) != FileType::Symlink {
                    entered.push(found);
                    continue;
                }
                links += 1;
                if links > LINKS_MAX {
                    return Err(Errno::LOOP);
                }
                let target = readlinkat(&found, "", Vec::new())?.into_bytes();
                if target.starts_with(b"/") {
                    entered.clear();
                }
                names.extend(reversed(&target));
            }
        }
    }
    match entered.pop() {
        Some(found) => Ok(found),
        None => openat(root, ".", flags, Mode::empty()),
    }
}

/// The names of a path, the last one first.
fn reversed(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|byte| *byte == b'/').rev().map(<[u8]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::symlink;

    use rustix::fs::{ResolveFlags, openat2};

    use super::*;

    #[test]
    fn it_finds_what_the_kernel_finds() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        fs::create_dir_all(root.join("usr/lib/deep")).unwrap();
        fs::write(root.join("usr/lib/file"), "").unwrap();
        fs::write(folder.path().join("outside"), "").unwrap();
        for (target, link) in [
            ("usr/lib", "lib"),
            ("/usr/lib", "absolute"),
            ("../../../../usr", "up"),
            ("../outside", "out"),
            ("/../outside", "out_absolute"),
            ("loop", "loop"),
            ("usr/lib/file", "to_file"),
            ("lib", "twice"),
        ] {
            symlink(target, root.join(link)).unwrap();
        }
        let held = File::open(&root).unwrap();
        let kernel = |path: &str| {
            let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
            openat2(&held, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve)
        };
        let (mut there, mut missing) = (0, 0);
        for path in [
            "/",
            ".",
            "..",
            "/usr",
            "usr/",
            "lib",
            "/lib/deep",
            "absolute/file",
            "up/lib",
            "out",
            "loop",
            "out_absolute",
            "to_file",
            "twice/deep/..",
            "lib/../../..",
            "nothing",
            "usr/nothing/x",
            "usr/lib/deep/../../lib/file",
            "../outside",
            "/../outside",
            "twice/file",
        ] {
            let number = |found: Result<OwnedFd>| found.map(|found| fstat(found).unwrap().st_ino);
            let (ours, theirs) = (number(open_below(held.as_fd(), path)), number(kernel(path)));
            assert_eq!(ours, theirs, "{path}");
            match ours {
                Ok(_) => there += 1,
                Err(_) => missing += 1,
            }
        }
        assert!(there >= 12 && missing >= 5, "{there} {missing}");
    }
}
