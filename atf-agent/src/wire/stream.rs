//! A connected unix socket of the async side. tokio's own asks the kernel to say when it can be written
//! too, so that each answer that a peer takes off it wakes a thread for nothing. Here that is asked when
//! the socket was full, and for as long as it is.

use std::future::poll_fn;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use rustix::net::{Shutdown, shutdown};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

/// A connection that one task reads and one task writes at a time. Needs a running tokio runtime.
pub struct Stream {
    socket: AsyncFd<UnixStream>,
    /// While it is full: the same socket once more, asked whether it can be written.
    full: Mutex<Option<AsyncFd<OwnedFd>>>,
}

impl Stream {
    /// The connected `socket`.
    ///
    /// # Errors
    /// When the kernel does not watch it.
    pub fn of(socket: UnixStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let socket = watched(socket, Interest::READABLE)?;
        Ok(Self { socket, full: Mutex::default() })
    }

    /// Writes what the socket takes now.
    ///
    /// # Errors
    /// `WouldBlock` when that is nothing; any other when the connection failed.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.get_ref().write(bytes)
    }

    /// Writes what the socket takes, once it takes anything.
    fn poll_write(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            match self.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                written => {
                    self.full().take();
                    return Poll::Ready(written);
                }
            }
            ready!(self.poll_room(context))?;
        }
    }

    /// Reads what has come, once anything has. Less than there was room for was all of it: what comes later is a new
    /// event (epoll(7), edge-triggered), and to ask once more before would be a system call for nothing with each message.
    fn poll_read(
        &self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.socket.poll_read_ready(context))?;
            let unfilled = buffer.initialize_unfilled();
            let room = unfilled.len();
            match guard.try_io(|socket| socket.get_ref().read(unfilled)) {
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(read) => {
                    if read.as_ref().is_ok_and(|count| (1..room).contains(count)) {
                        guard.clear_ready();
                    }
                    return Poll::Ready(read.map(|count| buffer.advance(count)));
                }
                Err(_would_block) => {}
            }
        }
    }

    /// Waits until a socket that was full has room again, or has ended.
    ///
    /// # Errors
    /// When the kernel does not watch it.
    pub async fn room(&self) -> io::Result<()> {
        poll_fn(|context| self.poll_room(context)).await
    }

    /// Ready when a socket that was full has room again, or has ended.
    fn poll_room(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut full = self.full();
        let again = match &mut *full {
            Some(again) => again,
            None => {
                let again = self.socket.get_ref().as_fd().try_clone_to_owned()?;
                full.insert(watched(again, Interest::WRITABLE)?)
            }
        };
        let mut guard = ready!(again.poll_write_ready(context))?;
        guard.clear_ready();
        Poll::Ready(Ok(()))
    }

    /// It is whole even when a holder of the lock panicked.
    fn full(&self) -> MutexGuard<'_, Option<AsyncFd<OwnedFd>>> {
        self.full.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `socket`, watched for `interest` by the runtime at hand.
#[expect(
    deprecated,
    reason = "an owner of a socket that never changes which one it is: what the new function is unsafe for"
)]
fn watched<T: AsRawFd>(socket: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(socket, interest)
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.get_ref().as_fd()
    }
}

/// A connection to be read and written by who shares it with others that may shut it.
pub struct End(pub Arc<Stream>);

impl AsyncRead for End {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.poll_read(context, buffer)
    }
}

impl AsyncWrite for End {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(shutdown(&*self.0, Shutdown::Write).map_err(io::Error::from))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::timeout;

    use super::*;

    /// More than a socket takes at once.
    const MUCH: usize = 4 << 20;

    fn pair() -> (Arc<Stream>, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Arc::new(Stream::of(ours).unwrap()), theirs)
    }

    #[tokio::test]
    async fn what_is_more_than_the_socket_takes_waits_for_its_reader() {
        let (ours, mut theirs) = pair();
        let mut end = End(Arc::clone(&ours));
        let much = vec![7; MUCH];
        let writing = end.write_all(&much);
        let mut writing = std::pin::pin!(writing);
        let soon = Duration::from_millis(50);
        assert!(timeout(soon, &mut writing).await.is_err(), "the control: it does not take all");
        assert!(ours.full().is_some());
        let reader = std::thread::spawn(move || {
            let mut read = vec![0; MUCH];
            theirs.read_exact(&mut read).map(|()| (read, theirs))
        });
        writing.await.unwrap();
        let (read, _theirs) = reader.join().unwrap().unwrap();
        assert!(read.iter().all(|byte| *byte == 7));
        assert!(ours.full().is_none(), "nobody asks for room any more");
    }

    #[tokio::test]
    async fn a_writer_that_waits_for_room_ends_with_the_connection() {
        let (ours, _theirs) = pair();
        let mut end = End(Arc::clone(&ours));
        let writing = tokio::spawn(async move { end.write_all(&vec![7; MUCH]).await });
        while ours.full().is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        shutdown(&*ours, Shutdown::Both).unwrap();
        let ended = timeout(Duration::from_secs(5), writing).await.expect("it waits no longer");
        assert!(ended.unwrap().is_err());
    }

    #[tokio::test]
    async fn reading_waits_for_what_comes_and_ends_with_the_peer() {
        let (ours, mut theirs) = pair();
        let mut end = End(ours);
        let mut read = [0; 3];
        let soon = Duration::from_millis(50);
        assert!(timeout(soon, end.read_exact(&mut read)).await.is_err(), "nothing came");
        theirs.write_all(b"ask").unwrap();
        end.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"ask");
        drop(theirs);
        assert_eq!(end.read(&mut read).await.unwrap(), 0);
    }

    /// The attack: what comes, or an end, right behind a message that was read with room to spare.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_comes_behind_a_message_is_not_overlooked() {
        const MESSAGES: u32 = 20_000;
        let (ours, mut theirs) = pair();
        let mut end = End(ours);
        let writer = std::thread::spawn(move || {
            for number in 0..MESSAGES {
                theirs.write_all(&number.to_le_bytes()).unwrap();
                if number % 64 == 0 {
                    std::thread::yield_now();
                }
            }
        });
        let reading = async {
            let (mut all, mut read) = (Vec::new(), [0; 64]);
            loop {
                match end.read(&mut read).await.unwrap() {
                    0 => return all,
                    count => all.extend_from_slice(&read[..count]),
                }
            }
        };
        let all = timeout(Duration::from_secs(60), reading).await.expect("nothing is waited for");
        writer.join().unwrap();
        let sent: Vec<u8> = (0..MESSAGES).flat_map(u32::to_le_bytes).collect();
        assert!(all == sent);
    }
}
