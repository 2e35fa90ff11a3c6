//! What the servers of one run's calls ask of it by requests, in the revisions with a handshake, and what becomes of
//! the answers. A question is of one call and of the session that made it. An answer is that call, judged anew with what
//! is answered; it is passed on by a permit of its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::body::Bytes;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::UnboundedSender;

use super::Gateway;
use super::account::{Account, Came};
use super::after::{self, Passed};
use super::answer::Answer;
use super::awaited::Waiting;
use super::line::{Sent, unavailable};
use super::questions;
use super::rounds::Asks;
use super::runs::LiveRun;
use super::sessions::{Session, word};
use crate::audit::Verdict;
use crate::call::{Question, Reason, Refusal, Step, Target};
use crate::gate::{self, Continues, Era, Id, Limits, Permit, Received, Response, Stated};

/// The questions of one run that are open, by the ids under which it knows them.
#[derive(Default)]
pub(super) struct Asking(Mutex<HashMap<String, Open>>);

/// A question that is open.
struct Open {
    /// The number of the session that made the call.
    session: u64,
    call: Arc<Call>,
    continues: Continues,
    to: To,
    /// Whether an answer to it is judged at the moment.
    is_taken: bool,
}

/// Where an answer goes.
#[derive(Clone)]
pub(super) enum To {
    /// To the server, which waits for it.
    Server,
    /// To who makes the call once more when all answers are there: by the question's number, none when there is none.
    Round(Gathering),
}

/// Takes answers by the numbers of their questions.
pub(super) type Gathering = UnboundedSender<(u64, Option<Box<RawValue>>)>;

/// The call for which it is asked, as it came.
struct Call {
    message: Bytes,
    stated: Stated,
    prompt: Option<String>,
    target: Target,
}

/// A question that an answer is to. Until it is over it stays open, and takes no other answer.
pub(super) struct Taken<'a> {
    asking: &'a Asking,
    id: String,
    call: Arc<Call>,
    continues: Continues,
    to: To,
    result: Option<Box<RawValue>>,
}

/// What is open for one call, until this is dropped.
pub(super) struct Opened<'a> {
    asking: &'a Asking,
    session: u64,
    call: Arc<Call>,
    ids: Vec<String>,
}

/// Asks for one call.
pub(super) struct Asker<'a> {
    opened: Opened<'a>,
    permit: &'a Permit,
    /// Hears of each question that is not asked, by the executor's number for it.
    unasked: UnboundedSender<u64>,
}

impl<'a> Asker<'a> {
    /// Of the call that `sent` was, which `permit` lets its server ask something. None when it may ask nothing, or
    /// asks otherwise.
    pub(super) fn of(
        run: &'a LiveRun,
        sent: &Sent,
        permit: &'a Permit,
        unasked: UnboundedSender<u64>,
    ) -> Option<Self> {
        let body = permit.body();
        let by_request = body.exchange.as_ref().is_some_and(|exchange| exchange.by_request);
        let may = by_request && body.began.is_none();
        let opened = may.then(|| Opened::of(run, sent, &body.target)).flatten()?;
        Some(Self { opened, permit, unasked })
    }

    /// The question as the run is asked it, and its parameters. It is open from now on. None when it may not be asked.
    pub(super) fn ask(
        &mut self,
        (number, question, params): (u64, Question, String),
    ) -> Option<(String, Value)> {
        let asked = self.message((number, question, params));
        if let Err(why) = &asked {
            tracing::debug!(%why, target = %self.opened.call.target, "a run is not asked");
            self.unasked(number);
        }
        asked.ok()
    }

    /// The executor's question of this number is not asked.
    pub(super) fn unasked(&mut self, number: u64) {
        self.opened.unasked(number);
        // Who hears of it ends with the call.
        let _over = self.unasked.send(number);
    }

    fn message(
        &mut self,
        (number, question, params): (u64, Question, String),
    ) -> Result<(String, Value), String> {
        let broken = |error: serde_json::Error| error.to_string();
        let params = RawValue::from_string(params).map_err(broken)?;
        let may = self.permit.body().exchange.as_ref().map(|exchange| &exchange.questions);
        let method = question.method();
        let asked = format!(r#"{{"q":{{"method":"{method}","params":{params}}}}}"#);
        questions::allowed(&asked, may)?;
        let shown: Value = serde_json::from_str(params.get()).map_err(broken)?;
        let decision = self.permit.body().decision;
        let cents = self.permit.judged().obligations().reserve_cents;
        let continues = Continues { decision, cents, number, question };
        let text = self.opened.ask(continues, To::Server, &params);
        Ok((text.ok_or("there are no random bytes")?, shown))
    }
}

impl<'a> Opened<'a> {
    /// Nothing yet, for the call of `target` that `sent` was. None when it is of no session.
    pub(super) fn of(run: &'a LiveRun, sent: &Sent, target: &Target) -> Option<Self> {
        let session = sent.session.as_ref()?.number();
        let call = Arc::new(Call {
            message: sent.message.clone(),
            stated: sent.envelope.stated.clone(),
            prompt: sent.envelope.prompt.clone(),
            target: target.clone(),
        });
        Some(Self { asking: &run.asking, session, call, ids: Vec::new() })
    }

    /// The question as the run is asked it. It is open from now on. None without random bytes.
    pub(super) fn ask(
        &mut self,
        continues: Continues,
        to: To,
        params: &RawValue,
    ) -> Option<String> {
        let (id, method) = (word()?, continues.question.method());
        let params = params.get();
        let text =
            format!(r#"{{"jsonrpc":"2.0","id":"{id}","method":"{method}","params":{params}}}"#);
        let (session, call) = (self.session, Arc::clone(&self.call));
        let open = Open { session, call, continues, to, is_taken: false };
        lock(&self.asking.0).insert(id.clone(), open);
        self.ids.push(id);
        Some(text)
    }

    /// The question of this number is open no more.
    fn unasked(&self, number: u64) {
        lock(&self.asking.0)
            .retain(|id, open| open.continues.number != number || !self.ids.contains(id));
    }
}

impl Drop for Opened<'_> {
    /// The call is over, and what it asked with it.
    fn drop(&mut self) {
        let mut all = lock(&self.asking.0);
        for id in &self.ids {
            all.remove(id);
        }
    }
}

impl Asking {
    /// Whether any is open.
    fn is_any(&self) -> bool {
        !lock(&self.0).is_empty()
    }

    /// The ids of the open ones.
    #[cfg(test)]
    pub(super) fn ids(&self) -> Vec<String> {
        lock(&self.0).keys().cloned().collect()
    }

    /// The question of this id, which was asked of `session`.
    fn take(&self, session: Option<&Session>, response: &Response) -> Option<Taken<'_>> {
        let Id::Text(id) = response.id() else { return None };
        let mut all = lock(&self.0);
        let number = session?.number();
        let open = all.get_mut(id).filter(|open| open.session == number && !open.is_taken)?;
        open.is_taken = true;
        let (call, continues) = (Arc::clone(&open.call), open.continues.clone());
        let (to, result) = (open.to.clone(), response.result().map(RawValue::to_owned));
        Some(Taken { asking: self, id: id.clone(), call, continues, to, result })
    }
}

/// A place for a message of which nothing is read yet: one of the run's calls, or of the few answers beside them, so
/// that calls that wait for answers do not keep these out.
pub(super) enum Place {
    /// It may be any message.
    Call(OwnedSemaphorePermit),
    /// It has to be an answer.
    Answer(OwnedSemaphorePermit),
}

impl Place {
    /// The next that is free; none when the run has ended.
    pub(super) async fn of(run: &LiveRun) -> Option<Self> {
        let (calls, answers) = (Arc::clone(&run.calls), Arc::clone(&run.answers));
        tokio::select! {
            biased;
            place = calls.acquire_owned() => place.ok().map(Self::Call),
            place = answers.acquire_owned(), if run.asking.is_any() => place.ok().map(Self::Answer),
        }
    }

    /// The place that this message takes. One that is no answer waits for its own.
    pub(super) async fn taken(self, run: &LiveRun, message: &[u8]) -> Option<OwnedSemaphorePermit> {
        match self {
            Self::Call(place) => Some(place),
            Self::Answer(place) if gate::is_answer(message) => Some(place),
            Self::Answer(_held) => Arc::clone(&run.calls).acquire_owned().await.ok(),
        }
    }
}

impl Taken<'_> {
    /// It was answered, or will not be: nothing is taken for its answer any more.
    pub(super) fn over(&self) {
        lock(&self.asking.0).remove(&self.id);
    }

    /// What kind of question it is.
    pub(super) fn question(&self) -> Question {
        self.continues.question
    }

    /// Its number.
    pub(super) fn number(&self) -> u64 {
        self.continues.number
    }

    /// The answer byte for byte; none when that is that there is none.
    pub(super) fn result(&self) -> Option<Box<RawValue>> {
        self.result.clone()
    }

    /// Who makes the call once more with it, when that is where it goes.
    pub(super) fn round(&self) -> Option<&Gathering> {
        match &self.to {
            To::Server => None,
            To::Round(tell) => Some(tell),
        }
    }
}

impl Drop for Taken<'_> {
    /// An answer that was refused leaves it open for another one.
    fn drop(&mut self) {
        if let Some(open) = lock(&self.asking.0).get_mut(&self.id) {
            open.is_taken = false;
        }
    }
}

/// What is to be judged of what came, with the question that it answers; or what it is answered with at once.
///
/// # Errors
/// When it answers no open question of its session.
pub(super) fn came<'a>(
    run: &'a LiveRun,
    sent: &Sent,
    account: &mut Account,
    limits: &Limits,
) -> Result<Result<(Received, Option<Taken<'a>>), Answer>, Refusal> {
    let session = sent.session.as_deref();
    let response = match account.receive(&sent.message, &sent.envelope, limits)? {
        Came::Request(received) => return Ok(Ok((received, None))),
        Came::Notification { cancels } => {
            cancels.inspect(|id| run.awaited.cancel(session, id));
            return Ok(Err(Answer::accepted()));
        }
        Came::Response(response) => response,
    };
    let Some(taken) = run.asking.take(session, &response) else {
        let detail = "it answers no open question of its session".to_owned();
        return Err(Refusal::new(Step::Receive, Reason::QuestionUnknown, detail));
    };
    let call = Arc::clone(&taken.call);
    let received = account.again((&call.message, &call.stated, call.prompt.as_deref()), limits)?;
    let received = received.answering(taken.continues.clone(), response)?;
    account.learn(|call| received.describe(call));
    Ok(Ok((received, Some(taken))))
}

/// Tells the server that its question has no answer, when that is what `taken` says. The log has it before.
///
/// # Errors
/// When that is not in the log, or the executor is away.
pub(super) async fn declined(
    gateway: &Gateway,
    taken: Option<&Taken<'_>>,
    account: &mut Account,
) -> Result<Option<Answer>, Refusal> {
    let is_told = |taken: &&Taken<'_>| taken.result.is_none() && taken.round().is_none();
    let Some(taken) = taken.filter(is_told) else { return Ok(None) };
    account.decided();
    account.learn(|call| call.method = Some(taken.continues.question.method().into()));
    after::record(gateway, account.event(Verdict::Allowed)).await?;
    let ready = gateway.executor.ready().await;
    let ready = ready.map_err(|error| unavailable(Step::Execute, error))?;
    let (decision, number) = (taken.continues.decision, taken.continues.number);
    taken.over();
    ready.unanswered(decision, taken.call.target.clone(), number).await;
    Ok(Some(Answer::accepted()))
}

/// A call of the client's number `id`; an answer is none, and cancels nothing.
pub(super) fn waiting(
    run: &LiveRun,
    session: Option<&Session>,
    id: &Id,
    taken: Option<&Taken<'_>>,
) -> Waiting {
    match taken {
        None => run.awaited.begin(session, id),
        Some(_) => run.awaited.nobodys(id),
    }
}

/// What the run is told: what was passed of its call's result, or that its answer was taken.
pub(super) fn told(taken: Option<&Taken<'_>>, (id, era): (&Id, Era), passed: &Passed) -> Answer {
    match taken {
        None if let Passed::Round(round) = passed => {
            Answer::asking(Asks { id: id.clone(), round: Arc::clone(round) })
        }
        None => Answer::passed(id, era, passed),
        Some(taken) => {
            taken.over();
            Answer::accepted()
        }
    }
}

/// The map is whole even when a holder of the lock panicked: it only inserts and removes.
fn lock(asking: &Mutex<HashMap<String, Open>>) -> MutexGuard<'_, HashMap<String, Open>> {
    asking.lock().unwrap_or_else(PoisonError::into_inner)
}
