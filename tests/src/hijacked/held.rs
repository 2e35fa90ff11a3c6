//! Things that are enough to have: sockets of odd families, handles of the kernel's, namespaces of
//! one's own. A witness outside looks while they are held.

use std::thread;
use std::time::Duration;

use rustix::io::{self, Errno};
use rustix::net::{AddressFamily, Protocol, RawProtocol, SocketFlags, SocketType, socket_with};

use super::trial::Trial;
use crate::attempts::{self, MOUNT, Sight};
use crate::sys::{child, doors};

/// How long it is held: long enough for a witness to come by, under emulation too.
const HELD: Duration = Duration::from_millis(1_500);

/// The attempts of this family.
pub(super) fn attempt(id: &str, trial: &mut Trial) -> Option<io::Result<()>> {
    let sight = attempts::find(id)?.sight?;
    let handle = match (sight, id) {
        (Sight::Socket(family, protocol), _) => socket(trial, family, protocol).map(Some),
        (_, "bpf_map") => trial.step(doors::bpf_map).map(Some),
        (_, "perf_event") => trial.step(doors::perf_event).map(Some),
        (_, "userfaultfd") => trial.step(doors::userfaultfd).map(Some),
        (_, "keyring") => trial.step(|| doors::add_keys(attempts::KEYS)).map(|()| None),
        (_, "user_namespace") => trial.step(doors::user_namespace).map(|()| None),
        (_, "user_namespace_clone") => {
            return Some(trial.step(|| child::cloned(libc::CLONE_NEWUSER, hold)));
        }
        (_, "user_namespace_clone3") => {
            return Some(trial.step(|| child::cloned3(libc::CLONE_NEWUSER, hold)));
        }
        (_, "mount") => trial.step(|| doors::mount_of_our_own(MOUNT)).map(|()| None),
        _ => return None,
    };
    Some(handle.map(|_held| hold()))
}

fn hold() {
    thread::sleep(HELD);
}

/// A socket of the family, of whichever type it has.
fn socket(trial: &mut Trial, family: i32, protocol: i32) -> io::Result<std::os::fd::OwnedFd> {
    let family = AddressFamily::from_raw(family as u16);
    let protocol = RawProtocol::new(protocol.cast_unsigned()).map(Protocol::from_raw);
    let kinds = [SocketType::SEQPACKET, SocketType::DGRAM, SocketType::RAW, SocketType::STREAM];
    let mut outcome = Err(Errno::AFNOSUPPORT);
    for kind in kinds {
        outcome = trial.step(|| socket_with(family, kind, SocketFlags::CLOEXEC, protocol));
        // Only the type was wrong.
        let other = [Errno::SOCKTNOSUPPORT, Errno::PROTONOSUPPORT, Errno::PROTOTYPE];
        if !outcome.as_ref().is_err_and(|error| other.contains(error)) {
            break;
        }
    }
    outcome
}
