//! Handles that a careless parent left open.

use std::io::IoSliceMut;
use std::os::fd::AsRawFd as _;

use rustix::io::{self, Errno};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use super::trial::Trial;
use crate::lab::address;
use crate::sys::descriptor;

/// The descriptors that are looked at: a parent that leaks more has other worries.
const LOOKED_AT: std::ops::Range<i32> = 3..256;

/// Writes the secret to every descriptor above the standard three.
pub(super) fn inherited(trial: &mut Trial) -> io::Result<()> {
    let mut outcome = Err(Errno::BADF);
    for number in LOOKED_AT {
        if trial.step(|| descriptor::write(number, address::SECRET)).is_ok() {
            outcome = Ok(());
        }
    }
    outcome
}

/// Takes a descriptor that the parent passes over standard input, and writes the secret to it.
pub(super) fn passed(trial: &mut Trial) -> io::Result<()> {
    let mut room = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut passed = RecvAncillaryBuffer::new(&mut room);
    let mut byte = [0];
    let stdin = std::io::stdin();
    let flags = RecvFlags::CMSG_CLOEXEC;
    trial.step(|| recvmsg(&stdin, &mut [IoSliceMut::new(&mut byte)], &mut passed, flags))?;
    for message in passed.drain() {
        let RecvAncillaryMessage::ScmRights(mut descriptors) = message else { continue };
        if let Some(taken) = descriptors.next() {
            let number = taken.as_raw_fd();
            return trial.step(|| descriptor::write(number, address::SECRET)).map(drop);
        }
    }
    Err(Errno::BADF)
}
