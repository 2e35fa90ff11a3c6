//! A parent that passes a connected socket to its child, over the unix socket that is the child's
//! standard input.

use std::io::IoSlice;
use std::net::TcpStream;
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::Stdio;

use anyhow::Result;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    sendmsg, socketpair,
};

use crate::lab::World;

/// What is on its way.
pub(super) struct Passed {
    childs_end: OwnedFd,
    _parents_end: OwnedFd,
    _connection: TcpStream,
}

impl Passed {
    /// Connects to the world and puts the connection on its way.
    pub(super) fn new(world: &World) -> Result<Self> {
        let connection = world.inheritable()?;
        let (family, kind) = (AddressFamily::UNIX, SocketType::STREAM);
        let (parents_end, childs_end) = socketpair(family, kind, SocketFlags::CLOEXEC, None)?;
        let mut room = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut rights = SendAncillaryBuffer::new(&mut room);
        let descriptors = [connection.as_fd()];
        rights.push(SendAncillaryMessage::ScmRights(&descriptors));
        let flags = SendFlags::empty();
        sendmsg(&parents_end, &[IoSlice::new(b"x")], &mut rights, flags)?;
        Ok(Self { childs_end, _parents_end: parents_end, _connection: connection })
    }

    /// The child's standard input.
    pub(super) fn stdin(&self) -> Result<Stdio> {
        Ok(self.childs_end.try_clone()?.into())
    }
}
