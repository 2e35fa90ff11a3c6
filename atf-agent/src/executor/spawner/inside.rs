//! A server's first process, from its first instruction to the command: in namespaces of its own, with
//! three pipes and no other descriptor, as its own user and nothing more.

use std::convert::Infallible;
use std::ffi::CStr;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::process::{
    DumpableBehavior, Gid, Pid, Resource, Rlimit, Signal, Uid, WaitOptions, setrlimit, wait,
};
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::ChildOrders;
use crate::sys::clone::{exit_now, fork};
use crate::sys::{descriptors, privileges, signals};

/// Where the host's services have their sockets.
const SERVICES: &str = "/run";

/// Where programs are looked up.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The host name that a server sees.
const HOST_NAME: &[u8] = b"server";

/// What the first process exits with when the command could not be started; sysexits.h EX_OSERR.
const EXIT_STOPPED: i32 = 71;

/// A shell's status for a command that a signal ended: this and the signal's number.
const SIGNALLED: i32 = 128;

/// Open descriptors of one process of a server.
const FILES_MAX: u64 = 1_024;

/// Bytes of a core dump. Not zero: zero stops files alone, one stops pipes too.
const CORE_BYTES: u64 = 1;

/// Where the pipes are moved first, so that moving one to its number cannot close another.
const RAISED_FROM: i32 = 64;

/// Becomes the server. Returns only when a step failed; its log has the reason then.
pub(super) fn enter(orders: &ChildOrders, hidden: &[PathBuf], pipes: [OwnedFd; 3]) -> i32 {
    let become_server = || -> io::Result<Infallible> {
        outputs(pipes)?;
        signals::unblock_all()?;
        signals::default_all()?;
        view(orders, hidden).map_err(doing("making its view"))?;
        rustix::system::sethostname(HOST_NAME)?;
        rustix::process::setsid()?;
        rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
        give_up(orders).map_err(doing("giving up root"))?;
        let command = fork(|| {
            let Err(error) = execute(orders);
            complain(&format!("cannot start {}: {error}", orders.program.display()));
            EXIT_STOPPED
        })?;
        end_with(command)
    };
    let Err(error) = become_server();
    complain(&error.to_string());
    EXIT_STOPPED
}

/// Its standard error is a line of the operator's log by now.
fn complain(what: &str) {
    let _nobody_reads = writeln!(io::stderr(), "{what}");
}

fn doing(what: &'static str) -> impl Fn(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{what}: {error}"))
}

/// Leaves the three pipes, and nothing else.
fn outputs(pipes: [OwnedFd; 3]) -> io::Result<()> {
    let raised = pipes.map(|pipe| rustix::io::fcntl_dupfd_cloexec(pipe, RAISED_FROM));
    for (number, pipe) in (0..).zip(raised) {
        // Kept: the next call closes it, and a second closing would be of somebody else's number.
        let pipe = std::mem::ManuallyDrop::new(pipe?);
        descriptors::become_number(pipe.as_fd(), number)?;
    }
    descriptors::close_from(3)
}

/// Own processes, a scratch of its own, and nothing of the places where sockets are.
fn view(orders: &ChildOrders, hidden: &[PathBuf]) -> io::Result<()> {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    let nothing = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", "/proc", "proc", nothing, c"hidepid=invisible")?;
    if orders.private_tmp {
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        mount("tmpfs", "/tmp", "tmpfs", flags, c"size=64m,mode=1777")?;
    }
    for path in std::iter::once(Path::new(SERVICES)).chain(hidden.iter().map(PathBuf::as_path)) {
        // One that is below another has gone with it.
        if path.try_exists()? {
            let options: &CStr = c"size=4k,mode=0555";
            mount("tmpfs", path, "tmpfs", nothing | MountFlags::RDONLY, options)?;
        }
    }
    Ok(())
}

/// Becomes the server's user, for good.
fn give_up(orders: &ChildOrders) -> io::Result<()> {
    for (resource, most) in [
        (Resource::Nproc, orders.processes_max.into()),
        (Resource::Nofile, FILES_MAX),
        (Resource::Core, CORE_BYTES),
        (Resource::Rtprio, 0),
    ] {
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    privileges::empty_bounding_set()?;
    let (user, group) = (Uid::from_raw(orders.uid), Gid::from_raw(orders.uid));
    rustix::thread::set_thread_groups(&[])?;
    rustix::thread::set_thread_res_gid(group, group, group)?;
    rustix::thread::set_thread_res_uid(user, user, user)?;
    let none = CapabilitySet::empty();
    let nothing = CapabilitySets { effective: none, permitted: none, inheritable: none };
    rustix::thread::clear_ambient_capability_set()?;
    rustix::thread::set_capabilities(None, nothing)?;
    privileges::own_session_keyring()?;
    rustix::thread::set_no_new_privs(true)?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    // After the change of uid, which clears it: a server ends with its spawner.
    Ok(rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?)
}

/// The first process of the namespace: reaps orphans and ends with the command, and all the rest with
/// it, by the kernel.
fn end_with(command: Pid) -> io::Result<Infallible> {
    // The server's ends of the pipes are the command's alone, or their ends would not be seen.
    descriptors::close_from(0)?;
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == command => {
                let signalled = status.terminating_signal().map(|signal| SIGNALLED + signal);
                exit_now(signalled.or(status.exit_status()).unwrap_or(EXIT_STOPPED));
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => exit_now(EXIT_STOPPED),
        }
    }
}

fn execute(orders: &ChildOrders) -> io::Result<Infallible> {
    let home = if orders.private_tmp { "/tmp" } else { "/nonexistent" };
    Err(Command::new(&orders.program)
        .args(&orders.arguments)
        .env_clear()
        .envs([("PATH", PATH), ("HOME", home), ("LANG", "C.UTF-8")])
        .envs(orders.environment.iter().map(|(name, value)| (name, value)))
        .current_dir(&orders.directory)
        .exec())
}
