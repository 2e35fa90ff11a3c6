//! A message that is posted, and its answer: one message, or events of which one is the answer.

use std::time::Duration;

use hyper::{Method, StatusCode};
use tokio::time::timeout;

use super::super::message::{self, Body, Failed, Heard};
use super::super::saying::{Saying, What};
use super::super::sides::Said;
use super::exchange::{self, Answered, Kind};
use super::resuming::Resumed;
use super::{Talk, heard};

/// How long a stream has to end after its answer, so that its connection is used again.
const TAIL_MAX: Duration = Duration::from_millis(50);

/// Longest answer to what wants none.
const NOTHING_BYTES_MAX: usize = 64 << 10;

/// How long a request of our own, or a call, may take in all. The session gives a call up before.
const WHOLE_MAX: Duration = Duration::from_secs(30);

impl Talk {
    /// Posts a request; its answer, or that there is none, goes to the session.
    pub(super) async fn request(&self, saying: Saying, id: u64) {
        let most = self.call_timeout.max(WHOLE_MAX);
        let done = timeout(most, self.asked(&saying, id)).await;
        let done = done
            .unwrap_or_else(|_| Err(Failed::Unanswered(format!("no whole answer in {most:?}"))));
        if let Err(failed) = done {
            self.hear(Heard::Answer { id, body: Body::Failed(failed) }).await;
        }
    }

    async fn asked(&self, saying: &Saying, id: u64) -> Result<(), Failed> {
        let Answered { mut response, kind, sender, has_session } = self.post(saying).await?;
        let status = response.status();
        if status == StatusCode::NOT_FOUND && has_session {
            self.link.session.forget();
            return Err(Failed::Forgotten);
        }
        if matches!(&saying.what, What::Request { method: "initialize", .. })
            && exchange::is_good(status)
            && let Some(session) = exchange::session(&response)?
        {
            self.link.session.begin(session);
        }
        match kind {
            Kind::Events if status == StatusCode::OK => {
                let (mut body, mut sender) = (response.into_body(), sender);
                let mut stream = Resumed::new(self.link.remote.answer_bytes_max);
                while let Some(ended) = self.events(&mut body, &mut stream, id).await? {
                    (body, sender) = self.resume(&mut stream, saying).await.ok_or(ended)?;
                }
                // Only what ended is used again.
                let tail = timeout(TAIL_MAX, exchange::whole(&mut body, NOTHING_BYTES_MAX)).await;
                if matches!(tail, Ok(Ok(_))) {
                    self.link.dial.keep(sender);
                }
                Ok(())
            }
            Kind::Json => {
                let most = self.link.remote.answer_bytes_max;
                let bytes = exchange::whole(response.body_mut(), most).await?;
                self.link.dial.keep(sender);
                match (message::read(&bytes), refused(status)) {
                    (Heard::Answer { id: found, body }, _) if found == id => {
                        self.hear(Heard::Answer { id, body }).await;
                        Ok(())
                    }
                    (_, Some(refused)) => {
                        self.hear(Heard::Answer { id, body: refused? }).await;
                        Ok(())
                    }
                    (other, None) => {
                        self.hear(not_of(id, other)).await;
                        Err(Failed::Unanswered("it answered with no answer".to_owned()))
                    }
                }
            }
            Kind::Events | Kind::Other => match refused(status) {
                Some(refused) => {
                    self.hear(Heard::Answer { id, body: refused? }).await;
                    Ok(())
                }
                None => {
                    let found = response.headers().get(hyper::header::CONTENT_TYPE).cloned();
                    let why = format!("it answered with status {status} and the type {found:?}");
                    Err(Failed::Unanswered(why))
                }
            },
        }
    }

    /// Reads events up to the answer to `id`; why there is none when they end before it.
    async fn events(
        &self,
        body: &mut hyper::body::Incoming,
        stream: &mut Resumed,
        id: u64,
    ) -> Result<Option<Failed>, Failed> {
        loop {
            let data = match exchange::piece(body).await {
                Ok(Some(data)) => data,
                Ok(None) => {
                    let why = "its events ended without the answer".to_owned();
                    return Ok(Some(Failed::Unanswered(why)));
                }
                Err(broken) => return Ok(Some(broken)),
            };
            for event in stream.take(&data)? {
                let Some(heard) = heard(&event) else { continue };
                if matches!(heard, Heard::Answer { id: found, .. } if found == id) {
                    self.hear(heard).await;
                    return Ok(None);
                }
                self.hear_of(id, not_of(id, heard)).await;
            }
        }
    }

    /// Posts what nobody waits for.
    pub(super) async fn tell(&self, saying: Saying) {
        let told = async {
            let Answered { mut response, sender, .. } = self.post(&saying).await?;
            exchange::whole(response.body_mut(), NOTHING_BYTES_MAX).await?;
            self.link.dial.keep(sender);
            match exchange::is_good(response.status()) {
                true => Ok(()),
                false => Err(Failed::Unanswered(format!("status {}", response.status()))),
            }
        };
        let told = timeout(self.link.remote.answer_timeout, told).await;
        if let Ok(Err(error)) = told {
            tracing::debug!(%error, "a tool server was not told");
        }
    }

    pub(super) async fn post(&self, saying: &Saying) -> Result<Answered, Failed> {
        let said = (Some(&saying.what), saying.revision);
        let asking = self.link.asking(Method::POST, self.path(), &saying.line, said);
        self.link.send(asking.map_err(Failed::Unheard)?, saying.stands.as_ref()).await
    }

    /// Tells the session what was said on the stream of request `id`, before its answer.
    async fn hear_of(&self, id: u64, heard: Heard) {
        drop(self.say.send(Said::Of(id, heard)).await);
    }

    /// Tells the session. It reads slowly, and so is the server read.
    pub(super) async fn hear(&self, heard: Heard) {
        // A session that is over hears nothing more.
        drop(self.say.send(Said::Message(heard)).await);
    }
}

/// On the stream of one request, the answer to another is none.
fn not_of(id: u64, heard: Heard) -> Heard {
    match heard {
        Heard::Answer { id: found, .. } => {
            Heard::Bad(format!("an answer to request {found} in place of one to {id}"))
        }
        other => other,
    }
}

/// What a status says without a message: that the request was refused, or that nobody knows.
fn refused(status: StatusCode) -> Option<Result<Body, Failed>> {
    match status {
        _ if status.is_client_error() => Some(Ok(Body::Error {
            code: status.as_u16().into(),
            message: format!("HTTP status {status}"),
            missing: Default::default(),
        })),
        _ if status.is_success() => None,
        _ => Some(Err(Failed::Unanswered(format!("it answered with status {status}")))),
    }
}
