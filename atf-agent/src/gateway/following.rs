//! One call as its door follows it: what is told about it first, then its answer. A door that drops this has
//! hung up.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::body::Bytes;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::Receiver;

use super::Gateway;
use super::answer::Answer;
use super::detached::Detached;
use super::headers::Envelope;
use super::line::{self, Ended, Sent};
use super::runs::LiveRun;
use super::sessions::Session;
use super::telling::{Known, outlet};
use crate::call::Caller;

/// A call under way.
pub(super) struct Following {
    call: Detached<Ended>,
    of: Caller,
    notices: Receiver<String>,
    known: Option<Arc<Known>>,
    ended: Option<Ended>,
}

/// What comes next.
pub(super) enum Next {
    /// Something that its server tells.
    Notice(String),
    /// The end.
    Answer(Answer, Option<OwnedSemaphorePermit>),
}

impl Following {
    /// Begins the call of `caller`.
    pub(super) fn begin(
        (gateway, run): (Arc<Gateway>, Arc<LiveRun>),
        caller: Caller,
        (message, envelope, session): (Bytes, Envelope, Option<Arc<Session>>),
        slot: OwnedSemaphorePermit,
    ) -> Self {
        let resumes = session.as_ref().is_some_and(|session| session.resumes());
        let known = resumes.then(Arc::<Known>::default);
        let (outlet, notices) = outlet(known.clone());
        let sent = Sent { message, envelope, slot: Some(slot), outlet, session };
        let call = line::detached(gateway, run, caller, sent);
        Self { call, of: caller, notices, known, ended: None }
    }

    /// The same call, for a door that waits for its reader meanwhile: who reads slowly holds up no call.
    pub(super) fn apart(mut self) -> Self {
        self.call.apart();
        self
    }

    /// What is known of it meanwhile, in a session whose streams are come back to.
    pub(super) fn known(&self) -> Option<&Known> {
        self.known.as_deref()
    }

    /// What comes next; nothing comes after the answer.
    pub(super) async fn next(&mut self) -> Next {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// The same, to be polled. What was told before the answer was given is told before it.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Next> {
        if self.ended.is_none()
            && let Poll::Ready(ended) = Pin::new(&mut self.call).poll(context)
        {
            self.ended = Some(ended.unwrap_or_else(|lost| {
                tracing::error!(%lost, run = %self.of.run, "a call failed inside the gateway");
                (Answer::failed(), None)
            }));
        }
        let Some(ended) = self.ended.take() else {
            // Without notices to come, the answer is.
            let Some(notice) = ready!(self.notices.poll_recv(context)) else {
                return Poll::Pending;
            };
            return Poll::Ready(Next::Notice(notice));
        };
        // All that was told is there by now.
        match self.notices.try_recv() {
            Ok(notice) => {
                self.ended = Some(ended);
                Poll::Ready(Next::Notice(notice))
            }
            Err(_) => Poll::Ready(Next::Answer(ended.0, ended.1)),
        }
    }
}
