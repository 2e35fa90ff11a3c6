//! What a server tells without being asked: a stream that is held open while its life lasts, and opened again
//! when it ends.

use std::time::Duration;

use hyper::{Method, StatusCode};
use tokio::time::Instant;

use super::super::message::{Body, Failed, Heard};
use super::super::news::News;
use super::super::saying::Saying;
use super::events::Events;
use super::exchange::{self, Answered, Kind};
use super::{Talk, heard};

/// Longest event of a stream of notices. There may be hundreds of such streams, each with a part of one.
const NOTICE_BYTES_MAX: usize = 256 << 10;

/// The number of no request.
const NOBODYS: u64 = 0;

/// How one asks for the stream.
pub(super) enum Asks {
    /// By GET, in a session.
    Get(Option<&'static str>),
    /// By a request of its own.
    Post(Saying),
}

impl Talk {
    /// Listens until this life is over, or the server says that it has no such stream.
    pub(super) async fn listen(&self, asks: Asks) {
        let mut pause = Pause::new();
        let mut was_open = false;
        loop {
            let since = Instant::now();
            match self.open(&asks, was_open).await {
                Ok(Some(mut body)) => {
                    if was_open {
                        // What it told meanwhile was told to nobody.
                        for news in [News::Tools, News::Besides] {
                            self.hear(Heard::Told { news }).await;
                        }
                    }
                    was_open = true;
                    let ended = self.follow(&mut body).await;
                    tracing::debug!(?ended, "a tool server's stream ended");
                }
                Ok(None) => return,
                Err(failed @ Failed::Forgotten) => {
                    let body = Body::Failed(failed);
                    return self.hear(Heard::Answer { id: NOBODYS, body }).await;
                }
                Err(error) => tracing::debug!(%error, "a tool server's stream is not open"),
            }
            pause.wait(since).await;
        }
    }

    /// The stream; none when the server has none.
    async fn open(
        &self,
        asks: &Asks,
        was_open: bool,
    ) -> Result<Option<hyper::body::Incoming>, Failed> {
        let Answered { response, kind, has_session, .. } = match asks {
            Asks::Post(saying) => self.post(saying).await?,
            Asks::Get(revision) => {
                let asking = self.link.asking(Method::GET, self.path(), "", (None, *revision));
                self.link.send(asking.map_err(Failed::Unheard)?, None).await?
            }
        };
        let status = response.status();
        if status.is_server_error() {
            return Err(Failed::Unanswered(format!("it answered with status {status}")));
        }
        // One that never had the stream may say the same, and mean the stream.
        if was_open && has_session && status == StatusCode::NOT_FOUND {
            self.link.session.forget();
            return Err(Failed::Forgotten);
        }
        let is_open = status == StatusCode::OK && kind == Kind::Events;
        Ok(is_open.then(|| response.into_body()))
    }

    /// Reads a stream to its end.
    async fn follow(&self, body: &mut hyper::body::Incoming) -> Result<(), Failed> {
        let most = self.link.remote.answer_bytes_max.min(NOTICE_BYTES_MAX);
        let mut events = Events::new(most);
        while let Some(data) = exchange::piece(body).await? {
            let found = events.take(&data);
            let found = found.map_err(|fault| Failed::Unanswered(format!("it said {fault}")))?;
            for heard in found.iter().filter_map(heard) {
                self.hear(notice(heard)).await;
            }
        }
        Ok(())
    }
}

/// No request is answered on this stream.
fn notice(heard: Heard) -> Heard {
    match heard {
        Heard::Answer { .. } => Heard::Told { news: News::Other },
        other => other,
    }
}

/// Until when a stream that ended is asked for again.
struct Pause {
    next: Duration,
}

impl Pause {
    const FIRST: Duration = Duration::from_secs(1);
    const LAST: Duration = Duration::from_secs(30);

    /// None yet.
    fn new() -> Self {
        Self { next: Self::FIRST }
    }

    /// After a stream that was opened at `since`.
    async fn wait(&mut self, since: Instant) {
        if since.elapsed() >= Self::LAST {
            self.next = Self::FIRST;
        }
        tokio::time::sleep(self.next).await;
        self.next = (self.next * 2).min(Self::LAST);
    }
}
