//! The plain side: one request at a time, one thread a connection. For everything that is not on
//! the path of a call.

use std::collections::HashMap;
use std::io::{self, Write};
use std::marker::PhantomData;
use std::os::fd::AsFd as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::frame::{self, FrameError, Next};
use super::peer::Peer;
use super::timed::{Timed, connect_within};
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
        Ok(Self { stream, timeout, number: 0, speaks: PhantomData })
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// When the connection fails, the time is over or the answer is not one. The connection is of no use
    /// then.
    pub fn ask(&mut self, message: &Ask) -> Result<Answer, FrameError> {
        self.number += 1;
        let in_line_until = Instant::now() + IN_LINE_MAX;
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
                None => timed.extend((Instant::now() + self.timeout).min(in_line_until)),
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

    /// The uid with which whoever is at the other end logged in (`loginuid`, proc_pid_loginuid(5)), which a change of uid
    /// leaves alone; `None` where nobody did or the kernel does not say.
    pub fn login_uid(&self) -> Option<u32> {
        let pidfd = sys::peer::pidfd(&self.stream).ok()?;
        let pid = sys::peer::process(pidfd.as_fd()).ok()??;
        let text = std::fs::read_to_string(format!("/proc/{pid}/loginuid")).ok()?;
        let is_its = !sys::peer::has_ended(pidfd.as_fd()).ok()?;
        text.trim().parse().ok().filter(|uid| is_its && *uid != u32::MAX)
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
            tracing::warn!(peer.uid, peer.pid, "connection refused");
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
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn one_uid_cannot_take_the_places_of_the_others() {
        let seats = Arc::new(Seats::default());
        let take = |uid| Seat::take(&seats, uid);
        let mut taken: Vec<_> = (0..UID_CONNECTIONS_MAX).map(|_| take(7).unwrap()).collect();
        assert!(take(7).is_none());
        let others: Vec<_> = (0..=UID_CONNECTIONS_MAX).filter_map(|_| take(0)).collect();
        assert_eq!(others.len(), UID_CONNECTIONS_MAX + 1, "root starts a run for each");
        assert!(take(8).is_some(), "the control");
        taken.pop();
        assert!(take(7).is_some(), "a place is free again");
    }

    #[test]
    fn what_passes_ends_no_server() {
        use rustix::io::Errno;
        for (errno, expected) in [
            (Errno::MFILE, false),
            (Errno::NFILE, false),
            (Errno::CONNABORTED, false),
            (Errno::INTR, false),
            (Errno::NOMEM, false),
            (Errno::NOBUFS, false),
            (Errno::PERM, false),
            (Errno::NOTSOCK, true),
            (Errno::BADF, true),
            (Errno::INVAL, true),
        ] {
            let error = io::Error::from_raw_os_error(errno.raw_os_error());
            assert_eq!(is_final(&error), expected, "{error}");
        }
    }

    /// The attack: one peer opens more connections than it has business with, and one of them
    /// panics the thread that serves it.
    #[test]
    fn a_flood_is_refused_and_the_next_honest_peer_is_served() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        std::thread::spawn(move || {
            serve(
                &listener,
                |_| true,
                |mut server| {
                    while let Ok(Some((number, asked))) = server.hear::<u32>() {
                        assert_ne!(asked, 0, "a test's panic");
                        server.answer(number, &asked).unwrap();
                    }
                },
            )
        });
        let open = || Connection::<u32, u32>::open(&path, Duration::from_secs(5)).unwrap();
        let is_root = rustix::process::geteuid().is_root();
        let mut flood: Vec<_> = (0..UID_CONNECTIONS_MAX).map(|_| open()).collect();
        assert!(flood.iter_mut().all(|one| one.ask(&1).is_ok()), "the control");
        assert_eq!(open().ask(&1).is_ok(), is_root, "one too many");
        assert!(flood.pop().unwrap().ask(&0).is_err());
        let until = Instant::now() + Duration::from_secs(5);
        while open().ask(&1).is_err() {
            assert!(Instant::now() < until, "its place is not free");
        }
    }

    /// The attack: a peer that takes no connection, or gives its answer byte by byte. The control is one that
    /// answers.
    #[test]
    fn a_request_ends_by_its_timeout_whatever_the_peer_does() {
        let dir = tempfile::tempdir().unwrap();
        let timeout = Duration::from_millis(300);
        let open = |name: &str| Connection::<u32, String>::open(&dir.path().join(name), timeout);

        let full = UnixListener::bind(dir.path().join("full")).unwrap();
        rustix::net::listen(&full, 0).unwrap();
        let _queued = open("full").unwrap();
        let began = Instant::now();
        assert!(open("full").is_err());
        assert!(began.elapsed() < Duration::from_secs(20));

        let slow = UnixListener::bind(dir.path().join("slow")).unwrap();
        std::thread::spawn(move || {
            for stream in slow.incoming() {
                let mut stream = stream.unwrap();
                let asked: Option<(u64, u32)> = frame::read(&mut stream).unwrap();
                let (number, pause) = asked.unwrap();
                for byte in frame::encode(number, &"x".repeat(1_000)).unwrap() {
                    std::thread::sleep(Duration::from_millis(pause.into()));
                    if stream.write_all(&[byte]).is_err() {
                        break;
                    }
                }
            }
        });
        assert!(open("slow").unwrap().ask(&0).is_ok(), "the control");
        let began = Instant::now();
        assert!(open("slow").unwrap().ask(&50).is_err());
        assert!(began.elapsed() < Duration::from_secs(20));
    }

    /// The attack: the peer gives one byte, or takes a little, each time before a timeout would
    /// strike.
    #[test]
    fn an_exchange_ends_by_its_deadline_however_slow_the_peer_is() {
        let slow = |dribble: fn(UnixStream), message: String, limit: u64| {
            let (stream, far) = UnixStream::pair().unwrap();
            let peer = Peer::of(&stream).unwrap();
            std::thread::spawn(move || dribble(far));
            let started = Instant::now();
            let deadline = started + Duration::from_millis(limit);
            let heard = Server { stream, peer }.exchange_by::<String>(deadline, 1, &message);
            (heard.map(|heard| heard.map(|(_, text)| text)), started.elapsed())
        };
        let long = "x".repeat(4 << 20);
        let gives: fn(UnixStream) = |mut far| {
            let asked: Option<(u64, String)> = frame::read(&mut far).unwrap();
            let (number, text) = asked.unwrap();
            let frame = frame::encode(number, &text).unwrap();
            for byte in frame {
                std::thread::sleep(Duration::from_millis(50));
                if far.write_all(&[byte]).is_err() {
                    return;
                }
            }
        };
        let takes: fn(UnixStream) = |mut far| {
            while far.read(&mut [0; 1_024]).is_ok_and(|n| n > 0) {
                std::thread::sleep(Duration::from_millis(50));
            }
        };
        // To their ends they would take more than a minute each.
        let message = "x".repeat(2_000);
        for (name, dribble, message) in [("gives", gives, message), ("takes", takes, long)] {
            let (heard, took) = slow(dribble, message, 300);
            assert!(matches!(heard, Err(FrameError::Io(_))), "{name}: {heard:?}");
            assert!(took < Duration::from_secs(20), "{name}: {took:?}");
        }
        let (heard, _) = slow(gives, "done".to_owned(), 60_000);
        assert_eq!(heard.unwrap().as_deref(), Some("done"), "the control");
    }

    /// The server says that a request waits, answers another one, or says something else than that.
    #[test]
    fn a_request_waits_for_as_long_as_its_server_says_so() {
        let says = |frames: Vec<Vec<u8>>| {
            let (near, mut far) = UnixStream::pair().unwrap();
            let timeout = Duration::from_secs(60);
            let mut connection =
                Connection::<u32, String> { stream: near, timeout, number: 6, speaks: PhantomData };
            far.write_all(&frames.concat()).unwrap();
            far.shutdown(std::net::Shutdown::Write).unwrap();
            connection.ask(&1)
        };
        let waits = |number| frame::waits(number).to_vec();
        let whole = |number| frame::encode(number, &"done").unwrap();
        let part = frame::encode_part(7, &"part").unwrap();
        assert_eq!(says(vec![whole(7)]).unwrap(), "done", "the control");
        assert_eq!(says(vec![waits(7), waits(7), waits(7), whole(7)]).unwrap(), "done");
        let other = |said| matches!(said, Err(FrameError::Number { expected: 7, found: 6 }));
        assert!(other(says(vec![waits(6), whole(7)])));
        assert!(other(says(vec![waits(7), whole(6)])));
        assert!(matches!(says(vec![part, whole(7)]), Err(FrameError::Part { number: 7 })));
        assert!(matches!(says(vec![waits(7)]), Err(FrameError::Io(_))), "it ended");
    }

    /// The attack: one who waits for its turn and reads nothing would hold up whoever tells it.
    #[test]
    fn one_who_does_not_read_is_not_waited_for() {
        let (near, far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        while (&near).write(&[0; 1 << 16]).is_ok() {}
        near.set_nonblocking(false).unwrap();
        let peer = Peer::of(&near).unwrap();
        let server = Server::of(near, peer);
        server.waits(1);
        drop(far);
        server.waits(1);
    }
}
