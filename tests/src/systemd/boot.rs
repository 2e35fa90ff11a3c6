//! The first process of a VM with a disk: it loads what the disk needs, puts the project on it at the
//! first boot, and becomes the disk's own init.

use std::convert::Infallible;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::mount::{MountFlags, mount, mount_move};
use rustix::system::finit_module;

use crate::demo::installation::copy_tree;

/// Where the disk is mounted first.
const DISK: &str = "/new-root";

/// Where the project lies on the disk.
pub(super) const PROJECT: &str = "/srv/atf";

/// This program on the disk.
const SUITE: &str = "/usr/local/sbin/atf-systemd";

/// The attacker, where runs see it.
pub(super) const HIJACKED: &str = "/usr/local/bin/hijacked";

/// The disk's own first process.
const SYSTEMD: &str = "/lib/systemd/systemd";

/// The unit that runs this suite at each boot.
const UNIT: &str = "[Unit]\nDescription=The suite\n\
                    [Service]\nType=exec\nExecStart=/usr/local/sbin/atf-systemd\n";

/// How long the disk may take to appear: it is there a moment after its driver.
const APPEARS_WITHIN: u32 = 100;

/// Becomes the disk's init.
pub fn run() -> ! {
    let error = match go_on() {
        Ok(never) => match never {},
        Err(error) => error,
    };
    eprintln!("atf-vm: {error:#}");
    // The end of the first process is the end of the VM, with a panic.
    std::process::exit(1)
}

fn go_on() -> Result<Infallible> {
    mount("devtmpfs", "/dev", "devtmpfs", MountFlags::empty(), None).context("no /dev")?;
    let mut modules: Vec<_> =
        fs::read_dir("/modules")?.flatten().map(|entry| entry.path()).collect();
    // Their names begin with the number of their turn.
    modules.sort();
    for module in modules {
        finit_module(fs::File::open(&module)?, c"", 0)
            .with_context(|| format!("cannot load {}", module.display()))?;
    }
    mount_disk()?;
    eprintln!("atf-vm: init runs");
    if !on_disk(PROJECT).exists() {
        place().context("cannot put the project on the disk")?;
    }
    mount_move("/dev", &*on_disk("/dev"))?;
    std::env::set_current_dir(DISK)?;
    mount_move(".", "/")?;
    rustix::process::chroot(".")?;
    std::env::set_current_dir("/")?;
    Err(Command::new(SYSTEMD).exec()).context(SYSTEMD)
}

fn mount_disk() -> Result<()> {
    for _ in 0..APPEARS_WITHIN {
        if mount("/dev/vda", DISK, "ext4", MountFlags::empty(), None).is_ok() {
            return Ok(());
        }
        sleep(Duration::from_millis(50));
    }
    mount("/dev/vda", DISK, "ext4", MountFlags::empty(), None).context("no disk")
}

/// The project as its README finds it, the attacker, and this suite as a unit. Nobody logs in here.
fn place() -> Result<()> {
    copy_tree(Path::new("/project"), &on_disk(PROJECT))?;
    fs::copy("/bin/hijacked", on_disk(HIJACKED))?;
    fs::copy("/init", on_disk(SUITE))?;
    let units = on_disk("/etc/systemd/system");
    let wanted = units.join("multi-user.target.wants");
    fs::create_dir_all(&wanted)?;
    fs::write(units.join("suite.service"), UNIT)?;
    for (target, name) in [
        ("/etc/systemd/system/suite.service", "multi-user.target.wants/suite.service"),
        ("/lib/systemd/system/multi-user.target", "default.target"),
        ("/dev/null", "serial-getty@ttyS0.service"),
        ("/dev/null", "getty@tty1.service"),
    ] {
        let link = units.join(name);
        drop(fs::remove_file(&link));
        std::os::unix::fs::symlink(target, link)?;
    }
    Ok(())
}

fn on_disk(path: &str) -> std::path::PathBuf {
    Path::new(DISK).join(path.trim_start_matches('/'))
}
