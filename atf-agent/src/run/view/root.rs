//! The new root while it is built: mounts are attached by descriptor, below the root and nowhere else,
//! and get their attributes before they have a name.

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, UnmountFlags};

use crate::run::inside::{Step, Stopped};
use crate::sys::mounts::set_attributes;

use super::{tree, walk};

/// Nothing below is written through this mount.
pub(super) const READ_ONLY: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_RDONLY;

/// No device below works, and no set-id bit below counts.
pub(super) const NO_DEVICES: MountAttrFlags =
    MountAttrFlags::MOUNT_ATTR_NODEV.union(MountAttrFlags::MOUNT_ATTR_NOSUID);

/// Nothing below is executed.
pub(super) const NO_PROGRAMS: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOEXEC;

/// What is bound.
pub(super) enum Source<'a> {
    /// A copy of a mount, which the keeper took.
    Copy(&'a OwnedFd),
    /// The very file or directory that a descriptor holds, opened in this mount namespace.
    Held(&'a OwnedFd),
    /// A path below the new root.
    Inside(&'a str),
}

/// The new root.
pub(super) struct Root {
    mount: OwnedFd,
}

impl Root {
    /// Mounts an empty root on top of `base`.
    pub(super) fn mount(base: &Path, bytes: &str) -> Result<Self, Stopped> {
        let mount = fresh("tmpfs", &[("size", bytes), ("mode", "0755")], NO_DEVICES)?;
        rustix::mount::move_mount(&mount, "", CWD, base, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
            .step(format!("mounting the new root on {}", base.display()))?;
        Ok(Self { mount })
    }

    /// Attaches `mount` at `path`; directories on the way are made.
    pub(super) fn attach(&self, mount: OwnedFd, path: &str) -> Result<(), Stopped> {
        self.directory(path, Mode::from_raw_mode(0o755))?;
        self.attach_over(&mount, path)
    }

    /// Binds `source` at `path` with `attributes`, without what is mounted below it.
    pub(super) fn bind(
        &self,
        source: Source<'_>,
        path: &str,
        attributes: MountAttrFlags,
    ) -> Result<(), Stopped> {
        let doing = || format!("binding {path}");
        let taken;
        let mount = match source {
            Source::Copy(mount) => mount,
            Source::Held(held) => {
                taken = tree::copy(held).step(doing())?;
                &taken
            }
            Source::Inside(name) => {
                taken = self.open(name).and_then(tree::copy).step(doing())?;
                &taken
            }
        };
        set_attributes(mount.as_fd(), super::bits(attributes)).step(doing())?;
        let status = rustix::fs::fstat(mount).step(doing())?;
        if rustix::fs::FileType::from_raw_mode(status.st_mode) == rustix::fs::FileType::Directory {
            self.directory(path, Mode::from_raw_mode(0o755))?;
        } else if !self.has(path) {
            self.file(path, "")?;
        }
        self.attach_over(mount, path)
    }

    /// Makes the directory `path` and those above it. One that exists stays as it is.
    pub(super) fn directory(&self, path: &str, mode: Mode) -> Result<(), Stopped> {
        let doing = || format!("making the directory {path}");
        let mut above = self.open("/").step(doing())?;
        let mut walked = String::new();
        for name in path.split('/').filter(|name| !name.is_empty()) {
            walked.push('/');
            walked.push_str(name);
            above = match self.open(&walked) {
                Ok(found) => found,
                Err(rustix::io::Errno::NOENT) => {
                    let own = walked.len() == path.len();
                    let plain = Mode::from_raw_mode(0o755);
                    rustix::fs::mkdirat(&above, name, if own { mode } else { plain })
                        .step(doing())?;
                    self.open(&walked).step(doing())?
                }
                Err(error) => return Err(error).step(doing()),
            };
        }
        Ok(())
    }

    /// Writes a small file that all may read.
    pub(super) fn file(&self, path: &str, text: &str) -> Result<(), Stopped> {
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        self.directory(above, Mode::from_raw_mode(0o755))?;
        let write = || -> io::Result<()> {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let mode = Mode::from_raw_mode(0o644);
            let above = self.open(above)?;
            let file = rustix::fs::openat(&above, name, flags, mode)?;
            std::fs::File::from(file).write_all(text.as_bytes())
        };
        write().step(format!("writing {path}"))
    }

    /// Makes the symbolic link `path`.
    pub(super) fn link(&self, path: &str, target: &Path) -> Result<(), Stopped> {
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        self.directory(above, Mode::from_raw_mode(0o755))?;
        self.open(above)
            .and_then(|above| rustix::fs::symlinkat(target, above, name))
            .step(format!("making the link {path}"))
    }

    /// Whether `path` exists below the root.
    pub(super) fn has(&self, path: &str) -> bool {
        self.open(path).is_ok()
    }

    /// Takes away the mount at `path`, whose parts are bound elsewhere, and its directory.
    pub(super) fn detach(&self, path: &str) -> Result<(), Stopped> {
        let doing = || format!("detaching {path}");
        let name = path.trim_start_matches('/');
        rustix::process::fchdir(&self.mount).step(doing())?;
        rustix::mount::unmount(name, UnmountFlags::DETACH).step(doing())?;
        rustix::fs::unlinkat(&self.mount, name, rustix::fs::AtFlags::REMOVEDIR).step(doing())
    }

    /// Makes the root itself read-only; the mounts in it keep their own attributes.
    pub(super) fn seal(&self) -> Result<(), Stopped> {
        set_attributes(self.mount.as_fd(), super::bits(READ_ONLY)).step("sealing the new root")
    }

    /// Moves into the root and lets go of the old one, pivot_root(2): with both arguments the same
    /// directory the old root lies on top of the new one, from where it is detached.
    pub(super) fn become_root(&self) -> Result<(), Stopped> {
        let doing = "moving into the new root";
        rustix::process::fchdir(&self.mount).step(doing)?;
        rustix::process::pivot_root(".", ".").step(doing)?;
        rustix::mount::unmount(".", UnmountFlags::DETACH).step("detaching the old root")?;
        rustix::process::chdir("/").step(doing)
    }

    fn attach_over(&self, mount: &OwnedFd, path: &str) -> Result<(), Stopped> {
        let doing = || format!("attaching {path}");
        let place = self.open(path).step(doing())?;
        let flags =
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        rustix::mount::move_mount(mount, "", &place, "", flags).step(doing())
    }

    /// Opens `path` as the run would see it: links and `..` cannot lead out of the root.
    fn open(&self, path: &str) -> rustix::io::Result<OwnedFd> {
        let path = if path.is_empty() { "/" } else { path };
        let opened = rustix::fs::openat2(
            &self.mount,
            path,
            OFlags::PATH | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
        );
        match opened {
            Err(rustix::io::Errno::NOSYS) => walk::open_below(self.mount.as_fd(), path),
            opened => opened,
        }
    }
}

/// A new file system that has no place yet.
pub(super) fn fresh(
    kind: &str,
    options: &[(&str, &str)],
    attributes: MountAttrFlags,
) -> Result<OwnedFd, Stopped> {
    let make = || {
        let context = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
        for (key, value) in options {
            rustix::mount::fsconfig_set_string(&context, *key, *value)?;
        }
        rustix::mount::fsconfig_create(&context)?;
        rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
    };
    make().step(format!("making a new {kind}"))
}
