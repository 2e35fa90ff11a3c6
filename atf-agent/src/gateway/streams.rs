//! The streams that one run has open beside those of its calls. One of HTTP+SSE (MCP 2024-11-05) is a session by
//! itself: it has a word that nobody guesses, takes the answers to what is posted with that word, and grants
//! nothing. One of the later transport belongs to a session and tells what that has subscribed to.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame};
use tokio::sync::Notify;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Instant, Interval, interval_at, timeout};

use super::events::event;
use super::following::{Following, Next};
use super::headers::{MESSAGES_PATH, STREAM_WORD};
use super::runs::LiveRun;
use super::sessions::{Session, word};
use super::updates::updated;
use crate::call::Caller;

/// Most streams of one run at once. Each has a connection; one client has one.
const STREAMS_MAX: usize = 8;

/// Messages that wait for a slow reader. Each answer holds one of the run's calls until it waits here.
const MESSAGES_MAX: usize = 1;

/// Between two signs of life: SDKs give up a stream on which nothing comes for minutes.
pub(super) const BEAT: Duration = Duration::from_secs(15);

/// A sign of life: a line that is a comment (WHATWG HTML, server-sent events).
pub(super) const ALIVE: &str = ":\n\n";

/// The streams of one run.
#[derive(Default)]
pub(super) struct Streams(Mutex<Vec<Arc<Stream>>>);

/// One of them, as those who answer on it know it.
pub(super) struct Stream {
    /// By which its client posts to it; none of one on which nobody is answered.
    word: Option<String>,
    caller: Caller,
    /// What its client said before.
    pub(super) session: Arc<Session>,
    messages: Sender<String>,
    unread: Mutex<Option<Receiver<String>>>,
    heard: Mutex<Instant>,
    cut: Arc<Notify>,
}

/// One of them, as it is read. It ends when this is dropped.
pub(super) struct StreamEvents {
    first: Option<Bytes>,
    messages: Receiver<String>,
    /// The next that is told of what its session has subscribed to.
    update: Update,
    beat: Interval,
    idle_max: Duration,
    stream: Arc<Stream>,
    run: Arc<LiveRun>,
}

/// Why there is no stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoStream {
    /// The run has enough of them.
    Many,
    /// There are no random bytes.
    Wordless,
}

impl Streams {
    /// The stream of this word, when it is `caller`'s and somebody reads it.
    pub(super) fn get(&self, word: &str, caller: Caller) -> Option<Arc<Stream>> {
        let is_it = |stream: &&Arc<Stream>| {
            stream.word.as_deref() == Some(word) && stream.caller == caller && stream.is_open()
        };
        lock(&self.0).iter().find(is_it).cloned()
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        lock(&self.0).len()
    }

    fn add(&self, stream: &Arc<Stream>) -> Result<(), NoStream> {
        let mut all = lock(&self.0);
        let is_double = all.iter().any(|one| Arc::ptr_eq(&one.session, &stream.session));
        if all.len() >= STREAMS_MAX || is_double {
            return Err(NoStream::Many);
        }
        all.push(Arc::clone(stream));
        Ok(())
    }

    fn remove(&self, stream: &Arc<Stream>) {
        lock(&self.0).retain(|one| !Arc::ptr_eq(one, stream));
    }
}

/// What is told next.
type Update = Pin<Box<dyn Future<Output = String> + Send>>;

fn update(session: &Arc<Session>) -> Update {
    let session = Arc::clone(session);
    Box::pin(async move { updated(&session.updates.next().await) })
}

impl StreamEvents {
    /// Opens `stream` for `run`. One on which its client says nothing for `idle_max` ends.
    ///
    /// # Errors
    /// When the run, or the session, has enough of them.
    pub(super) fn begin(
        run: &Arc<LiveRun>,
        stream: Stream,
        idle_max: Duration,
    ) -> Result<Self, NoStream> {
        let stream = Arc::new(stream);
        let messages = lock(&stream.unread).take().ok_or(NoStream::Many)?;
        run.streams.add(&stream)?;
        let endpoint =
            |word| format!("event: endpoint\ndata: {MESSAGES_PATH}?{STREAM_WORD}{word}\n\n");
        let first = stream.word.as_ref().map_or_else(|| ALIVE.to_owned(), endpoint);
        let beat = BEAT.min(idle_max);
        Ok(Self {
            first: Some(first.into()),
            messages,
            update: update(&stream.session),
            beat: interval_at(Instant::now() + beat, beat),
            idle_max,
            stream,
            run: Arc::clone(run),
        })
    }
}

impl Stream {
    /// One on which `caller` is answered, whose connection `cut` ends.
    ///
    /// # Errors
    /// Without random bytes.
    pub(super) fn to_answer(caller: Caller, cut: Arc<Notify>) -> Result<Self, NoStream> {
        let word = Some(word().ok_or(NoStream::Wordless)?);
        Ok(Self { word, ..Self::to_tell(caller, Arc::new(Session::of_connection()), cut) })
    }

    /// One on which it is told what `session` subscribed to.
    pub(super) fn to_tell(caller: Caller, session: Arc<Session>, cut: Arc<Notify>) -> Self {
        let (messages, unread) = channel(MESSAGES_MAX);
        Self {
            word: None,
            caller,
            session,
            messages,
            unread: Mutex::new(Some(unread)),
            heard: Mutex::new(Instant::now()),
            cut,
        }
    }

    /// Whether it is read.
    pub(super) fn is_open(&self) -> bool {
        !self.messages.is_closed()
    }

    /// Its client said something.
    pub(super) fn heard(&self) {
        *lock(&self.heard) = Instant::now();
    }

    /// Hands on what comes of one call, until its answer or the end of the stream. The call goes on whoever
    /// reads: before 2026-07-28 nobody cancels by hanging up. A reader that takes too long is cut off.
    pub(super) async fn follow(self: Arc<Self>, mut following: Following, patience: Duration) {
        loop {
            let next = tokio::select! {
                // First, so that the call is begun in any case.
                biased;
                next = following.next() => next,
                () = self.messages.closed() => return,
            };
            let (message, slot) = match next {
                Next::Notice(notice) => (notice, None),
                Next::Answer(answer, slot) => (answer.body, Some(slot)),
            };
            // A notification has no answer.
            if !message.is_empty() {
                match timeout(patience, self.messages.send(message)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return,
                    Err(_) => {
                        self.cut.notify_one();
                        return;
                    }
                }
            }
            if slot.is_some() {
                return;
            }
        }
    }
}

impl Body for StreamEvents {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        if let Poll::Ready(message) = self.messages.poll_recv(context) {
            return Poll::Ready(message.map(|message| Ok(event(&message))));
        }
        if let Poll::Ready(message) = self.update.as_mut().poll(context) {
            self.update = update(&self.stream.session);
            return Poll::Ready(Some(Ok(event(&message))));
        }
        ready!(self.beat.poll_tick(context));
        let session = &self.stream.session;
        let is_over = self.stream.word.is_none() && !self.run.sessions.has(session);
        if is_over || lock(&self.stream.heard).elapsed() >= self.idle_max {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(ALIVE.as_bytes())))))
    }
}

impl Drop for StreamEvents {
    fn drop(&mut self) {
        self.run.streams.remove(&self.stream);
    }
}

/// What is guarded is whole even when a holder of the lock panicked: it is only set and taken.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
