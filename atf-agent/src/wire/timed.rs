//! Connecting, reading and writing within a time, whatever the other side does.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::io::retry_on_intr;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

/// A connection to the socket at `path`. Where the queue of a listener is full, connecting waits for as long
/// as a write may (unix_stream_connect in net/unix/af_unix.c).
pub(super) fn connect_within(path: &Path, timeout: Duration) -> io::Result<UnixStream> {
    let stream = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    set_socket_timeout(&stream, Timeout::Send, Some(timeout))?;
    let address = SocketAddrUnix::new(path)?;
    retry_on_intr(|| connect(&stream, &address))
        .map_err(|error| in_time(error.into(), "nobody took the connection in time"))?;
    Ok(stream.into())
}

/// A stream whose reads and writes have one deadline together. The kernel's own timeouts begin anew
/// with each byte.
pub(super) struct Timed<'a> {
    stream: &'a UnixStream,
    deadline: Instant,
}

impl<'a> Timed<'a> {
    /// `stream`, until `deadline`.
    pub(super) fn new(stream: &'a UnixStream, deadline: Instant) -> Self {
        Self { stream, deadline }
    }

    /// From now on until `deadline`.
    pub(super) fn extend(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        // Zero would mean for ever.
        if left.is_zero() { Err(late()) } else { Ok(Some(left)) }
    }
}

/// What is said of an answer, or of the taking of a request, that did not come.
const LATE: &str = "nothing came in time";

/// That nothing came in time.
pub(super) fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, LATE)
}

/// The kernel says of a time that is over what it says of a descriptor that does not wait.
fn in_time(error: io::Error, why: &str) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => io::Error::new(io::ErrorKind::TimedOut, why),
        _ => error,
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(bytes).map_err(|error| in_time(error, LATE))
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes).map_err(|error| in_time(error, LATE))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
