//! What surrounds the act: the reservation and the record before it, the limits of its result, the record of its
//! outcome, and the settlement.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::Gateway;
use super::clients::Unavailable;
use super::deferred::{self, About, Entry, Passes};
use super::execution::{Acted, Order, Unreceipted};
use super::line::unavailable;
use super::offers;
use super::questions::{self, INPUT_REQUIRED};
use super::rounds::Round;
use crate::audit::{Event, Notified, Outcome};
use crate::call::{Digest, Questions, Reason, Refusal, Step, Target};
use crate::gate::{self, Era, Judged, Permit};
use crate::identity::MacKey;
use crate::state::Reservation;
use crate::wire::MayDefer;

/// How long the record of an outcome is tried for: a recorder that was killed is back by then.
const OUTCOME_TRIED_FOR: Duration = Duration::from_secs(10);
/// Pause between two tries.
const OUTCOME_PAUSE: Duration = Duration::from_millis(200);

/// Reserves what the call draws on, on a thread that may wait for the disk: those that accept connections
/// and renew the lease never do.
///
/// # Errors
/// When a cap would be passed, or a new total cannot be kept.
pub(super) async fn reserve(
    gateway: &Gateway,
    judged: Judged,
) -> Result<(Judged, Reservation), Refusal> {
    let bytes_max = gateway.settings.result_bytes_max as u64;
    let demand = gate::demand(&judged, gateway.steady.moment(), bytes_max)?;
    if !demand.is_kept() {
        let reservation = gate::reserve(&judged, &demand, &gateway.caps)?;
        return Ok((judged, reservation));
    }
    let caps = gateway.caps.clone();
    let reserved = spawn_blocking(move || {
        gate::reserve(&judged, &demand, &caps).map(|reserved| (judged, reserved))
    });
    reserved.await.map_err(|error| unavailable(Step::Reserve, error))?
}

/// Gives a reservation back, on such a thread too.
pub(super) async fn refund(reservation: Reservation) {
    settled(reservation, Reservation::refund).await;
}

/// Settles a reservation, on such a thread too.
async fn settled(reservation: Reservation, settle: impl FnOnce(Reservation) + Send + 'static) {
    let (run, cents) = (reservation.run(), reservation.cents());
    if let Err(error) = spawn_blocking(move || settle(reservation)).await {
        tracing::error!(%error, %run, cents, "a reservation is not settled");
    }
}

/// Longest message of a server's error that is passed on, in characters.
pub(super) const MESSAGE_CHARS_MAX: usize = 1_000;

/// Appends a decision to the log and waits until it is there.
///
/// # Errors
/// When it is not known to be there: what is not in the log does not happen.
pub(super) async fn record(gateway: &Gateway, event: Event) -> Result<(), Refusal> {
    let durable = gateway.settings.audit_durable;
    gateway.recorder.append(event, durable).await.map_err(not_recorded)
}

/// Appends the decision that allows `permit`, and makes the order ready meanwhile: for the executor with which `key` is, with
/// the run's `token`.
///
/// # Errors
/// When there is no receipt: what is not in the log does not happen.
pub(super) async fn ordered(
    gateway: &Gateway,
    event: Event,
    permit: Permit,
    (key, token): (&MacKey, &str),
) -> Result<(Permit, Order), Refusal> {
    let (durable, text) = (gateway.settings.audit_durable, permit.text().to_owned());
    let (receipt, order) = tokio::join!(
        biased;
        gateway.recorder.append_permitted(event, durable, text),
        async { Unreceipted::of(&permit, key, token) },
    );
    match receipt {
        Ok(receipt) => Ok((permit, order.with(receipt))),
        Err(error) => {
            refund(permit.into_reservation()).await;
            Err(not_recorded(error))
        }
    }
}

fn not_recorded(error: Unavailable) -> Refusal {
    tracing::error!(%error, "a decision is not recorded");
    unavailable(Step::Record, error)
}

/// What became of the call, and what of it the caller gets. A result that is withheld was produced
/// all the same.
pub(super) fn filter(
    gateway: &Gateway,
    (bytes_max, told): (usize, Option<Notified>),
    (permit, era, about): (&Permit, Era, About),
    acted: Acted,
) -> (Outcome, Result<Passed, Refusal>) {
    let result = match acted {
        Acted::Answered(result) => result,
        Acted::Erred { code, message, missing } => {
            let text = message.raw();
            let outcome = Outcome::Answered {
                result: Digest::of(text.as_bytes()),
                bytes: text.len() as u64,
                is_error: true,
            };
            let text = match &about {
                About::Of(entry) => deferred::message(text, entry),
                About::None | About::May(_) => text.chars().take(MESSAGE_CHARS_MAX).collect(),
            };
            let data = besides(&permit.body().target, &missing);
            return (outcome, Ok(Passed::Error { code, message: text, data }));
        }
        Acted::Not(outcome, reason) => {
            let refusal = Refusal::new(Step::Execute, reason, not_done(&outcome));
            return (outcome, Err(refusal));
        }
    };
    let text = result.get();
    let read = text.starts_with('{').then(|| serde_json::from_str(text));
    let head: Option<ResultHead> = read.and_then(Result::ok);
    let outcome = Outcome::Answered {
        result: Digest::of(text.as_bytes()),
        bytes: text.len() as u64,
        is_error: head.as_ref().is_some_and(|head| head.is_error),
    };
    let body = permit.body();
    let told_bytes = told.map_or(0, |told| told.bytes);
    let bytes_max = bytes_max.saturating_sub(usize::try_from(told_bytes).unwrap_or(usize::MAX));
    let deferral = body.target.deferral().map(|deferred| deferred.asks);
    let passed = match within_limits(text, head, (bytes_max, permit)) {
        Ok(_) if let (Some(asks), About::Of(entry)) = (deferral, &about) => {
            deferred::answered(text, (asks, permit), entry).map(Passed::Deferred)
        }
        Ok(Says::Defers) => match about {
            About::May(admitted) => {
                deferred::begun(text, (permit, era), admitted).map(Passed::Deferred)
            }
            About::None | About::Of(_) => Err("the call is deferred, and may not be".to_owned()),
        },
        Ok(Says::Asks) if body.exchange.as_ref().is_some_and(|exchange| exchange.by_request) => {
            questions::round(text, body).map(|round| Passed::Round(Arc::new(round)))
        }
        Ok(Says::Asks) => questions::asked(text, body, &gateway.state_key).map(Passed::Question),
        Ok(says @ (Says::Nothing | Says::Complete)) => offers::renamed(&body.target, era, result)
            .map(|text| Passed::Result { text, says_type: says == Says::Complete })
            .map_err(|error| error.to_string()),
        Err(why) => Err(why),
    };
    let passed = passed.map_err(|why| Refusal::new(Step::Filter, Reason::ResultWithheld, why));
    (outcome, passed)
}

/// What a result says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    /// Nothing.
    Nothing,
    /// That it is complete.
    Complete,
    /// That the run has to answer first.
    Asks,
    /// That the run has to ask later.
    Defers,
}

/// What a result says of itself; what is wrong with one that may not be passed on.
fn within_limits(
    text: &str,
    head: Option<ResultHead>,
    (result_bytes_max, permit): (usize, &Permit),
) -> Result<Says, String> {
    if text.len() > result_bytes_max {
        return Err(format!("{} bytes, at most {result_bytes_max} are passed on", text.len()));
    }
    let Some(head) = head else {
        return Err("expected a result, found other JSON".to_owned());
    };
    match head.result_type.as_deref() {
        None | Some(COMPLETE) if head.is_promise() && permit.body().target.tool().is_some() => {
            Ok(Says::Defers)
        }
        None => Ok(Says::Nothing),
        Some(COMPLETE) => Ok(Says::Complete),
        Some(INPUT_REQUIRED) => Ok(Says::Asks),
        Some(TASK) if permit.body().defers == Some(MayDefer::Allowed) => Ok(Says::Defers),
        Some(other) => Err(format!("expected a complete result, found one of type {other:?}")),
    }
}

/// What may be passed on.
pub(super) enum Passed {
    /// A result.
    Result {
        /// The JSON object, as it came; the addresses of what was read are the run's.
        text: Box<RawValue>,
        /// Whether it says itself that it is complete.
        says_type: bool,
    },
    /// What a server asks of the run before it is done. It is nobody's result: it vouches for nothing.
    Question(Box<RawValue>),
    /// The same, of a run that is asked by requests.
    Round(Arc<Round>),
    /// What a server says of a deferred call.
    Deferred(Passes),
    /// A server's error.
    Error {
        /// Its JSON-RPC code.
        code: i64,
        /// Its message, cut.
        message: String,
        /// What the revisions want said beside it.
        data: Option<Value>,
    },
}

/// What is said beside a server's error, in words of our own: which resource it was, or what the client
/// would have to answer.
fn besides(target: &Target, missing: &Questions) -> Option<Value> {
    if !missing.is_empty() {
        let capabilities: Map<_, _> =
            missing.iter().map(|one| (one.capability().to_owned(), json!({}))).collect();
        return Some(json!({ "requiredCapabilities": capabilities }));
    }
    match target {
        Target::Resource(uri) | Target::Subscription(uri) => Some(json!({ "uri": uri })),
        Target::Tool(_)
        | Target::Prompt(_)
        | Target::PromptArgument(_)
        | Target::TemplateArgument(_)
        | Target::Deferred(_) => None,
    }
}

impl Passed {
    /// How much it is.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Result { text, .. } | Self::Question(text) => text.get().len() as u64,
            Self::Round(round) => round.bytes,
            Self::Deferred(passes) => passes.text.get().len() as u64,
            Self::Error { message, .. } => message.len() as u64,
        }
    }

    /// What of it is a result, from which the run learns.
    pub(super) fn learnt(&self) -> Option<&RawValue> {
        match self {
            Self::Result { text, .. } => Some(text),
            Self::Deferred(passes) => passes.learnt.as_deref(),
            Self::Question(_) | Self::Round(_) | Self::Error { .. } => None,
        }
    }

    /// The call that is deferred from now on.
    pub(super) fn begun(&self) -> Option<&Arc<Entry>> {
        match self {
            Self::Deferred(passes) => passes.begun.as_ref(),
            Self::Result { .. } | Self::Question(_) | Self::Round(_) | Self::Error { .. } => None,
        }
    }
}

/// The type of a result that asks for nothing more.
pub(super) const COMPLETE: &str = "complete";

/// The type of one that promises a result.
const TASK: &str = "task";

/// Records what became of a permit. The act is done, so this is tried for a while; the caller gets
/// no result that the log does not know of.
///
/// # Errors
/// When the recorder stays away. The log then has a permit without an outcome, which says so.
pub(super) async fn record_outcome(
    gateway: &Gateway,
    permit: &Permit,
    outcome: &Outcome,
    told: Option<Notified>,
) -> Result<(), Refusal> {
    let body = permit.body();
    let event = Event::Settled {
        decision: body.decision,
        run: body.run,
        target: body.target.as_str().into(),
        outcome: outcome.clone(),
        told,
    };
    let deadline = Instant::now() + OUTCOME_TRIED_FOR;
    loop {
        // Queued, not on the disk: a power cut leaves a permit without an outcome, and that is
        // what a reader of the log must take it for anyway.
        match gateway.recorder.append(event.clone(), false).await {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() >= deadline => {
                tracing::error!(%error, decision = %body.decision, ?outcome, "an outcome is not recorded");
                return Err(unavailable(Step::Record, error));
            }
            Err(error) => {
                tracing::warn!(%error, decision = %body.decision, "an outcome is not recorded yet");
                sleep(OUTCOME_PAUSE).await;
            }
        }
    }
}

/// Settles the reservation: spent when the tool answered, free when nothing was done, and taken for
/// good when nobody knows. `bytes` of a result are passed on.
pub(super) async fn settle(permit: Permit, outcome: &Outcome, bytes: u64) {
    let reservation = permit.into_reservation();
    match outcome {
        Outcome::Answered { .. } if reservation.waits() => {
            settled(reservation, move |reservation| reservation.commit(bytes)).await;
        }
        Outcome::Answered { .. } => reservation.commit(bytes),
        Outcome::NotDone { .. } => refund(reservation).await,
        Outcome::Unknown { .. } => settled(reservation, drop).await,
    }
}

/// The members of a tool's result that are read.
#[derive(Deserialize)]
pub(super) struct ResultHead {
    #[serde(default, rename = "isError")]
    is_error: bool,
    /// What it says that it is.
    #[serde(default, rename = "resultType")]
    pub(super) result_type: Option<String>,
    #[serde(default)]
    content: Option<IgnoredAny>,
    #[serde(default)]
    task: Option<IgnoredAny>,
}

impl ResultHead {
    /// Whether it promises another one, as 2025-11-25 has it.
    pub(super) fn is_promise(&self) -> bool {
        self.task.is_some() && self.content.is_none()
    }
}

fn not_done(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::NotDone { why } | Outcome::Unknown { why } => why.raw(),
        Outcome::Answered { .. } => "answered",
    }
}
