//! The stream of an answer that broke off, or that its server closed, before the answer: one comes back to it where it
//! gave an event an id (MCP 2025-11-25, Resumability and Redelivery), and asks for nothing anew. It is one stream in its
//! bounds, however often it is come back to.

use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::{Method, StatusCode};
use tokio::time::sleep;

use super::super::message::Failed;
use super::super::saying::Saying;
use super::Talk;
use super::dial::Sender;
use super::events::{Event, Events};
use super::exchange::{Answered, Kind, LAST_EVENT};
use crate::gate::Era;

/// What a stream may say in all before the answer that it is for, in answers of the greatest length.
const STREAM_MAX: usize = 4;

/// How often one comes back to a stream: twice a second for as long as a call may take.
const TIMES_MAX: u32 = 64;

/// Times in a row in which nobody was there, or had anything to say: some servers have an empty stream for one to whom
/// they have nothing to say any more.
const AWAY_MAX: u32 = 3;

/// The pause before one comes back, where the server names none.
const PAUSE: Duration = Duration::from_secs(1);

/// The shortest and the longest one that it may name.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// One stream.
pub(super) struct Resumed {
    events: Events,
    left: usize,
    times: u32,
    /// Of which the last so many were in vain.
    in_vain: u32,
}

impl Resumed {
    /// One whose events have at most `bytes_max` bytes.
    pub(super) fn new(bytes_max: usize) -> Self {
        let left = bytes_max.saturating_mul(STREAM_MAX);
        Self { events: Events::new(bytes_max), left, times: 0, in_vain: 0 }
    }

    /// Takes what came; the events that end in it.
    ///
    /// # Errors
    /// When it is to be read no further.
    pub(super) fn take(&mut self, data: &[u8]) -> Result<Vec<Event>, Failed> {
        self.left = self.left.checked_sub(data.len()).ok_or_else(|| {
            Failed::Unanswered("its events did not come to the answer".to_owned())
        })?;
        let found = self.events.take(data);
        found.map_err(|fault| Failed::Unanswered(format!("it said {fault}")))
    }

    /// The id after which one comes back now, if one may.
    fn next(&mut self) -> Option<HeaderValue> {
        self.times += 1;
        self.in_vain = if self.events.says_something() { 1 } else { self.in_vain + 1 };
        self.events.again();
        let is_over = self.times > TIMES_MAX || self.in_vain > AWAY_MAX;
        let id = self.events.last().filter(|_| !is_over)?;
        HeaderValue::from_str(id).ok()
    }

    fn pause(&self) -> Duration {
        let (least, most) = PAUSES;
        self.events.retry_ms().map_or(PAUSE, Duration::from_millis).clamp(least, most)
    }
}

impl Talk {
    /// Comes back to a stream that ended; what follows on it, and the connection. None when there is nothing to come
    /// back to: the call was heard, and nobody knows what became of it.
    pub(super) async fn resume(
        &self,
        stream: &mut Resumed,
        saying: &Saying,
    ) -> Option<(Incoming, Sender)> {
        if self.link.era == Era::Stateless {
            return None;
        }
        loop {
            let id = stream.next()?;
            sleep(stream.pause()).await;
            let said = (None, saying.revision);
            let mut asking = self.link.asking(Method::GET, self.path(), "", said).ok()?;
            asking.headers_mut().insert(LAST_EVENT, id);
            match self.link.send(asking, None).await {
                Ok(Answered { response, kind, sender, .. }) => {
                    let status = response.status();
                    tracing::debug!(%status, "a tool server's answer is come back to");
                    let goes_on = status == StatusCode::OK && kind == Kind::Events;
                    return goes_on.then(|| (response.into_body(), sender));
                }
                Err(error) => tracing::debug!(%error, "a tool server's answer is not come back to"),
            }
        }
    }
}
