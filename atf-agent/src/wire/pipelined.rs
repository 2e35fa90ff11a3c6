//! The side on the path of a call: many requests under way on one connection, matched by number.

use std::collections::HashMap;
use std::io;
use std::marker::PhantomData;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc, oneshot};

use super::frame::{self, FrameError, HEADER_BYTES, Header};
use super::outbox::Outbox;
use super::stream::{End, Stream};

/// Requests of one connection that may be under way; more than that and the asker waits. The servers
/// take as many.
const UNDER_WAY_MAX: usize = 1_024;

/// What is said before an answer and its asker has not heard yet; past that it is lost. Who hears the
/// connection waits for no asker.
const UNHEARD_MAX: usize = 256;

/// The waiting askers by number; `None` once the connection has failed.
type Waiting = Arc<Mutex<Option<HashMap<u64, Asker>>>>;

/// One who waits for an answer.
struct Asker {
    answer: oneshot::Sender<Vec<u8>>,
    /// Where goes what is said before it, when anybody hears that.
    before: Option<mpsc::Sender<Vec<u8>>>,
}

/// A connection that many tasks share. When it fails, every waiting and every later request fails;
/// the owner then opens a new one.
pub struct Pipelined<Ask, Answer> {
    outbox: Arc<Outbox>,
    slots: Semaphore,
    waiting: Waiting,
    number: AtomicU64,
    speaks: PhantomData<fn(Ask) -> Answer>,
}

impl<Ask: Serialize, Answer: DeserializeOwned> Pipelined<Ask, Answer> {
    /// Connects to the socket at `path`. Needs a running tokio runtime.
    ///
    /// # Errors
    /// When nobody listens there.
    pub async fn open(path: &Path) -> io::Result<Self> {
        let stream = Arc::new(Stream::of(UnixStream::connect(path).await?.into_std()?)?);
        let waiting: Waiting = Arc::new(Mutex::new(Some(HashMap::new())));
        let outbox = Arc::new(Outbox::new(Arc::clone(&stream)));
        let (draining, answered) = (Arc::clone(&outbox), Arc::clone(&waiting));
        tokio::spawn(async move {
            tokio::select! {
                _failed = draining.drain() => {}
                () = hear(BufReader::new(End(stream)), &answered) => {}
            }
            // Dropping the senders wakes every asker with an error.
            lock(&answered).take();
        });
        let slots = Semaphore::new(UNDER_WAY_MAX);
        Ok(Self { outbox, slots, waiting, number: AtomicU64::default(), speaks: PhantomData })
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// When the connection failed, before or meanwhile. Whether the request arrived is not known.
    pub async fn ask(&self, message: &Ask) -> Result<Answer, FrameError> {
        let (_slot, answer) = self.send(message, None).await?;
        let body = answer.await.map_err(|_| closed())?;
        Ok(serde_json::from_slice(&body)?)
    }

    /// Asks, and waits for the answer; `hear` is given what is said before it. One who hears too slowly
    /// does not hear all.
    ///
    /// # Errors
    /// As [`Pipelined::ask`].
    pub async fn ask_hearing(
        &self,
        message: &Ask,
        mut hear: impl FnMut(Answer),
    ) -> Result<Answer, FrameError> {
        let (before, mut said) = mpsc::channel(UNHEARD_MAX);
        let (_slot, mut answer) = self.send(message, Some(before)).await?;
        loop {
            // What was said first is heard first; with the answer, nothing more will be said.
            tokio::select! {
                biased;
                Some(body) = said.recv() => hear(serde_json::from_slice(&body)?),
                body = &mut answer => {
                    while let Ok(body) = said.try_recv() {
                        hear(serde_json::from_slice(&body)?);
                    }
                    return Ok(serde_json::from_slice(&body.map_err(|_| closed())?)?);
                }
            }
        }
    }

    /// Sends a request, with a place for its answer and for what is said before it.
    async fn send(
        &self,
        message: &Ask,
        before: Option<mpsc::Sender<Vec<u8>>>,
    ) -> Result<(SemaphorePermit<'_>, oneshot::Receiver<Vec<u8>>), FrameError> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let frame = frame::encode(number, message)?;
        let slot = self.slots.acquire().await.map_err(|_| closed())?;
        let (asker, answer) = oneshot::channel();
        match lock(&self.waiting).as_mut() {
            Some(all) => all.insert(number, Asker { answer: asker, before }),
            None => return Err(closed()),
        };
        if let Err(error) = self.outbox.send(frame) {
            lock(&self.waiting).take();
            return Err(error.into());
        }
        Ok((slot, answer))
    }

    /// True once the connection has failed.
    pub fn is_closed(&self) -> bool {
        lock(&self.waiting).is_none()
    }
}

/// Hands each answer to who waits for it, until the connection ends.
async fn hear(mut from: impl AsyncRead + Unpin, waiting: &Waiting) {
    while let Ok((Header { number, more, length: _ }, body)) = read_frame(&mut from).await {
        let mut waiting = lock(waiting);
        let Some(all) = waiting.as_mut() else { return };
        // The asker may have given up, or be slow; what is said is of no use to anybody else.
        if more {
            let before = all.get(&number).and_then(|asker| asker.before.as_ref());
            let _lost = before.map(|before| before.try_send(body));
        } else {
            let _given_up = all.remove(&number).map(|asker| asker.answer.send(body));
        }
    }
}

/// The next frame's header and body.
pub(super) async fn read_frame(
    from: &mut (impl AsyncRead + Unpin),
) -> Result<(Header, Vec<u8>), FrameError> {
    let mut header = [0; HEADER_BYTES];
    from.read_exact(&mut header).await?;
    let header = frame::decode_header(header)?;
    let mut body = vec![0; header.length];
    from.read_exact(&mut body).await?;
    Ok((header, body))
}

fn closed() -> FrameError {
    FrameError::Io(io::ErrorKind::BrokenPipe.into())
}

/// The map is whole even when a holder of the lock panicked: it only inserts and removes.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::{listen, serve};
    use super::*;

    /// A server that says each number below the one it is asked before it answers with it.
    async fn counting(dir: &Path) -> Pipelined<u32, u32> {
        let path = dir.join("s");
        let listener = listen(&path).unwrap();
        let each = |mut server: super::super::Server| {
            while let Ok(Some((number, asked))) = server.hear::<u32>() {
                (0..asked).for_each(|said| server.tell(number, &said).unwrap());
                server.answer(number, &asked).unwrap();
            }
        };
        std::thread::spawn(move || serve(&listener, |_| true, each));
        Pipelined::open(&path).await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_said_before_an_answer_is_heard_in_order_or_by_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let pipelined = counting(dir.path()).await;
        let mut heard = Vec::new();
        assert_eq!(pipelined.ask_hearing(&100, |said| heard.push(said)).await.unwrap(), 100);
        assert_eq!(heard, (0..100).collect::<Vec<_>>());
        assert_eq!(pipelined.ask(&100).await.unwrap(), 100, "who does not hear has the answer");
    }

    /// The attack: far more is said than is heard, to one who hears slowly.
    #[tokio::test(flavor = "multi_thread")]
    async fn one_that_hears_slowly_holds_up_nobody_and_has_its_answer() {
        let dir = tempfile::tempdir().unwrap();
        let pipelined = Arc::new(counting(dir.path()).await);
        let slow = Arc::clone(&pipelined);
        let slow = tokio::spawn(async move {
            let mut heard = Vec::new();
            let hear = |said| {
                // Its task hears nothing while this lasts.
                if heard.is_empty() {
                    std::thread::sleep(std::time::Duration::from_millis(500));
                }
                heard.push(said);
            };
            (slow.ask_hearing(&50_000, hear).await.unwrap(), heard)
        });
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        let began = std::time::Instant::now();
        assert_eq!(pipelined.ask(&1).await.unwrap(), 1);
        assert!(began.elapsed() < std::time::Duration::from_secs(5));
        let (answer, heard) = slow.await.unwrap();
        assert_eq!(answer, 50_000);
        assert!(heard.is_sorted() && heard.len() < 50_000, "{}", heard.len());
    }
}
