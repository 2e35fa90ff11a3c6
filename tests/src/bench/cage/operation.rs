//! The operations that are timed. Everything that is not the one system call is done before or after
//! the clock runs, in the same process: no other process has to wake up for it.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::time::Duration;

use anyhow::{Result, bail};
use rustix::io::Result as KernelResult;
use rustix::net::sockopt::set_socket_linger;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrAny, SocketAddrUnix, SocketFlags, SocketType,
    accept, bind, connect, getsockname, listen, recv, sendto, socket_with,
};
use serde::{Deserialize, Serialize};

/// Where somebody listens who is no loopback: an address of the bench's own network.
pub(super) const ELSEWHERE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 77, 0, 1), 7_700);

/// One system call, or two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Operation {
    /// `socket` of AF_UNIX, stream.
    UnixSocket,
    /// `connect` of a unix stream socket to a listener of the same process.
    UnixConnect,
    /// `sendto` of a byte from a unix datagram socket.
    UnixSend,
    /// `socket` of AF_INET, stream.
    TcpSocket,
    /// The same, and its `close`: all that the kernel does for a socket that is refused once it is made.
    TcpSocketClosed,
    /// `connect` of a TCP socket over loopback.
    TcpConnect,
    /// `connect` of a TCP socket to [`ELSEWHERE`].
    TcpConnectElsewhere,
    /// `sendto` of a byte from a UDP socket over loopback.
    UdpSend,
}

impl Operation {
    /// Its name in a table.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::UnixSocket => "unix socket()",
            Self::UnixConnect => "unix connect()",
            Self::UnixSend => "unix sendto()",
            Self::TcpSocket => "TCP socket()",
            Self::TcpSocketClosed => "TCP socket() and close()",
            Self::TcpConnect => "TCP connect()",
            Self::TcpConnectElsewhere => "TCP connect() elsewhere",
            Self::UdpSend => "UDP sendto()",
        }
    }
}

/// What an operation needs on its other side.
pub(super) struct Stage {
    operation: Operation,
    /// The other side.
    peer: Option<OwnedFd>,
    /// Where it is.
    to: Option<SocketAddrAny>,
}

/// One operation, ready to go.
pub(super) struct Act<'a> {
    stage: &'a Stage,
    /// The socket that acts, or the one that was made.
    socket: Option<OwnedFd>,
}

impl Stage {
    /// Makes the other side.
    pub(super) fn set(operation: Operation) -> Result<Self> {
        let (family, kind) = kind(operation);
        let (peer, to) = match operation {
            Operation::UnixSocket | Operation::TcpSocket | Operation::TcpSocketClosed => {
                (None, None)
            }
            Operation::TcpConnectElsewhere => (None, Some(ELSEWHERE.into())),
            Operation::UnixConnect
            | Operation::UnixSend
            | Operation::TcpConnect
            | Operation::UdpSend => {
                let peer = make(family, kind)?;
                if family == AddressFamily::UNIX {
                    let name = format!("atf-bench-{}", std::process::id());
                    bind(&peer, &SocketAddrUnix::new_abstract_name(name.as_bytes())?)?;
                } else {
                    bind(&peer, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
                }
                if kind == SocketType::STREAM {
                    listen(&peer, 16)?;
                }
                let address = getsockname(&peer)?;
                (Some(peer), Some(address))
            }
        };
        Ok(Self { operation, peer, to })
    }

    /// Readies one operation.
    pub(super) fn ready(&self) -> Result<Act<'_>> {
        let (family, kind) = kind(self.operation);
        let socket = self.to.is_some().then(|| make(family, kind)).transpose()?;
        if let (AddressFamily::INET, SocketType::STREAM, Some(socket)) = (family, kind, &socket) {
            // Closed by a reset, a connection leaves no port behind that would have to wait.
            set_socket_linger(socket, Some(Duration::ZERO))?;
        }
        Ok(Act { stage: self, socket })
    }
}

impl Act<'_> {
    /// The system call.
    pub(super) fn go(&mut self) -> KernelResult<()> {
        let (family, kind) = kind(self.stage.operation);
        let (Some(socket), Some(address)) = (&self.socket, &self.stage.to) else {
            let made = make(family, kind)?;
            self.socket = (self.stage.operation != Operation::TcpSocketClosed).then_some(made);
            return Ok(());
        };
        if kind == SocketType::STREAM {
            return connect(socket, address);
        }
        sendto(socket, b"x", SendFlags::empty(), address).map(drop)
    }

    /// Takes a datagram away, so that the same socket can send the next one: a loop that makes sockets waits
    /// for those that the kernel destroys behind it.
    ///
    /// # Errors
    /// For what sends no datagrams.
    pub(super) fn again(&self) -> Result<()> {
        match (&self.stage.peer, kind(self.stage.operation).1) {
            (Some(peer), SocketType::DGRAM) => {
                recv(peer, &mut [0; 8], RecvFlags::empty())?;
                Ok(())
            }
            _ => bail!("{} is done once with a socket", self.stage.operation.name()),
        }
    }

    /// Takes away what it left.
    pub(super) fn clear(self, succeeded: bool) -> Result<()> {
        if let (Some(peer), true) = (&self.stage.peer, succeeded) {
            if kind(self.stage.operation).1 == SocketType::STREAM {
                drop(accept(peer)?);
            } else {
                recv(peer, &mut [0; 8], RecvFlags::empty())?;
            }
        }
        Ok(())
    }
}

fn kind(operation: Operation) -> (AddressFamily, SocketType) {
    match operation {
        Operation::UnixSocket | Operation::UnixConnect => (AddressFamily::UNIX, SocketType::STREAM),
        Operation::UnixSend => (AddressFamily::UNIX, SocketType::DGRAM),
        Operation::TcpSocket
        | Operation::TcpSocketClosed
        | Operation::TcpConnect
        | Operation::TcpConnectElsewhere => (AddressFamily::INET, SocketType::STREAM),
        Operation::UdpSend => (AddressFamily::INET, SocketType::DGRAM),
    }
}

fn make(family: AddressFamily, kind: SocketType) -> KernelResult<OwnedFd> {
    socket_with(family, kind, SocketFlags::CLOEXEC, None)
}
