//! The plain side: one request at a time, one thread a connection. For everything that is not on
//! the path of a call.

use std::io;
use std::marker::PhantomData;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::frame::{self, FrameError};
use super::peer::Peer;

/// Most connections that one process serves at once; ATF's own processes need a handful each, and
/// `atf run` one for each live run.
const CONNECTIONS_MAX: usize = 20_000;

/// A client's connection that carries one request at a time.
pub struct Connection<Ask, Answer> {
    stream: UnixStream,
    number: u64,
    speaks: PhantomData<fn(Ask) -> Answer>,
}

impl<Ask: Serialize, Answer: DeserializeOwned> Connection<Ask, Answer> {
    /// Connects to the socket at `path`; every read and write then has `timeout`.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn open(path: &Path, timeout: Duration) -> io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        Ok(Self { stream, number: 0, speaks: PhantomData })
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// When the connection fails or the answer is not one. The connection is of no use then.
    pub fn ask(&mut self, message: &Ask) -> Result<Answer, FrameError> {
        self.number += 1;
        frame::write(&mut self.stream, self.number, message)?;
        let Some((found, answer)) = frame::read(&mut self.stream)? else {
            return Err(FrameError::Io(io::ErrorKind::UnexpectedEof.into()));
        };
        if found != self.number {
            return Err(FrameError::Number { expected: self.number, found });
        }
        Ok(answer)
    }
}

/// The server's end of one connection.
pub struct Server {
    stream: UnixStream,
    /// Who the kernel says is at the other end.
    pub peer: Peer,
}

impl Server {
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

    /// Gives every later read and write `timeout`, for a peer that must not make this process wait.
    ///
    /// # Errors
    /// When the kernel does not take it.
    pub fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(timeout))?;
        self.stream.set_write_timeout(Some(timeout))
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
/// `admits` says no are closed at once.
///
/// # Errors
/// When the listener itself fails; a failing connection ends alone.
pub fn serve(
    listener: &UnixListener,
    admits: impl Fn(Peer) -> bool,
    each: impl Fn(Server) + Send + Sync + 'static,
) -> io::Result<()> {
    let each = Arc::new(each);
    let live = Arc::new(AtomicUsize::new(0));
    loop {
        let (stream, _) = listener.accept()?;
        let peer = Peer::of(&stream)?;
        if !admits(peer) || live.load(Ordering::Relaxed) >= CONNECTIONS_MAX {
            tracing::warn!(peer.uid, peer.pid, "connection refused");
            continue;
        }
        live.fetch_add(1, Ordering::Relaxed);
        let (each, live) = (Arc::clone(&each), Arc::clone(&live));
        std::thread::spawn(move || {
            each(Server { stream, peer });
            live.fetch_sub(1, Ordering::Relaxed);
        });
    }
}
