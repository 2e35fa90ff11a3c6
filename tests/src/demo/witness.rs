//! The witness: sees from outside what an attacker's process holds. For attempts that send nothing.

use std::fs;
use std::os::fd::AsFd as _;
use std::path::Path;

use rustix::net::sockopt;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use crate::attempts::{KEYS, MOUNT, Sight};

/// Whether any process of the program `attacker` that came after process `after` shows `sight`.
pub(super) fn sees(attacker: &Path, after: u32, sight: Sight) -> bool {
    let listed = fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes = listed.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let ours = |process: &u32| {
        let line = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).next() == Some(attacker.as_os_str().as_encoded_bytes())
    };
    processes.filter(|process| *process >= after).filter(ours).any(|process| shows(process, sight))
}

fn shows(process: u32, sight: Sight) -> bool {
    match sight {
        Sight::Socket(family, protocol) => holds_socket(process, family, protocol),
        Sight::Handle(name) => handles(process).any(|(_, target)| target == name),
        Sight::Namespace(kind) => lives_elsewhere(process, kind).unwrap_or(false),
        Sight::Mount => {
            let mounts = fs::read_to_string(format!("/proc/{process}/mountinfo"));
            mounts.is_ok_and(|mounts| mounts.contains(MOUNT))
        }
        Sight::Keys => keys(process).is_some_and(|keys| keys >= KEYS),
    }
}

/// Numbers and targets of a process's descriptors.
fn handles(process: u32) -> impl Iterator<Item = (i32, String)> {
    let listed = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
    listed.filter_map(|entry| {
        let target = fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned();
        Some((entry.file_name().to_str()?.parse().ok()?, target))
    })
}

fn holds_socket(process: u32, family: i32, protocol: i32) -> bool {
    let sockets = handles(process).filter(|(_, target)| target.starts_with("socket:"));
    let mut is_it = sockets.map(|(number, _)| -> rustix::io::Result<bool> {
        let pid = Pid::from_raw(process.cast_signed()).ok_or(rustix::io::Errno::SRCH)?;
        let held = pidfd_open(pid, PidfdFlags::empty())?;
        let socket = pidfd_getfd(held.as_fd(), number, PidfdGetfdFlags::empty())?;
        let found = sockopt::socket_protocol(&socket)?;
        let found = found.map_or(0, |protocol| protocol.as_raw().get());
        let same = i32::from(sockopt::socket_domain(&socket)?.as_raw()) == family;
        Ok(same && (protocol == 0 || found == protocol.cast_unsigned()))
    });
    is_it.any(|found| found == Ok(true))
}

/// Whether a process has another namespace of this kind than its parent.
fn lives_elsewhere(process: u32, kind: &str) -> Option<bool> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim();
    let namespace = |process: &str| fs::read_link(format!("/proc/{process}/ns/{kind}")).ok();
    Some(namespace(&process.to_string())? != namespace(parent)?)
}

/// How many keys the process's user has.
fn keys(process: u32) -> Option<usize> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let user = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    let user = user.split_whitespace().next()?;
    let all = fs::read_to_string("/proc/key-users").ok()?;
    let own = all.lines().find_map(|line| line.trim().strip_prefix(&format!("{user}:")))?;
    own.split_whitespace().nth(1)?.split('/').next()?.parse().ok()
}
