//! HTTP+SSE of 2024-11-05: one stream of events has all that a server says, and its first event is where
//! messages are posted. When the stream ends, so does the life of the server.

use hyper::body::Incoming;
use hyper::{Method, StatusCode};
use tokio::time::timeout;

use super::super::message::{Body, Failed, Heard};
use super::super::saying::Saying;
use super::events::Events;
use super::exchange::{self, Answered, Kind};
use super::{Talk, heard};

/// Longest answer to a message that was posted: its answer is an event.
const NOTHING_BYTES_MAX: usize = 64 << 10;

/// The stream, behind the event that says where messages go.
pub(super) struct Stream {
    body: Incoming,
    events: Events,
    first: Vec<Heard>,
    /// Where messages are posted.
    pub(super) path: String,
}

impl Talk {
    /// Opens the stream.
    ///
    /// # Errors
    /// When there is none, or it does not begin as it has to.
    pub(super) async fn stream(&self) -> Result<Stream, Failed> {
        let most = self.link.remote.answer_timeout;
        let opened = timeout(most, self.try_stream()).await;
        opened.unwrap_or_else(|_| {
            Err(Failed::Unanswered(format!("it did not say in {most:?} where messages go")))
        })
    }

    async fn try_stream(&self) -> Result<Stream, Failed> {
        let wrong = Failed::Unanswered;
        let url = &self.link.remote.url;
        let asking = self.link.asking(Method::GET, &url.path, "", (None, None));
        let Answered { response, kind, .. } =
            self.link.send(asking.map_err(Failed::Unheard)?, None).await?;
        if response.status() != StatusCode::OK || kind != Kind::Events {
            return Err(wrong(format!("it has no stream: status {}", response.status())));
        }
        let mut body = response.into_body();
        let mut events = Events::new(self.link.remote.answer_bytes_max);
        while let Some(data) = exchange::piece(&mut body).await? {
            let found = events.take(&data);
            let mut found = found.map_err(|fault| wrong(format!("it said {fault}")))?.into_iter();
            let Some(event) = found.next() else { continue };
            if event.kind != "endpoint" {
                return Err(wrong(format!("its first event is {:?}", event.kind)));
            }
            let path = url.beside(&event.data).map_err(wrong)?;
            let first = found.filter_map(|event| heard(&event)).collect();
            return Ok(Stream { body, events, first, path });
        }
        Err(wrong("its stream ended before it began".to_owned()))
    }

    /// Reads the stream to its end.
    pub(super) async fn follow_all(&self, mut stream: Stream) -> Result<(), Failed> {
        for heard in std::mem::take(&mut stream.first) {
            self.hear(heard).await;
        }
        while let Some(data) = exchange::piece(&mut stream.body).await? {
            let found = stream.events.take(&data);
            let found = found.map_err(|fault| Failed::Unanswered(format!("it said {fault}")))?;
            for heard in found.iter().filter_map(heard) {
                self.hear(heard).await;
            }
        }
        Ok(())
    }

    /// Posts a request, whose answer will be an event.
    pub(super) async fn post_only(&self, saying: Saying, id: u64) {
        let posted = async {
            let Answered { mut response, sender, .. } = self.post(&saying).await?;
            let status = response.status();
            exchange::whole(response.body_mut(), NOTHING_BYTES_MAX).await?;
            self.link.dial.keep(sender);
            match status {
                _ if exchange::is_good(status) => Ok(None),
                _ if status.is_client_error() => Ok(Some(Body::Error {
                    code: status.as_u16().into(),
                    message: format!("HTTP status {status}"),
                    missing: Default::default(),
                })),
                _ => Err(Failed::Unanswered(format!("it answered with status {status}"))),
            }
        };
        let most = self.link.remote.answer_timeout;
        let posted = timeout(most, posted).await.unwrap_or_else(|_| {
            Err(Failed::Unanswered(format!("the message was not taken in {most:?}")))
        });
        let body = match posted {
            Ok(None) => return,
            Ok(Some(body)) => body,
            Err(failed) => Body::Failed(failed),
        };
        self.hear(Heard::Answer { id, body }).await;
    }
}
