//! A process that enters a cgroup, tries a few operations there, tells the outcome and ends.

#![allow(unsafe_code, reason = "the room for system calls")]

use std::fs::File;
use std::io::{self, Read};
use std::net::{Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Most attempts of one canary: their outcomes must fit into a pipe without a reader.
pub const ATTEMPTS_MAX: usize = 64;

/// Seconds after which a canary that hangs is ended: a packet that is dropped is waited for for minutes.
const LIVES_S: u32 = 20;

/// Bytes of a name in a `sockaddr_un`, without the end of a path.
const UNIX_NAME_MAX: usize = 107;

/// One operation to try: make a socket, and perhaps use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    family: i32,
    kind: i32,
    protocol: i32,
    then: Then,
    /// A socket address, byte for byte as the kernel takes it.
    address: Vec<u8>,
    /// A routing header, the same; empty for none.
    route: Vec<u8>,
    /// Another mark than the socket has by itself.
    mark: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Nothing,
    Connect,
    Send,
    Bind,
    /// Reach a second socket of the same process.
    Meet,
    /// The same over TCP, and hear a byte in each direction.
    Talk,
}

impl Attempt {
    /// Make a socket: `AF_*`, `SOCK_*`, protocol.
    pub fn socket(family: i32, kind: i32, protocol: i32) -> Self {
        let (address, route) = (Vec::new(), Vec::new());
        Self { family, kind, protocol, then: Then::Nothing, address, route, mark: None }
    }

    /// Connect a socket of this `SOCK_*` kind.
    pub fn connect(kind: i32, to: SocketAddr) -> Self {
        Self::with_address(kind, Then::Connect, to)
    }

    /// Send one byte to an address, from a socket of this `SOCK_*` kind that is not connected.
    pub fn send(kind: i32, to: SocketAddr) -> Self {
        Self::with_address(kind, Then::Send, to)
    }

    /// Bind a TCP socket.
    pub fn bind(to: SocketAddr) -> Self {
        Self::with_address(libc::SOCK_STREAM, Then::Bind, to)
    }

    /// Connect a unix stream socket: to a path or, when the name begins with a zero byte, to an
    /// abstract name. A name that is longer than an address (107 bytes) is cut.
    pub fn connect_unix(name: &[u8]) -> Self {
        Self::unix(libc::SOCK_STREAM, Then::Connect, name)
    }

    /// Send one byte from a unix datagram socket; the name is as for [`Attempt::connect_unix`].
    pub fn send_unix(name: &[u8]) -> Self {
        Self::unix(libc::SOCK_DGRAM, Then::Send, name)
    }

    /// The same with another protocol than the socket's kind has by itself.
    #[must_use]
    pub fn with_protocol(self, protocol: i32) -> Self {
        Self { protocol, ..self }
    }

    /// The same over IPv6, where packets are led to `hop` first (a segment routing header, RFC 8754). Nobody
    /// answers there: it is given up after a second.
    #[must_use]
    pub fn led_by(self, hop: Ipv6Addr) -> Self {
        // Its length beyond the first eight bytes, its type, and how many segments are left of two.
        let route = [[0, 4, 4, 1, 1, 0, 0, 0].as_slice(), &[0; 16], &hop.octets()].concat();
        Self { route, ..self }
    }

    /// The same with another mark on the socket (`SO_MARK`), which takes a privilege.
    #[must_use]
    pub fn with_mark(self, mark: u32) -> Self {
        Self { mark: Some(mark), ..self }
    }

    /// Make two unix sockets of this `SOCK_*` kind, and reach the one from the other.
    pub fn meet_own(kind: i32) -> Self {
        Self { then: Then::Meet, ..Self::socket(libc::AF_UNIX, kind, 0) }
    }

    /// Listen at an address with TCP, connect to it, and send a byte there and back.
    pub fn talk(at: SocketAddr) -> Self {
        Self::with_address(libc::SOCK_STREAM, Then::Talk, at)
    }

    fn unix(kind: i32, then: Then, name: &[u8]) -> Self {
        let mut address = (libc::AF_UNIX as u16).to_ne_bytes().to_vec();
        address.extend(name.iter().take(UNIX_NAME_MAX));
        if name.first() != Some(&0) {
            address.push(0);
        }
        Self { then, address, ..Self::socket(libc::AF_UNIX, kind, 0) }
    }

    fn with_address(kind: i32, then: Then, to: SocketAddr) -> Self {
        let family = if to.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
        let mut address = (family as u16).to_ne_bytes().to_vec();
        address.extend(to.port().to_be_bytes());
        match to {
            SocketAddr::V4(to) => {
                address.extend(to.ip().octets());
                address.extend([0; 8]);
            }
            SocketAddr::V6(to) => {
                address.extend(to.flowinfo().to_be_bytes());
                address.extend(to.ip().octets());
                address.extend(to.scope_id().to_ne_bytes());
            }
        }
        Self { then, address, ..Self::socket(family, kind, 0) }
    }
}

/// Forks a process into the cgroup whose `cgroup.procs` is given and makes it try `attempts`, in
/// order. Gives the error number of each, 0 for success.
///
/// # Errors
/// When there is no process, or it cannot enter the cgroup.
pub fn try_in(procs: &File, attempts: &[Attempt]) -> io::Result<Vec<i32>> {
    let attempts = &attempts[..attempts.len().min(ATTEMPTS_MAX)];
    let (mut reader, writer) = pipe()?;
    // SAFETY: the child makes system calls alone, none of which allocates or locks, and ends.
    let child = unsafe { libc::fork() };
    match child {
        -1 => return Err(io::Error::last_os_error()),
        0 => in_child(procs.as_raw_fd(), writer.as_raw_fd(), attempts),
        _ => drop(writer),
    }
    let mut said = Vec::new();
    let read = reader.read_to_end(&mut said);
    let mut status = 0;
    // SAFETY: our own child, waited for once.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    read?;
    let outcomes: Vec<i32> = said
        .chunks_exact(4)
        .map(|word| i32::from_ne_bytes([word[0], word[1], word[2], word[3]]))
        .collect();
    match outcomes.split_first() {
        Some((0, rest)) if rest.len() == attempts.len() => Ok(rest.to_vec()),
        Some((errno, [])) => Err(io::Error::from_raw_os_error(*errno)),
        _ => Err(io::Error::other("the canary died before it had tried everything")),
    }
}

/// What the child does. The first word that it writes is the outcome of entering the cgroup.
fn in_child(procs: RawFd, out: RawFd, attempts: &[Attempt]) -> ! {
    // SAFETY: system calls on descriptors that are open and buffers that are ours.
    unsafe {
        // Its default is to end the process, which shows as missing outcomes.
        libc::alarm(LIVES_S);
        let entered = libc::write(procs, c"0".as_ptr().cast(), 1);
        let errno = if entered == 1 { 0 } else { *libc::__errno_location() };
        tell(out, errno);
        if errno == 0 {
            for attempt in attempts {
                tell(out, outcome(attempt));
            }
        }
        libc::_exit(0)
    }
}

/// # Safety
/// `out` must be open.
unsafe fn tell(out: RawFd, errno: i32) {
    // SAFETY: four bytes of ours; a pipe takes them whole. A failure shows as a missing word.
    unsafe { libc::write(out, (&raw const errno).cast(), 4) };
}

fn outcome(attempt: &Attempt) -> i32 {
    let address = attempt.address.as_ptr().cast::<libc::sockaddr>();
    let length = attempt.address.len() as libc::socklen_t;
    // SAFETY: system calls on plain numbers, on a descriptor that we made, and on an address whose
    // length is told.
    unsafe {
        let kind = attempt.kind | libc::SOCK_CLOEXEC;
        let fd = libc::socket(attempt.family, kind, attempt.protocol);
        if fd < 0 {
            return *libc::__errno_location();
        }
        if !attempt.route.is_empty() && lead(fd, &attempt.route) < 0 {
            return *libc::__errno_location();
        }
        if attempt.mark.is_some_and(|mark| set(fd, libc::SOL_SOCKET, libc::SO_MARK, &mark) < 0) {
            return *libc::__errno_location();
        }
        let done = match attempt.then {
            Then::Nothing => 0,
            Then::Connect => libc::connect(fd, address, length) as isize,
            Then::Bind => libc::bind(fd, address, length) as isize,
            Then::Send => libc::sendto(fd, c"x".as_ptr().cast(), 1, 0, address, length),
            Then::Meet => meet(fd, attempt),
            Then::Talk => talk(fd, attempt),
        };
        if done < 0 { *libc::__errno_location() } else { 0 }
    }
}

/// Has the packets of `fd` led by a routing header, and gives connecting a second.
///
/// # Safety
/// `fd` must be a socket.
unsafe fn lead(fd: RawFd, route: &[u8]) -> i32 {
    let second = libc::timeval { tv_sec: 1, tv_usec: 0 };
    let (header, bytes) = (route.as_ptr().cast(), route.len() as libc::socklen_t);
    // SAFETY: the caller's promise, and values whose lengths are told.
    unsafe {
        if set(fd, libc::SOL_SOCKET, libc::SO_SNDTIMEO, &second) < 0 {
            return -1;
        }
        libc::setsockopt(fd, libc::IPPROTO_IPV6, libc::IPV6_RTHDR, header, bytes)
    }
}

/// Sets an option of `fd`.
///
/// # Safety
/// `fd` must be a socket.
unsafe fn set<T>(fd: RawFd, level: i32, option: i32, value: &T) -> i32 {
    let (at, length) = (std::ptr::from_ref(value).cast(), size_of::<T>() as libc::socklen_t);
    // SAFETY: the caller's promise, and a value whose length is told.
    unsafe { libc::setsockopt(fd, level, option, at, length) }
}

/// Binds `fd` to a name that the kernel chooses (unix(7), autobind) and reaches it from a new socket.
///
/// # Safety
/// `fd` must be a unix socket of the attempt's kind.
unsafe fn meet(fd: RawFd, attempt: &Attempt) -> isize {
    // SAFETY: the caller's promise, and an address with room for any unix name.
    unsafe {
        let mut address: libc::sockaddr_un = std::mem::zeroed();
        address.sun_family = libc::AF_UNIX as u16;
        let mut length = 2;
        let at = (&raw mut address).cast();
        if libc::bind(fd, at, length) < 0 {
            return -1;
        }
        length = size_of::<libc::sockaddr_un>() as libc::socklen_t;
        if libc::getsockname(fd, at, &raw mut length) < 0 {
            return -1;
        }
        let other = libc::socket(attempt.family, attempt.kind | libc::SOCK_CLOEXEC, 0);
        if attempt.kind == libc::SOCK_DGRAM {
            return libc::sendto(other, c"x".as_ptr().cast(), 1, 0, at, length);
        }
        if libc::listen(fd, 1) < 0 {
            return -1;
        }
        libc::connect(other, at, length) as isize
    }
}

/// Binds `fd` to the attempt's address, reaches it from a new socket, and has a byte go both ways.
///
/// # Safety
/// `fd` must be a TCP socket of the attempt's family.
unsafe fn talk(fd: RawFd, attempt: &Attempt) -> isize {
    // SAFETY: the caller's promise, an address with room for both families, and bytes of ours.
    unsafe {
        let mut address: libc::sockaddr_in6 = std::mem::zeroed();
        let at = (&raw mut address).cast();
        let own = attempt.address.as_ptr().cast();
        if libc::bind(fd, own, attempt.address.len() as libc::socklen_t) < 0
            || libc::listen(fd, 1) < 0
        {
            return -1;
        }
        let mut length = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
        if libc::getsockname(fd, at, &raw mut length) < 0 {
            return -1;
        }
        let other = libc::socket(attempt.family, attempt.kind | libc::SOCK_CLOEXEC, 0);
        if libc::connect(other, at, length) < 0 {
            return -1;
        }
        let accepted =
            libc::accept4(fd, std::ptr::null_mut(), std::ptr::null_mut(), libc::SOCK_CLOEXEC);
        for (from, to) in [(other, accepted), (accepted, other)] {
            let mut heard = 0_u8;
            if libc::send(from, c"x".as_ptr().cast(), 1, libc::MSG_NOSIGNAL) != 1
                || libc::recv(to, (&raw mut heard).cast(), 1, 0) != 1
            {
                return -1;
            }
        }
        0
    }
}

fn pipe() -> io::Result<(File, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: room for two descriptors, which are ours once the call succeeds.
    unsafe {
        if libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok((File::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])))
    }
}
