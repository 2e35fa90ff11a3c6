//! What is open for one run: how many connections it may have, and the gateway's ends of them, to be
//! shut at once when the run is sealed or closed.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{Shutdown, shutdown};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::wire::{End, Stream};

/// Pause between two looks whether the other end of a connection is gone that says no more.
const GONE_PAUSE: Duration = Duration::from_millis(250);

/// The connections of one run.
pub(super) struct Connections {
    slots: Arc<Semaphore>,
    ends: Ends,
}

/// The gateway's ends by number, and the next number; `None` once the run is closed.
type Ends = Arc<Mutex<Option<(u64, HashMap<u64, Arc<Stream>>)>>>;

/// One open connection. Dropping it frees its slot.
pub(super) struct Open {
    number: u64,
    stream: Arc<Stream>,
    ends: Ends,
    _slot: OwnedSemaphorePermit,
}

impl Connections {
    /// At most `connections_max` at once.
    pub(super) fn new(connections_max: usize) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(connections_max)),
            ends: Arc::new(Mutex::new(Some((0, HashMap::new())))),
        }
    }

    /// Waits until the run may have one connection more. `None` when the run is closed.
    pub(super) async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.slots).acquire_owned().await.ok()
    }

    /// Takes a connection that was accepted now; `None` when the run is closed.
    pub(super) fn open(&self, slot: OwnedSemaphorePermit, stream: Stream) -> Option<Open> {
        let stream = Arc::new(stream);
        let mut ends = lock(&self.ends);
        let (next, all) = ends.as_mut()?;
        let number = *next;
        *next += 1;
        all.insert(number, Arc::clone(&stream));
        drop(ends);
        Some(Open { number, stream, ends: Arc::clone(&self.ends), _slot: slot })
    }

    /// Shuts the gateway's end of every connection that is open now. When this returns, nothing can
    /// be written on them any more.
    pub(super) fn shut(&self) {
        if let Some((_, all)) = lock(&self.ends).as_ref() {
            all.values().for_each(|stream| hang_up(stream));
        }
    }

    /// Shuts every connection, and takes no other.
    pub(super) fn close(&self) {
        self.slots.close();
        if let Some((_, all)) = lock(&self.ends).take() {
            all.values().for_each(|stream| hang_up(stream));
        }
    }
}

impl Open {
    /// The end of this connection that HTTP is spoken on.
    pub(super) fn end(&self) -> End {
        End(Arc::clone(&self.stream))
    }
}

impl Open {
    /// Waits until the other end is closed in both directions. It is asked after, now and then: readiness to
    /// write cannot be waited for beside one who writes.
    pub(super) async fn gone(&self) {
        loop {
            let mut asked = [PollFd::new(&self.stream, PollFlags::empty())];
            let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
            let is_asked = poll(&mut asked, Some(&at_once)).is_ok();
            if is_asked && asked[0].revents().intersects(PollFlags::HUP | PollFlags::ERR) {
                return;
            }
            tokio::time::sleep(GONE_PAUSE).await;
        }
    }
}

impl AsFd for Open {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some((_, all)) = lock(&self.ends).as_mut() {
            all.remove(&self.number);
        }
    }
}

fn hang_up(stream: &Stream) {
    // The caller may have gone first; there is nothing left to shut then.
    let _gone = shutdown(stream, Shutdown::Both);
}

/// The map is whole even when a holder of the lock panicked: it only inserts and removes.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixStream;
    use tokio::time::timeout;

    use super::*;

    /// Long enough for a task that is ready, short enough for a test that expects none.
    const SOON: Duration = Duration::from_millis(50);

    fn pair() -> (Stream, UnixStream) {
        let (ours, theirs) = net::UnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        (Stream::of(ours).unwrap(), UnixStream::from_std(theirs).unwrap())
    }

    async fn opened(connections: &Connections) -> (Open, UnixStream) {
        let (ours, theirs) = pair();
        let slot = connections.slot().await.unwrap();
        (connections.open(slot, ours).unwrap(), theirs)
    }

    #[tokio::test]
    async fn an_end_reads_and_writes_until_it_is_shut() {
        let connections = Connections::new(2);
        let (open, mut theirs) = opened(&connections).await;
        let mut end = open.end();
        theirs.write_all(b"ask").await.unwrap();
        let mut asked = [0; 3];
        end.read_exact(&mut asked).await.unwrap();
        end.write_all(b"yes").await.unwrap();
        let mut answer = [0; 3];
        theirs.read_exact(&mut answer).await.unwrap();
        assert_eq!((&asked, &answer), (b"ask", b"yes"));

        connections.shut();
        assert!(end.write_all(b"late").await.is_err(), "from that moment on");
        assert_eq!(theirs.read(&mut answer).await.unwrap(), 0);
        let (later, mut theirs) = opened(&connections).await;
        later.end().write_all(b"new").await.expect("came later");
        theirs.read_exact(&mut answer).await.unwrap();
    }

    #[tokio::test]
    async fn a_full_run_waits_and_a_closed_one_takes_nothing() {
        let connections = Connections::new(2);
        let (first, _peer) = opened(&connections).await;
        let (_second, _other) = opened(&connections).await;
        assert!(timeout(SOON, connections.slot()).await.is_err(), "full");
        drop(first);
        let slot = connections.slot().await.unwrap();
        connections.close();
        let (ours, _theirs) = pair();
        assert!(connections.open(slot, ours).is_none());
        assert!(connections.slot().await.is_none());
    }
}
