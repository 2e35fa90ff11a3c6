//! The listener of a run's system call filter, on its way from the run's first process to the keeper.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// The word that comes with a listener; any other message says why there is none.
const LISTENER: &[u8] = b"listener";

/// Longest reason that is read.
const WHY_BYTES_MAX: usize = 256;

/// Sends `listener` to the keeper.
pub(super) fn hand_over(keeper: &impl AsFd, listener: &OwnedFd) -> io::Result<()> {
    let (fds, mut space) = ([listener.as_fd()], [MaybeUninit::uninit(); SPACE]);
    let mut with = SendAncillaryBuffer::new(&mut space);
    if !with.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Err(io::Error::other("no room for a descriptor"));
    }
    sendmsg(keeper, &[IoSlice::new(LISTENER)], &mut with, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Tells the keeper that there is no listener, and why.
pub(super) fn say_none(keeper: &impl AsFd, why: &io::Error) -> io::Result<()> {
    let text = why.to_string();
    let mut with = SendAncillaryBuffer::default();
    sendmsg(keeper, &[IoSlice::new(text.as_bytes())], &mut with, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// What the first process has sent before it started the command: the listener, or why there is none.
pub(super) fn take_over(inside: &impl AsFd) -> io::Result<Result<OwnedFd, String>> {
    let (mut text, mut space) = ([0; WHY_BYTES_MAX], [MaybeUninit::uninit(); SPACE]);
    let mut with = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let count = recvmsg(inside, &mut [IoSliceMut::new(&mut text)], &mut with, flags)?.bytes;
    let mut listeners = with.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => Some(fds),
        _ => None,
    });
    let listener = listeners.next().and_then(|mut fds| fds.next());
    match (&text[..count], listener) {
        (LISTENER, Some(listener)) => Ok(Ok(listener)),
        (LISTENER | [], _) => Err(io::Error::other("the run's first process said nothing of it")),
        (why, _) => Ok(Err(String::from_utf8_lossy(why).into_owned())),
    }
}

/// Room for one descriptor.
const SPACE: usize = rustix::cmsg_space!(ScmRights(1));
