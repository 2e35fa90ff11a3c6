//! How the gateway speaks to its neighbours on the path of a call: connections that all calls share and that
//! are opened anew when they have failed. And the first of the two, the recorder.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::audit::Event;
use crate::call::Untrusted;
use crate::wire::{FrameError, Pipelined, Receipt, RecorderReply, RecorderRequest};

/// How long the recorder has for a record: a disk that takes longer is one that does not answer.
const RECORD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a process of ATF has to take a connection or to say hello.
pub(super) const OPEN_TIMEOUT: Duration = Duration::from_secs(2);

/// A process that did not answer, or said no.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unavailable {
    /// Nobody listens, or the connection broke.
    #[error("the {who} is away: {error}")]
    Away {
        /// The process.
        who: &'static str,
        /// What happened.
        error: FrameError,
    },
    /// It took too long.
    #[error("the {who} did not answer in {after:?}")]
    Slow {
        /// The process.
        who: &'static str,
        /// How long it had.
        after: Duration,
    },
    /// It answered no.
    #[error("the {who} refused: {why}")]
    Refused {
        /// The process.
        who: &'static str,
        /// In its words.
        why: Untrusted,
    },
}

/// A connection that is opened when it is needed.
pub(super) struct Link<Ask, Answer> {
    who: &'static str,
    path: PathBuf,
    pub(super) open: Mutex<Option<Arc<Pipelined<Ask, Answer>>>>,
}

impl<Ask: Serialize, Answer: DeserializeOwned> Link<Ask, Answer> {
    /// To the process `who` at the socket `path`.
    pub(super) fn new(who: &'static str, path: PathBuf) -> Self {
        Self { who, path, open: Mutex::new(None) }
    }

    /// The open connection, and whether it is a new one.
    pub(super) async fn get(&self) -> Result<(Arc<Pipelined<Ask, Answer>>, bool), Unavailable> {
        let mut open = self.open.lock().await;
        if let Some(pipelined) = open.as_ref().filter(|p| !p.is_closed()) {
            return Ok((Arc::clone(pipelined), false));
        }
        let fresh =
            within(self.who, OPEN_TIMEOUT, async { Ok(Pipelined::open(&self.path).await?) })
                .await?;
        let fresh = Arc::new(fresh);
        *open = Some(Arc::clone(&fresh));
        Ok((fresh, true))
    }
}

/// The recorder.
pub(super) struct Recorder {
    link: Link<RecorderRequest, RecorderReply>,
}

impl Recorder {
    /// The recorder at the socket `path`; it is connected when it is first needed.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { link: Link::new("recorder", path) }
    }

    /// Appends one record, and waits until the recorder has it.
    ///
    /// # Errors
    /// When it does not say so. Whether the record is in the log is not known then.
    pub(super) async fn append(&self, event: Event, durable: bool) -> Result<(), Unavailable> {
        let event = Box::new(event);
        self.ask(RecorderRequest::Append { event, durable, permit: None }).await.map(drop)
    }

    /// Appends the record of an allowed call with its permit's text, for a receipt that stands for
    /// the permit.
    ///
    /// # Errors
    /// As [`Recorder::append`]; and when the two do not say the same.
    pub(super) async fn append_permitted(
        &self,
        event: Event,
        durable: bool,
        permit: String,
    ) -> Result<Receipt, Unavailable> {
        let (event, permit) = (Box::new(event), Some(permit));
        let receipt = self.ask(RecorderRequest::Append { event, durable, permit }).await?;
        let why = || "it gave no receipt for a permit".into();
        receipt.ok_or_else(|| Unavailable::Refused { who: self.link.who, why: why() })
    }

    async fn ask(&self, request: RecorderRequest) -> Result<Option<Receipt>, Unavailable> {
        let (pipelined, _) = self.link.get().await?;
        let asked = async { pipelined.ask(&request).await };
        match within(self.link.who, RECORD_TIMEOUT, asked).await? {
            RecorderReply::Recorded { receipt } => Ok(receipt),
            RecorderReply::Refused { why } => Err(Unavailable::Refused { who: self.link.who, why }),
        }
    }

    /// Appends a record on which nothing waits; its loss is told to the operator's log.
    pub(super) async fn note(&self, event: Event) {
        if let Err(error) = self.append(event.clone(), false).await {
            tracing::error!(%error, ?event, "not recorded");
        }
    }
}

/// What `asked` gives within `after`.
pub(super) async fn within<T>(
    who: &'static str,
    after: Duration,
    asked: impl Future<Output = Result<T, FrameError>>,
) -> Result<T, Unavailable> {
    match timeout(after, asked).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(Unavailable::Away { who, error }),
        Err(_) => Err(Unavailable::Slow { who, after }),
    }
}
