//! Other processes: their memory, their descriptors, their environment, their namespaces.

use std::fs;
use std::net::SocketAddrV4;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::FileExt as _;

use rustix::fs::{Mode, OFlags};
use rustix::io::{self, Errno};
use rustix::process::{
    Pid, PidfdFlags, PidfdGetfdFlags, Signal, kill_process, pidfd_getfd, pidfd_open,
};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::trial::Trial;
use super::{Around, stream};
use crate::lab::address;
use crate::sys::{descriptor, memory};

/// The descriptors of the victim that are looked at.
const LOOKED_AT: std::ops::Range<i32> = 3..32;

/// The attempts of this family. What it learns goes into `learned`.
pub(super) fn attempt(
    id: &str,
    trial: &mut Trial,
    around: &Around,
    learned: &mut Option<String>,
) -> Option<io::Result<()>> {
    let known = ["signal", "proc_environ", "proc_memory", "ptrace", "process_vm_writev"];
    if !known.contains(&id) && !["process_vm_readv", "pidfd_getfd", "setns"].contains(&id) {
        return None;
    }
    let Some(pid) = Pid::from_raw(around.victim) else { return Some(Err(Errno::SRCH)) };
    let (number, place, secret) = (around.victim, around.victim_memory, address::SECRET);
    Some(match id {
        "signal" => trial.step(|| kill_process(pid, Signal::USR1)),
        "proc_environ" => environ(trial, number, learned),
        "proc_memory" => proc_memory(trial, number, place),
        "ptrace" => trial.step(|| memory::poke_traced(number, place, secret)),
        "process_vm_writev" => trial.step(|| memory::write(number, place, secret)),
        "process_vm_readv" => {
            let read = trial.step(|| memory::read(number, place, address::NONCE_BYTES));
            read.map(|bytes| *learned = String::from_utf8(bytes).ok())
        }
        "pidfd_getfd" => take_socket(trial, pid),
        _ => enter_namespace(trial, number),
    })
}

fn environ(trial: &mut Trial, victim: i32, learned: &mut Option<String>) -> io::Result<()> {
    let text = trial.step(|| {
        fs::read(format!("/proc/{victim}/environ"))
            .map_err(|error| error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error))
    })?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let start = format!("{}=", address::NONCE);
    *learned = text.split('\0').find_map(|line| line.strip_prefix(&start)).map(str::to_owned);
    learned.as_ref().map(drop).ok_or(Errno::NOENT)
}

fn proc_memory(trial: &mut Trial, victim: i32, place: u64) -> io::Result<()> {
    let name = format!("/proc/{victim}/mem");
    let file = trial.step(|| rustix::fs::open(name, OFlags::RDWR, Mode::empty()))?;
    trial.step(|| {
        fs::File::from(file)
            .write_all_at(address::SECRET, place)
            .map_err(|error| error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error))
    })
}

/// Takes every descriptor of the victim's that can be had, and writes the secret to it.
fn take_socket(trial: &mut Trial, victim: Pid) -> io::Result<()> {
    let process = trial.step(|| pidfd_open(victim, PidfdFlags::empty()))?;
    let mut outcome = Err(Errno::BADF);
    for number in LOOKED_AT {
        match trial.step(|| pidfd_getfd(process.as_fd(), number, PidfdGetfdFlags::empty())) {
            // Which of them is the connection is not known, so each is written to.
            Ok(taken) => {
                if trial.step(|| descriptor::write(taken.as_raw_fd(), address::SECRET)).is_ok() {
                    outcome = Ok(());
                }
            }
            Err(error) if error != Errno::BADF && outcome.is_err() => outcome = Err(error),
            Err(_) => {}
        }
    }
    outcome
}

/// Connects from the victim's network namespace to a service that listens only there.
fn enter_namespace(trial: &mut Trial, victim: i32) -> io::Result<()> {
    let name = format!("/proc/{victim}/ns/net");
    let namespace = trial.step(|| rustix::fs::open(name, OFlags::RDONLY, Mode::empty()))?;
    let kind = Some(LinkNameSpaceType::Network);
    trial.step(|| move_into_link_name_space(namespace.as_fd(), kind))?;
    let to: SocketAddrV4 = address::WORLD_LOOPBACK;
    stream::tcp(trial, to.into())
}
