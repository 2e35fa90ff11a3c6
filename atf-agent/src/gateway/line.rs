//! The line: a call's whole life, in order. Each step takes what the step before made, so that none
//! can be skipped; whatever says no ends in `refused`.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use hyper::body::Bytes;
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;

use super::Gateway;
use super::account::Account;
use super::answer::Answer;
use super::asking::Taken;
use super::awaited::Waiting;
use super::deferred;
use super::detached::{Detached, Work};
use super::headers::Envelope;
use super::rounds::{self, Gathered, Rounds};
use super::runs::LiveRun;
use super::sessions::{self, Session};
use super::telling::Outlet;
use super::{acting, after, approval, asking, feedback, listening, mcp, offers, subscribing};
use crate::audit::Verdict;
use crate::call::{Caller, Reason, Refusal, Step};
use crate::gate::{self, Authenticated, Checked, Method, Permit, Pins, Terms};
use crate::wire::Catalogue;

/// A message as it came, and the place that it takes among its run's calls.
pub(super) struct Sent {
    /// Its bytes.
    pub(super) message: Bytes,
    /// What came beside it.
    pub(super) envelope: Envelope,
    /// One of the run's calls under way; none of what is asked in another's place.
    pub(super) slot: Option<OwnedSemaphorePermit>,
    /// Where goes what is told before the answer.
    pub(super) outlet: Outlet,
    /// The session that it is of.
    pub(super) session: Option<Arc<Session>>,
}

/// The answer, and the place that the call took among its run's.
pub(super) type Ended = (Answer, Option<OwnedSemaphorePermit>);

/// One call of `caller`, from its bytes to its answer, detached from the connection: a caller that
/// hangs up cannot skip the records. The slot comes back with the answer.
pub(super) fn detached(
    gateway: Arc<Gateway>,
    run: Arc<LiveRun>,
    caller: Caller,
    sent: Sent,
) -> Detached<Ended> {
    Detached::new(async move {
        let under_way = Arc::clone(&gateway.under_way).acquire_owned().await.ok()?;
        let call: Work<Ended> = Box::pin(async move {
            let answer = call(&gateway, &run, caller, &sent).await;
            drop(under_way);
            (answer, sent.slot)
        });
        Some(call)
    })
}

/// One call in the place of another one, on which its caller waits.
pub(super) fn beside<'a>(
    gateway: &'a Gateway,
    run: &'a LiveRun,
    caller: Caller,
    sent: &'a Sent,
) -> Pin<Box<dyn Future<Output = Answer> + Send + 'a>> {
    Box::pin(call(gateway, run, caller, sent))
}

async fn call(gateway: &Gateway, run: &LiveRun, caller: Caller, sent: &Sent) -> Answer {
    let mut answer = judged(gateway, run, caller, sent, None).await;
    // A server asked by its result a run that is asked by requests: what it answers makes another call of it.
    let mut rounds = None;
    while let Some(asks) = answer.asks.take() {
        let rounds = rounds.get_or_insert_with(|| Rounds::begin(gateway));
        let gathered = rounds.gathered(gateway, run, sent, asks).await;
        answer = judged(gateway, run, caller, sent, Some(gathered)).await;
    }
    answer
}

async fn judged(
    gateway: &Gateway,
    run: &LiveRun,
    caller: Caller,
    sent: &Sent,
    gathered: Option<Result<Gathered, Refusal>>,
) -> Answer {
    let mut account = Account::open(caller, &sent.envelope);
    match live(gateway, run, caller, (sent, gathered), &mut account).await {
        Ok(answer) => answer,
        Err(refusal) => refused(gateway, run, &mut account, refusal).await,
    }
}

async fn live(
    gateway: &Gateway,
    run: &LiveRun,
    caller: Caller,
    (sent, gathered): (&Sent, Option<Result<Gathered, Refusal>>),
    account: &mut Account,
) -> Result<Answer, Refusal> {
    let (rules, now, envelope) = (gateway.rules.now(), now_unix_ns(), &sent.envelope);
    // 1. receive
    let session = sent.session.as_deref();
    let (received, taken) = match asking::came(run, sent, account, &gateway.limits())? {
        Ok(received) => received,
        Err(answer) => return Ok(answer),
    };
    let received = rounds::brought(run, (received, account), gathered)?;
    // 2. authenticate
    let id = received.id().clone();
    let waiting = asking::waiting(run, session, &id, taken.as_ref());
    feedback::unsealed(gateway, run).await?;
    let (verifier, jwt) = (gateway.verifier()?, envelope.jwt.as_deref());
    let (received, found) = deferred::named(run, received)?;
    let authenticated = gate::authenticate(received, caller, jwt, &verifier, now / NS_PER_S)?;
    let authenticated = authenticated.opened(&gateway.state_key)?;
    account.learn(|call| authenticated.describe(call));
    sent.outlet.proven(authenticated.claims());
    run.subscriptions.narrow(&authenticated.claims().entitlements.reach);
    let asks = (&authenticated, &waiting, taken.as_ref());
    if let Some(answer) = answered(gateway, run, asks, sent, (&rules.pins, account)).await? {
        return Ok(answer);
    }
    let subscriber = subscribing::admitted(gateway, run, sent, authenticated.received())?;
    // 3. schema, 4. sql: of tools
    account.judged_by(rules.policy.revision());
    let checked = checked(authenticated, &rules.pins, account)?;
    let (checked, about) = deferred::admitted(gateway, run, checked, found)?;
    // 5. policy
    let traced = run.past.trace(checked)?;
    let (hearing, judged) = gate::judge(traced, &rules.policy, gateway.facts(run, now));
    account.heard(&gateway.hearings, hearing.as_ref());
    let judged = approval::granted(gateway, judged?, account.decision()).await?;
    account.decided();
    // 6. reserve: this alone makes the permit, with a person's word where the policy wants one
    let executor = match &subscriber {
        Some(_) => gateway.executor.ready_apart().await,
        None => gateway.executor.ready().await,
    };
    let executor = executor.map_err(|error| unavailable(Step::Execute, error))?;
    let terms = Terms {
        decision: account.decision(),
        nonce: executor.nonce,
        now_unix_s: now_unix_ns() / NS_PER_S,
    };
    let (judged, reservation) = after::reserve(gateway, judged).await?;
    let (judged, reservation, approved) = approval::taken(gateway, judged, reservation).await?;
    let permit = Permit::issue(judged, reservation, approved.as_ref(), terms)?;
    // 7. record, before the act; the order is made ready while the recorder writes
    account.permitted(&permit, approved);
    let (allowed, key) = (account.made(&permit), (&*executor.key, jwt.unwrap_or_default()));
    let (permit, order) = after::ordered(gateway, allowed, permit, key).await?;
    // 8. execute; what the server tells meanwhile is filtered as it comes
    run.past.acts(&rules.pins, permit.judged().call());
    let bytes_max = permit.result_bytes_max(gateway.settings.result_bytes_max);
    let (hears, order) = ((run, sent, account.era()), (&permit, order));
    let (acted, told) = match subscriber {
        Some(subscriber) => (subscriber.subscribe(executor, order).await, None),
        None => acting::act(gateway, &executor, order, hears, (&waiting, &about), bytes_max).await,
    };
    // 9. filter the result
    let (outcome, result) =
        after::filter(gateway, (bytes_max, told), (&permit, account.era(), about), acted);
    // 10. record the outcome; the answer is made ready while the recorder writes. Settle, feed back
    let (recorded, answer) = tokio::join!(
        biased;
        after::record_outcome(gateway, &permit, &outcome, told),
        async {
            run.past.learns(&rules.pins, permit.judged().call(), &result);
            let taken = taken.as_ref();
            result.as_ref().map(|passed| asking::told(taken, (&id, account.era()), passed))
        },
    );
    let answer = answer.map_err(Clone::clone);
    deferred::settle(run, permit, (&outcome, &result, told), recorded.is_ok()).await;
    recorded?;
    answer
}

/// The answer to what reaches no server: it is recorded when it tells the run something.
async fn answered(
    gateway: &Gateway,
    run: &LiveRun,
    (authenticated, waiting, taken): (&Authenticated, &Waiting, Option<&Taken<'_>>),
    sent: &Sent,
    (pins, account): (&Pins, &mut Account),
) -> Result<Option<Answer>, Refusal> {
    if let Some(answer) = asking::declined(gateway, taken, account).await? {
        return Ok(Some(answer));
    }
    if let Some(answer) = rounds::kept(gateway, taken, account).await? {
        return Ok(Some(answer));
    }
    let (method, received) = (authenticated.method(), authenticated.received());
    let offered = offered(gateway, run, authenticated, pins).await?;
    let result = mcp::result(authenticated, &offered);
    let listener =
        received.listens().map(|lists| listening::admitted(run, sent, lists)).transpose()?;
    if result.is_none() && listener.is_none() {
        return Ok(None);
    }
    account.decided();
    if mcp::tells(method) {
        feedback::told(run).await;
        after::record(gateway, account.event(Verdict::Allowed)).await?;
    }
    match (listener, result) {
        (Some(listener), _) => {
            let sent = (sent, waiting);
            listening::listen(gateway, run, authenticated, sent, listener).await.map(Some)
        }
        (None, Some(result)) => {
            let session = sessions::after(run, sent, received);
            let answer = Answer::made(received.id(), account.era(), result);
            Ok(Some(Answer { session, ..answer }))
        }
        (None, None) => Ok(None),
    }
}

/// Steps 3 and 4: a tool call keeps its pin and the rules of its SQL. What else a server is asked for
/// has neither; the token named it, and the policy has to know it.
fn checked(
    authenticated: Authenticated,
    pins: &Pins,
    account: &mut Account,
) -> Result<Checked, Refusal> {
    if authenticated.received().ask().is_some() {
        return gate::check_ask(authenticated, pins).map(Checked::Ask);
    }
    let well_formed = gate::check_schema(authenticated, pins)?;
    account.learn(|call| well_formed.describe(call));
    let checked = gate::check_sql(well_formed, pins)?;
    account.learn(|call| checked.call().describe(call));
    Ok(Checked::Tool(checked))
}

/// What is asked of the executor for the list that `method` wants.
async fn offered<'a>(
    gateway: &Gateway,
    run: &LiveRun,
    authenticated: &Authenticated,
    pins: &'a Pins,
) -> Result<mcp::Offered<'a>, Refusal> {
    let method = authenticated.method();
    let withheld = match method == Method::ToolsList {
        true => gateway.executor.withheld().await,
        false => Vec::new(),
    };
    let catalogue = match offers::lists(method) {
        true => gateway.executor.catalogue().await,
        false => Ok(Catalogue::default()),
    };
    let catalogue = catalogue.map_err(|error| unavailable(Step::Execute, error))?;
    let deferred = match method == Method::TasksList {
        true => deferred::list(run, authenticated, pins),
        false => Value::Null,
    };
    Ok(mcp::Offered { pins, withheld, catalogue, deferred })
}

/// A step said no: the run is sealed when it was one no too many, then the log learns all, then the
/// caller a little. A refusal that is not in the log is not told at all. Before the log a run waits
/// that would fill it.
async fn refused(
    gateway: &Gateway,
    run: &LiveRun,
    account: &mut Account,
    refusal: Refusal,
) -> Answer {
    account.decided();
    let seal = feedback::refused(gateway, run, account.asked(), &refusal).await;
    let recorded = after::record(gateway, account.refused(&refusal)).await;
    feedback::tell(gateway, run, account.decision(), &refusal, seal).await;
    let told = recorded.err().unwrap_or(refusal);
    Answer::refused(account.asked(), account.era(), &told, account.challenge(told.reason))
}

/// The wall clock in seconds.
pub(super) fn now_unix_s() -> u64 {
    now_unix_ns() / NS_PER_S
}

/// Nanoseconds in a second.
const NS_PER_S: u64 = 1_000_000_000;

/// The wall clock, nanoseconds since the epoch; zero before it, when no token is valid.
fn now_unix_ns() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    elapsed.map_or(0, |e| u64::try_from(e.as_nanos()).unwrap_or(u64::MAX))
}

/// The refusal of a call that a part of ATF left alone.
pub(super) fn unavailable(step: Step, error: impl std::fmt::Display) -> Refusal {
    Refusal::new(step, Reason::Unavailable, error.to_string())
}
