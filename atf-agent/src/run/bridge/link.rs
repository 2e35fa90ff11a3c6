//! One connection through the bridge: two sockets and, for each direction, the bytes that have been read and
//! not yet written. A side that has ended is told to the other one when all before it has been written.

use std::io;
use std::net::TcpStream;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketAddrUnix, SocketFlags, SocketType,
    connect, recv, send, shutdown, socket_with,
};

/// Bytes of one direction that are held: of a link twice, so of a run's bridge at most two megabytes.
const HELD_BYTES_MAX: usize = 16 << 10;

/// Both sides.
pub(super) const SIDES: [Side; 2] = [Side::Client, Side::Gateway];

/// A side of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Who called.
    Client,
    /// The run's gateway.
    Gateway,
}

/// A connection.
pub(super) struct Link {
    client: OwnedFd,
    gateway: OwnedFd,
    to_gateway: Direction,
    to_client: Direction,
    is_broken: bool,
}

impl Link {
    /// Connects a client to the gateway.
    pub(super) fn new(client: TcpStream, gateway: &Path) -> io::Result<Self> {
        client.set_nonblocking(true)?;
        client.set_nodelay(true)?;
        // A gateway whose backlog is full must not hold up the other links.
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        connect(&socket, &SocketAddrUnix::new(gateway)?)?;
        Ok(Self {
            client: client.into(),
            gateway: socket,
            to_gateway: Direction::default(),
            to_client: Direction::default(),
            is_broken: false,
        })
    }

    /// The socket of a side.
    pub(super) fn side(&self, side: Side) -> BorrowedFd<'_> {
        match side {
            Side::Client => self.client.as_fd(),
            Side::Gateway => self.gateway.as_fd(),
        }
    }

    /// What of a side is waited for.
    pub(super) fn wants(&self, side: Side) -> PollFlags {
        let (from, to) = match side {
            Side::Client => (&self.to_gateway, &self.to_client),
            Side::Gateway => (&self.to_client, &self.to_gateway),
        };
        let mut wanted = PollFlags::empty();
        wanted.set(PollFlags::IN, from.can_read());
        wanted.set(PollFlags::OUT, to.has_held());
        wanted
    }

    /// Moves what can be moved without waiting.
    pub(super) fn move_on(&mut self) {
        let there = self.to_gateway.move_on(&self.client, &self.gateway);
        let back = self.to_client.move_on(&self.gateway, &self.client);
        self.is_broken = there.is_err() || back.is_err();
    }

    /// Whether nothing will move any more.
    pub(super) fn is_over(&self) -> bool {
        self.is_broken || (self.to_gateway.is_closed && self.to_client.is_closed)
    }
}

/// The bytes from one side to the other.
#[derive(Default)]
struct Direction {
    held: Vec<u8>,
    /// How many of `held` have been written.
    written: usize,
    /// The side that is read has ended.
    has_ended: bool,
    /// And the side that is written has been told so.
    is_closed: bool,
}

impl Direction {
    fn has_held(&self) -> bool {
        self.written < self.held.len()
    }

    fn can_read(&self) -> bool {
        !self.has_held() && !self.has_ended
    }

    /// Writes what is held, reads once when nothing is, and writes that.
    fn move_on(&mut self, from: &OwnedFd, to: &OwnedFd) -> Result<(), Errno> {
        self.write(to)?;
        if self.can_read() {
            self.read(from)?;
            self.write(to)?;
        }
        if self.has_ended && !self.has_held() && !self.is_closed {
            self.is_closed = true;
            shutdown(to, Shutdown::Write)?;
        }
        Ok(())
    }

    fn read(&mut self, from: &OwnedFd) -> Result<(), Errno> {
        self.held.resize(HELD_BYTES_MAX, 0);
        let read =
            later(recv(from, &mut self.held[..], RecvFlags::empty()).map(|(count, _)| count));
        self.held.truncate(*read.as_ref().ok().and_then(Option::as_ref).unwrap_or(&0));
        self.written = 0;
        self.has_ended = read? == Some(0);
        Ok(())
    }

    fn write(&mut self, to: &OwnedFd) -> Result<(), Errno> {
        while self.has_held() {
            let rest = &self.held[self.written..];
            match later(send(to, rest, SendFlags::NOSIGNAL))? {
                Some(count) => self.written += count,
                None => break,
            }
        }
        Ok(())
    }
}

/// `None` when it would have to wait, or be asked again.
fn later(done: Result<usize, Errno>) -> Result<Option<usize>, Errno> {
    match done {
        Ok(count) => Ok(Some(count)),
        Err(Errno::AGAIN | Errno::INTR) => Ok(None),
        Err(error) => Err(error),
    }
}
