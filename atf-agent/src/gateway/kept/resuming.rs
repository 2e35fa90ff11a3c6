//! How the stream of a call begins that its client can come back to, and how it comes back.

use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use hyper::body::Bytes;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::super::Gateway;
use super::super::answer::Answer;
use super::super::events::Events;
use super::super::following::{Following, Next};
use super::super::headers::Envelope;
use super::super::http::Replied;
use super::super::runs::LiveRun;
use super::super::sessions::Session;
use super::super::sse::{admitted, ended};
use super::{Reading, Stream};
use crate::call::Caller;
use crate::gate;

/// How a request may be answered.
pub(in crate::gateway) struct Wants {
    prefers_events: bool,
    /// The session to whose streams the client can come back, when it takes any.
    session: Option<Arc<Session>>,
    /// As it came: what is itself an answer has no stream.
    message: Bytes,
    /// How long one waits before the stream begins of what takes its time.
    begins_after: Duration,
}

impl Wants {
    /// What the head of `message` says.
    pub(in crate::gateway) fn of(
        (gateway, run): (&Gateway, &LiveRun),
        envelope: &Envelope,
        session: Option<&Arc<Session>>,
        message: &Bytes,
    ) -> Self {
        let takes_events = !envelope.stated.takes_one_message && run.kept.keeps();
        Self {
            prefers_events: envelope.prefers_events,
            session: session.filter(|session| takes_events && session.resumes()).cloned(),
            message: message.clone(),
            begins_after: gateway.patience.resumes,
        }
    }

    /// What comes first; none of a call that takes its time. Then its stream begins, by whose first event its client
    /// can come back. Before it is acted upon it may be refused, by a status of its own.
    async fn first(&self, following: &mut Following) -> Option<Next> {
        let is_primed = self.session.as_ref().is_some_and(|session| session.is_primed());
        if !is_primed {
            return Some(following.next().await);
        }
        loop {
            if let Ok(next) = timeout(self.begins_after, following.next()).await {
                return Some(next);
            }
            let is_acted_upon = following.known().is_some_and(|known| known.is_acted_upon());
            if is_acted_upon && !gate::is_answer(&self.message) {
                return None;
            }
        }
    }

    /// The stream that is kept, when `first` is to come on one.
    fn kept(
        &self,
        run: &LiveRun,
        (first, following): (Option<&Next>, &Following),
        cut: &Arc<Notify>,
    ) -> Option<(Arc<Stream>, Reading)> {
        let session = self.session.as_deref()?;
        let is_primed = session.is_primed();
        if let Some(Next::Answer(answer, _)) = first
            && !(is_primed && self.takes_whole(answer))
        {
            return None;
        }
        let claims = following.known()?.claims()?;
        run.kept.begin((session, claims), Arc::clone(cut), is_primed)
    }

    /// Whether this answer comes as an event although there is nothing else to tell.
    fn takes_whole(&self, answer: &Answer) -> bool {
        self.prefers_events && answer.status == StatusCode::OK && answer.session.is_none()
    }
}

/// The reply to a request of which `following` comes. `cut` ends its connection.
pub(in crate::gateway) async fn reply(
    run: &LiveRun,
    mut following: Following,
    wants: Wants,
    cut: Arc<Notify>,
) -> Replied {
    let first = wants.first(&mut following).await;
    if let Some((stream, reading)) = wants.kept(run, (first.as_ref(), &following), &cut) {
        match first {
            None => {}
            Some(Next::Notice(notice)) => stream.tell(&notice),
            Some(Next::Answer(answer, place)) => {
                stream.ends(&answer.body, place);
                return Replied::Kept(reading);
            }
        }
        tokio::spawn(stream.follow(following));
        return Replied::Kept(reading);
    }
    let first = match first {
        Some(first) => first,
        None => following.next().await,
    };
    match first {
        Next::Notice(first) => Replied::Events(Events::begin(first, following), None),
        Next::Answer(Answer { body, session, status: StatusCode::OK, .. }, place)
            if wants.prefers_events =>
        {
            Replied::Events(Events::whole(body, place), session)
        }
        Next::Answer(answer, _place) => answer.into(),
    }
}

/// What came after the event `id` of a call in `session`, for whoever could make a ping and has what the call was made
/// with. It takes the place of an answer: the places of calls may all be taken by those whose clients come back.
pub(in crate::gateway) async fn resume(
    (gateway, run): (Arc<Gateway>, Arc<LiveRun>),
    caller: Caller,
    (envelope, session): (Envelope, Arc<Session>),
    (id, cut): (String, Arc<Notify>),
) -> Replied {
    let Ok(place) = Arc::clone(&run.answers).acquire_owned().await else {
        return ended().into();
    };
    let place = (place, Arc::clone(&session));
    let claims = match admitted((&gateway, &run), caller, envelope, place).await {
        Ok(claims) => claims,
        Err(no) => return no.into(),
    };
    let found = claims.and_then(|claims| run.kept.find((&session, &claims), &id, cut));
    found.map_or_else(|| no_event().into(), Replied::Kept)
}

/// Not the status that says that there is no session: a client would begin another one.
fn no_event() -> Answer {
    let why = "there is nothing to come back to after this event: it is of no stream of this session that is kept";
    Answer::turned(StatusCode::BAD_REQUEST, why)
}
