//! Who reads the stream of a call, over HTTP.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Bytes, Frame};
use tokio::sync::Notify;
use tokio::time::{Instant, Interval, interval_at};

use super::super::streams::{ALIVE, BEAT};
use super::stream::{Found, Stream};

/// How long a client that lost its connection is to wait before it comes back: nobody waits for a second, and one
/// that comes back again and again asks no more often.
const RETRY_MS: u32 = 1_000;

/// One that reads a stream. It reads no more when this is dropped.
pub(in crate::gateway) struct Reading {
    first: Option<Bytes>,
    stream: Arc<Stream>,
    number: u64,
    /// How many events it has read.
    read: u64,
    beat: Interval,
}

impl Reading {
    /// Reads `stream` behind its first `read` events. `cut` ends its connection. One that is primed has an id at once,
    /// by an event without data, which clients of older revisions do not understand.
    pub(super) fn of(stream: &Arc<Stream>, read: u64, cut: Arc<Notify>, is_primed: bool) -> Self {
        let priming = || format!("id: {}\nretry: {RETRY_MS}\ndata:\n\n", stream.id(0)).into();
        Self {
            first: is_primed.then(priming),
            number: stream.is_read_by(cut),
            stream: Arc::clone(stream),
            read,
            beat: interval_at(Instant::now() + BEAT, BEAT),
        }
    }
}

impl Body for Reading {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        match self.stream.read(self.number, self.read, context.waker()) {
            Found::Event(event) => {
                self.read += 1;
                Poll::Ready(Some(Ok(Frame::data(event))))
            }
            Found::End => Poll::Ready(None),
            // By a sign of life it is found out that nobody is there.
            Found::Waits => {
                ready!(self.beat.poll_tick(context));
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(ALIVE.as_bytes())))))
            }
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.stream.is_left_by(self.number);
    }
}
