//! Messages of rtnetlink(7), as bytes: the VM has no `ip`.

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

/// Flags of every request: it is one, it wants an answer, it may make something new.
const REQUEST: u16 = 0x001 | 0x004 | 0x400;

/// The kind of the answer.
const ERROR: u16 = 2;

/// A request being written.
pub(super) struct Message {
    bytes: Vec<u8>,
}

impl Message {
    /// A request of this kind, with its fixed part.
    pub(super) fn new(kind: u16, fixed: &[u8]) -> Self {
        let mut bytes = vec![0; 4];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(REQUEST.to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend(fixed);
        Self { bytes }
    }

    /// Adds an attribute.
    pub(super) fn attribute(self, kind: u16, value: &[u8]) -> Self {
        self.nest(kind, |message| Self { bytes: [&message.bytes, value].concat() })
    }

    /// Adds an attribute whose value is what `inner` adds.
    pub(super) fn nest(mut self, kind: u16, inner: impl FnOnce(Self) -> Self) -> Self {
        let start = self.bytes.len();
        self.bytes.extend([0, 0]);
        self.bytes.extend(kind.to_ne_bytes());
        let mut whole = inner(self);
        let length = (whole.bytes.len() - start) as u16;
        whole.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        whole.bytes.resize(whole.bytes.len().next_multiple_of(4), 0);
        whole
    }

    /// Adds bytes as they are: the fixed part of something nested.
    pub(super) fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend(bytes);
        self
    }

    /// Sends the request in the calling thread's namespace and waits for the answer.
    pub(super) fn send(mut self) -> io::Result<()> {
        let length = self.bytes.len() as u32;
        self.bytes[..4].copy_from_slice(&length.to_ne_bytes());
        let socket = socket()?;
        let kernel = SocketAddrNetlink::new(0, 0);
        rustix::net::sendto(&socket, &self.bytes, SendFlags::empty(), &kernel)?;
        let mut answer = [0; 4_096];
        let (length, _) = rustix::net::recv(&socket, &mut answer, RecvFlags::empty())?;
        match (length, u16::from_ne_bytes([answer[4], answer[5]])) {
            (20.., ERROR) => {}
            _ => return Err(io::Error::other("rtnetlink gave no answer")),
        }
        match i32::from_ne_bytes([answer[16], answer[17], answer[18], answer[19]]) {
            0 => Ok(()),
            error => Err(io::Error::from_raw_os_error(-error)),
        }
    }
}

fn socket() -> rustix::io::Result<OwnedFd> {
    // Protocol 0 is NETLINK_ROUTE.
    let (family, kind) = (AddressFamily::NETLINK, SocketType::RAW);
    rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, None)
}
