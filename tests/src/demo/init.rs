//! The VM's first process: it makes a root that can be pivoted, mounts what Linux programs expect,
//! loads the lab's modules, has the demo run, hands the result out and ends the VM.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use rustix::mount::{MountFlags, mount, mount_move};
use rustix::process::{WaitOptions, wait as wait_for_any};
use rustix::system::{RebootCommand, finit_module, reboot};

/// Where the demo leaves its result.
const RESULT: &str = "/run/result.json";

/// The kernel tests, when they are in the VM.
const KERNEL_TESTS: &str = "/bin/kernel-tests";

/// The second serial line: nobody but us writes there.
const RESULT_LINE: &str = "/dev/ttyS1";

/// What Linux programs expect: file system, place, options.
const MOUNTS: [(&str, &str, &str); 9] = [
    ("proc", "/proc", ""),
    ("sysfs", "/sys", ""),
    ("devtmpfs", "/dev", ""),
    ("devpts", "/dev/pts", "gid=5,mode=620,ptmxmode=666"),
    ("tmpfs", "/dev/shm", "mode=1777"),
    ("tmpfs", "/run", "mode=755"),
    ("tmpfs", "/tmp", "mode=1777"),
    ("cgroup2", "/sys/fs/cgroup", ""),
    ("securityfs", "/sys/kernel/security", ""),
];

/// Does everything, and ends the VM whatever happens.
pub fn run() -> ! {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = prepare().and_then(|()| demo(&arguments)).and_then(|()| hand_out(kernel_tests()?));
    if let Err(error) = result {
        eprintln!("atf-vm: {error:#}");
    }
    rustix::fs::sync();
    // QEMU is told to end where a machine would boot again.
    let Err(error) = reboot(RebootCommand::Restart) else { std::process::exit(0) };
    eprintln!("atf-vm: no restart: {error}");
    // The end of the first process is the end of the VM too, with a panic.
    std::process::exit(1)
}

fn prepare() -> Result<()> {
    new_root().context("cannot make a root")?;
    for (kind, place, options) in MOUNTS {
        fs::create_dir_all(place)?;
        let options = std::ffi::CString::new(options)?;
        mount(kind, place, kind, MountFlags::empty(), options.as_c_str())
            .with_context(|| format!("cannot mount {kind} at {place}"))?;
    }
    eprintln!("atf-vm: init runs");
    let mut modules: Vec<_> =
        fs::read_dir("/modules")?.flatten().map(|entry| entry.path()).collect();
    // Their names begin with the number of their turn.
    modules.sort();
    for module in modules {
        // The lab says itself what it cannot do without.
        if let Err(error) = finit_module(fs::File::open(&module)?, c"", 0) {
            eprintln!("atf-vm: cannot load {}: {error}", module.display());
        }
    }
    // Debian forbids these to everybody; the attempts need a control that can succeed. Older kernels
    // lack some of the switches.
    for (switch, on) in [
        ("dev/tty/legacy_tiocsti", "1"),
        ("kernel/unprivileged_bpf_disabled", "0"),
        ("kernel/perf_event_paranoid", "2"),
        ("kernel/unprivileged_userns_clone", "1"),
    ] {
        drop(fs::write(format!("/proc/sys/{switch}"), on));
    }
    Ok(())
}

/// Moves everything from the initial file system, which pivot_root(2) refuses, to a tmpfs.
fn new_root() -> Result<()> {
    let new = "/new-root";
    mount("tmpfs", new, "tmpfs", MountFlags::empty(), c"mode=755")?;
    for entry in fs::read_dir("/")?.flatten() {
        let (from, to) = (entry.path(), Path::new(new).join(entry.file_name()));
        if entry.file_name() != "new-root" {
            carry(&from, &to)?;
        }
    }
    std::env::set_current_dir(new)?;
    mount_move(".", "/")?;
    rustix::process::chroot(".")?;
    Ok(std::env::set_current_dir("/")?)
}

fn carry(from: &Path, to: &Path) -> Result<()> {
    let kind = fs::symlink_metadata(from)?;
    if kind.is_dir() {
        fs::create_dir(to)?;
        fs::set_permissions(to, fs::Permissions::from_mode(0o755))?;
        for entry in fs::read_dir(from)?.flatten() {
            carry(&entry.path(), &to.join(entry.file_name()))?;
        }
    } else if kind.is_file() {
        // One after the other, so that memory holds no file twice.
        fs::copy(from, to)?;
        fs::remove_file(from)?;
    }
    Ok(())
}

/// Runs the demo.
fn demo(arguments: &[String]) -> Result<()> {
    let emulated = fs::read_to_string("/proc/cmdline")?.contains("atf.accelerator=tcg");
    let mut demo = Command::new("/init");
    demo.args(arguments);
    demo.args(["--atf", "/bin/atf", "--hijacked", "/bin/hijacked"]);
    demo.args(["--policies", "/etc/atf/policies", "--posture", "FULL", "--result", RESULT]);
    if emulated {
        demo.arg("--untimed");
    }
    // What it shows, good or bad, is in its result.
    finish(demo).map(drop)
}

/// Runs the kernel tests; the complaint when they fail. This kernel is known to hold everything, so
/// one that holds less must not pass.
fn kernel_tests() -> Result<Option<&'static str>> {
    if !Path::new(KERNEL_TESTS).exists() {
        return Ok(None);
    }
    eprintln!("demo: the kernel tests");
    // Their controls connect over the VM's own loopback, IPv6 too.
    crate::lab::link::up("lo").context("cannot set the loopback up")?;
    let mut tests = Command::new(KERNEL_TESTS);
    tests.env("ATF_EXPECT_POSTURE", "FULL").env("RUST_TEST_THREADS", "2");
    let passed = finish(tests)?;
    Ok((!passed).then_some("the kernel tests failed in the VM; its console has their words"))
}

/// Starts a command and waits for it, reaping whatever else ends meanwhile; whether it succeeded.
fn finish(mut command: Command) -> Result<bool> {
    let child = command.spawn().context("cannot start a program of the VM")?;
    loop {
        match wait_for_any(WaitOptions::empty())? {
            Some((process, status))
                if process.as_raw_nonzero().get() == child.id().cast_signed() =>
            {
                return Ok(status.exit_status() == Some(0));
            }
            _ => {}
        }
    }
}

fn hand_out(complaint: Option<&str>) -> Result<()> {
    let result = fs::read_to_string(RESULT).context("the demo left no result")?;
    let mut result: serde_json::Value = serde_json::from_str(&result)?;
    if let (Some(complaint), Some(all)) = (complaint, result["complaints"].as_array_mut()) {
        all.push(complaint.into());
    }
    let mut line = fs::File::options().write(true).open(RESULT_LINE)?;
    write!(line, "ATF-RESULT-BEGIN\n{result}\nATF-RESULT-END\n")?;
    // What the line has not sent yet would be lost with the VM.
    rustix::termios::tcdrain(&line)?;
    Ok(())
}
