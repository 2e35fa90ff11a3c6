//! The answer to one HTTP request as a stream of events (WHATWG HTML, server-sent events): what is told
//! about its call, then its answer. The stream is of this request alone and ends with it.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Bytes, Frame};
use tokio::sync::OwnedSemaphorePermit;

use super::following::{Following, Next};

/// The stream.
pub(super) struct Events {
    first: Option<String>,
    following: Option<Following>,
    /// Held until the stream is read to its end or dropped: a slow reader has no more answers than calls.
    _slot: Option<OwnedSemaphorePermit>,
}

impl Events {
    /// A stream of an answer alone.
    pub(super) fn whole(answer: String, slot: Option<OwnedSemaphorePermit>) -> Self {
        Self { first: Some(answer), following: None, _slot: slot }
    }

    /// A stream that begins with `first`.
    pub(super) fn begin(first: String, following: Following) -> Self {
        Self { first: Some(first), following: Some(following.apart()), _slot: None }
    }
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(event(&first))));
        }
        let Some(following) = self.following.as_mut() else {
            return Poll::Ready(None);
        };
        let event = match ready!(following.poll_next(context)) {
            Next::Notice(notice) => event(&notice),
            Next::Answer(answer, slot) => {
                self.following = None;
                self._slot = slot;
                event(&answer.body)
            }
        };
        Poll::Ready(Some(Ok(event)))
    }
}

/// One message as an event.
pub(super) fn event(message: &str) -> Frame<Bytes> {
    Frame::data(Bytes::from(text(message)))
}

/// The same in text. A line's end in JSON is white space: inside a string it must be escaped.
pub(super) fn text(message: &str) -> String {
    format!("event: message\ndata: {}\n\n", message.replace(['\n', '\r'], " "))
}
