//! The witness: sees from outside what an attacker's process holds. For attempts that send nothing.

use std::fs;
use std::os::fd::AsFd as _;
use std::path::Path;

use rustix::net::sockopt;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use crate::attempts::{KEYS, MOUNT, Sight};

/// When `process` began, in ticks of the boot clock (field 22 of proc_pid_stat(5)). Numbers of processes come
/// around again, and say nothing of who was first.
pub(super) fn started(process: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name in front may have anything in it, but for what follows the last parenthesis.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19)?.parse().ok()
}

/// Whether any process of the program `attacker` that began at tick `since` or later shows `sight`.
pub(super) fn sees(attacker: &Path, since: u64, sight: Sight) -> bool {
    let listed = fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes = listed.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let ours = |process: &u32| {
        let line = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).next() == Some(attacker.as_os_str().as_encoded_bytes())
    };
    let later = |process: &u32| started(*process).is_some_and(|tick| tick >= since);
    processes.filter(later).filter(ours).any(|process| shows(process, sight))
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

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    /// The attempt that came before, and is still there: numbers of processes had come around in between.
    #[test]
    fn who_began_before_an_attempt_is_none_of_its_processes() {
        let program = Path::new("/bin/sleep");
        let mut child = Command::new(program).arg("60").stdin(Stdio::null()).spawn().unwrap();
        let began = started(child.id()).unwrap();
        // Until it is the program that it was made for.
        let is_there = || sees(program, began, Sight::Handle("/dev/null"));
        let is_seen = (0..1_000).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(5));
            is_there()
        });
        let is_seen_later = sees(program, began + 1, Sight::Handle("/dev/null"));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(is_seen, "the control");
        assert!(!is_seen_later);
    }
}
