//! The plain side: one request at a time, one thread a connection. For everything that is not on
//! the path of a call.

use std::collections::HashMap;
use std::io::{self, Write};
use std::marker::PhantomData;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::frame::{self, FrameError, Next};
use super::peer::Peer;
use super::timed::{Timed, connect_within, late};
use crate::sys;

/// Most connections that one process serves at once; ATF's own processes need a handful each, and
/// `atf run` one for each live run.
const CONNECTIONS_MAX: usize = 20_000;

/// Most connections of one uid that is not root's: each of ATF's processes keeps one or two open, so
/// that one of them that fell to an attacker cannot take the places of the others.
const UID_CONNECTIONS_MAX: usize = 64;

/// Longest time for which a request may wait for its turn while its server says that it does: thousands of
/// runs that start at once are up long before.
const IN_LINE_MAX: Duration = Duration::from_secs(120);

/// Pause after a connection that could not be taken: without it a lack of descriptors is a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A client's connection that carries one request at a time.
pub struct Connection<Ask, Answer> {
    stream: UnixStream,
    timeout: Duration,
    in_line_max: Duration,
    number: u64,
    speaks: PhantomData<fn(Ask) -> Answer>,
}

impl<Ask: Serialize, Answer: DeserializeOwned> Connection<Ask, Answer> {
    /// Connects to the socket at `path`. This has `timeout`, also where nobody accepts; and so has each
    /// request with its answer, however slowly the peer takes the one and gives the other. The time of one
    /// begins anew with each word that it waits for its turn.
    ///
    /// # Errors
    /// When nobody listens there, or the time is over.
    pub fn open(path: &Path, timeout: Duration) -> io::Result<Self> {
        let stream = connect_within(path, timeout)?;
        Ok(Self { stream, timeout, in_line_max: IN_LINE_MAX, number: 0, speaks: PhantomData })
    }

    /// The same, whose requests wait no longer than this for their turn, for one who has something else to do.
    pub fn in_line_at_most(self, in_line_max: Duration) -> Self {
        Self { in_line_max, ..self }
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// When the connection fails, the time is over or the answer is not one. The connection is of no use
    /// then.
    pub fn ask(&mut self, message: &Ask) -> Result<Answer, FrameError> {
        self.number += 1;
        let in_line_until = Instant::now() + self.in_line_max;
        let mut timed = Timed::new(&self.stream, Instant::now() + self.timeout);
        frame::write(&mut timed, self.number, message)?;
        loop {
            let (found, answer) = match frame::next(&mut timed)? {
                Some(Next::Whole(found, answer)) => (found, Some(answer)),
                Some(Next::Waits(found)) => (found, None),
                None => return Err(FrameError::Io(io::ErrorKind::UnexpectedEof.into())),
            };
            if found != self.number {
                return Err(FrameError::Number { expected: self.number, found });
            }
            match answer {
                Some(answer) => return Ok(answer),
                // Its turn may be next, and has the whole time then.
                None if Instant::now() < in_line_until => {
                    timed.extend(Instant::now() + self.timeout);
                }
                None => return Err(FrameError::Io(late())),
            }
        }
    }
}

/// The server's end of one connection.
pub struct Server {
    stream: UnixStream,
    /// Who the kernel says is at the other end.
    pub peer: Peer,
}

impl Server {
    /// The server's end of `stream`, at whose other end the kernel says that `peer` is.
    pub(super) fn of(stream: UnixStream, peer: Peer) -> Self {
        Self { stream, peer }
    }

    /// The connection alone.
    pub(super) fn into_stream(self) -> UnixStream {
        self.stream
    }

    /// The next request and its number; `None` when the peer has gone.
    ///
    /// # Errors
    /// When the frame is not one, or the connection failed.
    pub fn hear<Ask: DeserializeOwned>(&mut self) -> Result<Option<(u64, Ask)>, FrameError> {
        frame::read(&mut self.stream)
    }

    /// Answers request `number`.
    ///
    /// # Errors
    /// When the connection failed.
    pub fn answer(&mut self, number: u64, message: &impl Serialize) -> Result<(), FrameError> {
        frame::write(&mut self.stream, number, message)
    }

    /// Says something about request `number`, whose answer follows.
    ///
    /// # Errors
    /// When the connection failed.
    pub fn tell(&mut self, number: u64, message: &impl Serialize) -> Result<(), FrameError> {
        Ok(self.stream.write_all(&frame::encode_part(number, message)?)?)
    }

    /// Says that request `number` waits for its turn. One who does not read is not waited for.
    pub fn waits(&self, number: u64) {
        use rustix::net::{SendFlags, send};
        let frame = frame::waits(number);
        match send(&self.stream, &frame, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(sent) if sent < frame.len() => self.hang_up(),
            // It has enough to read, or has gone.
            Ok(_) | Err(_) => {}
        }
    }

    /// Sends `message` and hears what comes back, all of it before `deadline`, however slowly the
    /// peer takes the one and gives the other.
    ///
    /// # Errors
    /// As [`Server::answer`] and [`Server::hear`], and when the time is over. The connection is of
    /// no use then.
    pub fn exchange_by<Ask: DeserializeOwned>(
        &mut self,
        deadline: Instant,
        number: u64,
        message: &impl Serialize,
    ) -> Result<Option<(u64, Ask)>, FrameError> {
        let mut timed = Timed::new(&self.stream, deadline);
        frame::write(&mut timed, number, message)?;
        frame::read(&mut timed)
    }

    /// The uid with which whoever is at the other end logged in; `None` where nobody did.
    ///
    /// # Errors
    /// When it cannot be read: then somebody may have.
    pub fn login_uid(&self) -> io::Result<Option<u32>> {
        sys::peer::login_uid(&self.stream, self.peer.pid)
    }

    /// A second handle to the same connection, so that one thread can read while another writes.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub fn share(&self) -> io::Result<Self> {
        Ok(Self { stream: self.stream.try_clone()?, peer: self.peer })
    }

    /// Whether the peer is still there, as far as the kernel knows.
    pub fn is_open(&self) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let mut asked = [PollFd::new(&self.stream, PollFlags::RDHUP)];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut asked, Some(&at_once)).is_ok() && asked[0].revents().is_empty()
    }

    /// Closes both directions, for every handle.
    pub fn hang_up(&self) {
        // The peer may have gone first; there is nothing left to close then.
        let _gone = self.stream.shutdown(std::net::Shutdown::Both);
    }
}

/// Serves `listener` for ever: each connection gets a thread that runs `each`. Peers for which
/// `admits` says no are closed at once, and so are those that have too many. Nothing that a peer or
/// a busy host does ends it: it returns only when `listener` is no listening socket at all.
///
/// # Errors
/// When the listener is of no use; a failing connection ends alone.
pub fn serve(
    listener: &UnixListener,
    admits: impl Fn(Peer) -> bool,
    each: impl Fn(Server) + Send + Sync + 'static,
) -> io::Result<()> {
    let each = Arc::new(each);
    let seats = Arc::new(Seats::default());
    loop {
        let accepted = listener.accept().and_then(|(s, _)| Ok((Peer::of(&s)?, s)));
        let (peer, stream) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_final(&error) => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "a connection is not taken");
                std::thread::sleep(ACCEPT_PAUSE);
                continue;
            }
        };
        if !admits(peer) {
            match peer.uid {
                // Who looks whether anybody listens, as `atf up` does. Root needs no socket to do harm.
                0 => tracing::debug!(peer.uid, peer.pid, "connection refused"),
                _ => tracing::warn!(peer.uid, peer.pid, "connection refused"),
            }
            continue;
        }
        let Some(seat) = Seat::take(&seats, peer.uid) else {
            tracing::warn!(peer.uid, peer.pid, "connection refused: too many are open");
            continue;
        };
        let each = Arc::clone(&each);
        let thread = std::thread::Builder::new().spawn(move || {
            let _seat = seat;
            each(Server::of(stream, peer));
        });
        if let Err(error) = thread {
            tracing::warn!(%error, peer.uid, peer.pid, "no thread for a connection");
            std::thread::sleep(ACCEPT_PAUSE);
        }
    }
}

/// Whether accepting fails for ever: the descriptor is not a listening socket. All else passes, as
/// `EMFILE` does when a descriptor is closed (accept(2)).
fn is_final(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::BADF, Errno::INVAL, Errno::NOTSOCK, Errno::OPNOTSUPP]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// The open connections of each uid.
type Seats = Mutex<HashMap<u32, usize>>;

/// The place of one connection, free again when it is dropped, even by a panic.
struct Seat {
    seats: Arc<Seats>,
    uid: u32,
}

impl Seat {
    /// A place for a connection of `uid`; `None` when it, or all together, have enough.
    fn take(seats: &Arc<Seats>, uid: u32) -> Option<Self> {
        let mut open = seats.lock().unwrap_or_else(PoisonError::into_inner);
        let own = open.get(&uid).copied().unwrap_or_default();
        if open.values().sum::<usize>() >= CONNECTIONS_MAX
            || (uid != 0 && own >= UID_CONNECTIONS_MAX)
        {
            return None;
        }
        open.insert(uid, own + 1);
        Some(Self { seats: Arc::clone(seats), uid })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = open.get_mut(&self.uid) {
            *own -= 1;
        }
    }
}

#[cfg(test)]
#[path = "blocking_tests.rs"]
mod tests;
