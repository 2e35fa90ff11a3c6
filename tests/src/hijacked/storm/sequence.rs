//! One sequence: some slots for sockets, and draws that fill, use and empty them.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::OFlags;
use rustix::io::{self, Errno};
use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType, sockopt};

use super::kind::Kind;
use super::target::Targets;
use super::{DRAWS, Storm, Tally, choice};
use crate::lab::address;
use crate::random::Random;
use crate::sys::uring::Ring;
use crate::sys::{child, sockets};

/// Sockets at once.
const SLOTS: usize = 8;

/// Draws that a child makes.
const CHILD_DRAWS: u64 = 8;

/// A sequence under way.
pub(super) struct Sequence<'a> {
    storm: &'a Storm,
    number: u64,
    targets: &'a Targets,
    tally: &'a Tally,
    slots: [Option<OwnedFd>; SLOTS],
    is_child: bool,
}

impl<'a> Sequence<'a> {
    /// The sequence with this number.
    pub(super) fn new(
        storm: &'a Storm,
        number: u64,
        targets: &'a Targets,
        tally: &'a Tally,
    ) -> Self {
        let slots = [const { None }; SLOTS];
        Self { storm, number, targets, tally, slots, is_child: false }
    }

    /// Makes its draws, and closes what is left.
    pub(super) fn run(&mut self) {
        for draw in 0..DRAWS {
            if self.storm.only.is_empty() || self.storm.only.contains(&draw) {
                self.draw(Random::of(self.storm.seed, self.number, draw));
            }
        }
    }

    fn draw(&mut self, mut random: Random) {
        let kind = choice::kind(&mut random);
        let done = self.make(kind, &mut random);
        self.tally.count(kind, &done);
    }

    fn make(&mut self, kind: Kind, random: &mut Random) -> io::Result<()> {
        let at = random.below(SLOTS as u64) as usize;
        let to = random.below(SLOTS as u64) as usize;
        match kind {
            Kind::Socket => {
                let ((family, kind, protocol), is_kept) = choice::socket(random);
                let made = sockets::socket(family, kind, protocol)?;
                self.slots[to] = is_kept.then_some(made);
            }
            Kind::Pair => {
                let all = [SocketType::STREAM, SocketType::DGRAM, SocketType::SEQPACKET];
                let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
                let kind = *random.one_of(&all);
                let (one, two) = rustix::net::socketpair(AddressFamily::UNIX, kind, flags, None)?;
                self.slots[at] = Some(one);
                self.slots[(at + 1) % SLOTS] = Some(two);
            }
            Kind::Bind => {
                let socket = self.some(at)?;
                sockets::bind(socket, &self.targets.take(family(socket), random))?;
            }
            Kind::Listen => rustix::net::listen(self.some(at)?, 4)?,
            Kind::Connect => sockets::connect(self.some(at)?, &self.reach(at, random)?)?,
            Kind::Accept => {
                let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
                self.slots[to] = Some(rustix::net::accept_with(self.some(at)?, flags)?);
            }
            Kind::Send => self.send(at, &[], None, random)?,
            Kind::SendTo => self.send(at, &self.reach(at, random)?, None, random)?,
            Kind::Pass => {
                let address = if random.once_in(4) { self.reach(at, random)? } else { Vec::new() };
                self.send(at, &address, Some(self.some(to)?), random)?;
            }
            Kind::Receive => {
                if let Some(came) = sockets::receive(self.some(at)?)? {
                    self.slots[to] = Some(came);
                }
            }
            Kind::Option => {
                let (level, name, value) = choice::option(random);
                sockets::set(self.some(at)?, level, name, value)?;
            }
            Kind::Shutdown => rustix::net::shutdown(self.some(at)?, Shutdown::Write)?,
            Kind::Dup => {
                self.slots[to] = Some(rustix::io::fcntl_dupfd_cloexec(self.some(at)?, 3)?);
            }
            Kind::Close => self.slots[at] = None,
            Kind::Fork => self.fork(random)?,
            Kind::IoUring => self.ring(at, to, random)?,
        }
        Ok(())
    }

    fn reach(&self, at: usize, random: &mut Random) -> io::Result<Vec<u8>> {
        Ok(self.targets.reach(family(self.some(at)?), random))
    }

    fn send(
        &self,
        at: usize,
        to: &[u8],
        passed: Option<BorrowedFd<'_>>,
        random: &mut Random,
    ) -> io::Result<()> {
        sockets::send(self.some(at)?, address::SECRET, to, passed, choice::flags(random))
    }

    /// Some draws by a child, with copies of the same sockets. Children have none of their own.
    fn fork(&mut self, random: &mut Random) -> io::Result<()> {
        if self.is_child {
            return Err(Errno::CHILD);
        }
        let seed = random.next();
        child::forked(|| {
            self.is_child = true;
            for draw in 0..CHILD_DRAWS {
                self.draw(Random::of(seed, 0, draw));
            }
            Ok(())
        })
    }

    /// A connection, or bytes on a socket that there is, by a ring.
    fn ring(&mut self, at: usize, to: usize, random: &mut Random) -> io::Result<()> {
        let mut ring = Ring::new(random.once_in(4))?;
        if random.once_in(2)
            && let Some(socket) = &self.slots[at]
        {
            return ring.send(socket, address::SECRET);
        }
        let socket = ring.socket(libc::AF_INET, libc::SOCK_STREAM)?;
        ring.connect(&socket, address::TCP4)?;
        let sent = ring.send(&socket, address::SECRET);
        // The ring waits for its own; no later call may, for an accept that waits ends nothing.
        rustix::fs::fcntl_setfl(&socket, OFlags::NONBLOCK)?;
        self.slots[to] = Some(socket);
        sent
    }

    /// The socket in this slot, or in the next one that has one.
    fn some(&self, at: usize) -> io::Result<BorrowedFd<'_>> {
        let found = (0..SLOTS).find_map(|step| self.slots[(at + step) % SLOTS].as_ref());
        let found = found.ok_or(Errno::BADF)?;
        debug_assert!(found.as_raw_fd() > 2, "a descriptor of the attacker's own");
        debug_assert!(
            rustix::fs::fcntl_getfl(found).is_ok_and(|flags| flags.contains(OFlags::NONBLOCK)),
            "a call on it may wait"
        );
        Ok(found.as_fd())
    }
}

/// The family of a socket; none when it is no socket.
fn family(socket: BorrowedFd<'_>) -> i32 {
    sockopt::socket_domain(socket).map_or(libc::AF_UNSPEC, |family| family.as_raw().into())
}
