//! What the attempts of the self-test go to, in a network that has nothing else, and what arrived.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram, UnixListener};

/// Names in the abstract namespace, which belongs to the network.
const STREAM: &[u8] = b"\0atf-selftest-stream";
const DATAGRAM: &[u8] = b"\0atf-selftest-datagram";

/// The listening sockets.
pub(super) struct Targets {
    tcp4: TcpListener,
    tcp6: Option<TcpListener>,
    udp4: UdpSocket,
    udp6: Option<UdpSocket>,
    stream: UnixListener,
    datagram: UnixDatagram,
}

impl Targets {
    /// Opens them in the calling thread's network. A kernel without IPv6 has fewer.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn open() -> io::Result<Self> {
        let unix = |name: &[u8]| UnixAddr::from_abstract_name(&name[1..]);
        let targets = Self {
            tcp4: TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?,
            tcp6: TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).ok(),
            udp4: UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?,
            udp6: UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).ok(),
            stream: UnixListener::bind_addr(&unix(STREAM)?)?,
            datagram: UnixDatagram::bind_addr(&unix(DATAGRAM)?)?,
        };
        targets.tcp4.set_nonblocking(true)?;
        targets.udp4.set_nonblocking(true)?;
        targets.stream.set_nonblocking(true)?;
        targets.datagram.set_nonblocking(true)?;
        if let Some(tcp6) = &targets.tcp6 {
            tcp6.set_nonblocking(true)?;
        }
        if let Some(udp6) = &targets.udp6 {
            udp6.set_nonblocking(true)?;
        }
        Ok(targets)
    }

    pub(super) fn tcp4(&self) -> io::Result<SocketAddr> {
        self.tcp4.local_addr()
    }

    /// Of IPv6, or an address where nobody listens: there is nothing to reach then.
    pub(super) fn tcp6(&self) -> io::Result<SocketAddr> {
        let nobody = Ok(SocketAddr::from((Ipv6Addr::LOCALHOST, 1)));
        self.tcp6.as_ref().map_or(nobody, TcpListener::local_addr)
    }

    pub(super) fn udp4(&self) -> io::Result<SocketAddr> {
        self.udp4.local_addr()
    }

    /// See [`Targets::tcp6`].
    pub(super) fn udp6(&self) -> io::Result<SocketAddr> {
        let nobody = Ok(SocketAddr::from((Ipv6Addr::LOCALHOST, 1)));
        self.udp6.as_ref().map_or(nobody, UdpSocket::local_addr)
    }

    pub(super) fn stream(&self) -> &'static [u8] {
        STREAM
    }

    pub(super) fn datagram(&self) -> &'static [u8] {
        DATAGRAM
    }

    /// Takes everything that has arrived, and counts it: connections and datagrams, of INET and of unix
    /// sockets.
    ///
    /// # Errors
    /// When a socket cannot be asked.
    pub(super) fn take(&self) -> io::Result<(u64, u64)> {
        let mut byte = [0; 8];
        let mut count = all(|| self.tcp4.accept().map(drop))?;
        count += all(|| self.udp4.recv(&mut byte).map(drop))?;
        let mut unix = all(|| self.stream.accept().map(drop))?;
        unix += all(|| self.datagram.recv(&mut byte).map(drop))?;
        if let Some(tcp6) = &self.tcp6 {
            count += all(|| tcp6.accept().map(drop))?;
        }
        if let Some(udp6) = &self.udp6 {
            count += all(|| udp6.recv(&mut byte).map(drop))?;
        }
        Ok((count, unix))
    }
}

/// How often `next` gives something before there is nothing more.
fn all(mut next: impl FnMut() -> io::Result<()>) -> io::Result<u64> {
    let mut count = 0;
    loop {
        match next() {
            Ok(()) => count += 1,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(count),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
