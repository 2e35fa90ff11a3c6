//! What a server asks by its result, of a run that is asked by requests: its client is asked one by one, and the call is
//! made once more with all that it answers, judged anew. What the server gives to bring back stays here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::{Instant, sleep_until};

use super::account::Account;
use super::answer::Answer;
use super::asking::{Opened, Taken, To};
use super::line::Sent;
use super::runs::LiveRun;
use super::{Gateway, after};
use crate::audit::{Event, Verdict};
use crate::call::{DecisionId, Question, Reason, Refusal, Step, Target};
use crate::gate::{Continues, Id, Received, hidden_text};

/// How often one call may ask by its result. An honest one needs one or two.
const ROUNDS_MAX: usize = 8;

/// Most questions of one call in all its rounds: as many as one has that asks by requests.
const QUESTIONS_MAX: usize = 16;

/// What a server asks by one result.
#[derive(Debug)]
pub(super) struct Round {
    /// The decision that allowed the call.
    pub(super) decision: DecisionId,
    /// What was called.
    pub(super) target: Target,
    /// The questions, by the server's keys.
    pub(super) questions: Vec<(String, Question, Box<RawValue>)>,
    /// What the server gives to bring back.
    pub(super) state: Option<String>,
    /// How much the result is.
    pub(super) bytes: u64,
}

/// A round that comes before the answer to a call.
#[derive(Debug)]
pub(super) struct Asks {
    /// The call, by its client's number.
    pub(super) id: Id,
    /// What is asked.
    pub(super) round: Arc<Round>,
}

/// What the run has answered, and what the server hears with it.
pub(super) struct Gathered {
    responses: Option<Box<RawValue>>,
    state: Option<String>,
}

/// The rounds of one call.
pub(super) struct Rounds {
    until: Instant,
    count: usize,
    questions: usize,
}

impl Rounds {
    /// None yet. All of them have the time that a server has for a call.
    pub(super) fn begin(gateway: &Gateway) -> Self {
        let until = Instant::now() + Duration::from_millis(gateway.settings.execute_timeout_ms);
        Self { until, count: 0, questions: 0 }
    }

    /// Asks the run, and waits until it has answered all.
    ///
    /// # Errors
    /// When it is not asked, or does not answer.
    pub(super) async fn gathered(
        &mut self,
        gateway: &Gateway,
        run: &LiveRun,
        sent: &Sent,
        Asks { id, round }: Asks,
    ) -> Result<Gathered, Refusal> {
        self.count += 1;
        self.questions += round.questions.len();
        if self.count > ROUNDS_MAX || self.questions > QUESTIONS_MAX {
            return Err(withheld("the server asks more often than one call may"));
        }
        for (.., params) in &round.questions {
            unhidden(gateway, run, &round.target, params).await?;
        }
        let waiting = run.awaited.begin(sent.session.as_deref(), &id);
        let none = || withheld("its client is asked nothing by requests");
        let mut opened = Opened::of(run, sent, &round.target).ok_or_else(none)?;
        let (tell, mut told) = unbounded_channel();
        for (number, (_, question, params)) in (0..).zip(&round.questions) {
            let (decision, question) = (round.decision, *question);
            let continues = Continues { decision, cents: 0, number, question };
            let asked = opened.ask(continues, To::Round(tell.clone()), params);
            if !asked.is_some_and(|text| sent.outlet.say(text)) {
                return Err(unanswered("its client takes no question"));
            }
        }
        drop(tell);
        let mut answers = BTreeMap::new();
        while answers.len() < round.questions.len() {
            let (number, answer) = tokio::select! {
                biased;
                () = waiting.cancelled() => return Err(unanswered("its client waits no more")),
                () = sleep_until(self.until) => {
                    return Err(unanswered("what the server asks is not answered in time"));
                }
                Some(one) = told.recv() => one,
                else => return Err(unanswered("what the server asks is answered by nobody")),
            };
            let Some(answer) = answer else {
                return Err(unanswered("its client has no answer to what the server asks"));
            };
            answers.insert(number, answer);
        }
        let keys = round.questions.iter().map(|(key, ..)| key.as_str());
        let responses: BTreeMap<&str, Box<RawValue>> = keys.zip(answers.into_values()).collect();
        let responses = (!responses.is_empty()).then(|| to_raw_value(&responses)).transpose();
        let responses = responses.map_err(|error| withheld(&error.to_string()))?;
        Ok(Gathered { responses, state: round.state.clone() })
    }
}

/// What is judged of a call as it came: with what was answered since, when anything was asked.
///
/// # Errors
/// When that is not there, or the run has ended meanwhile.
pub(super) fn brought(
    run: &LiveRun,
    (received, account): (Received, &mut Account),
    gathered: Option<Result<Gathered, Refusal>>,
) -> Result<Received, Refusal> {
    let Some(gathered) = gathered else { return Ok(received) };
    let Gathered { responses, state } = gathered?;
    if run.calls.is_closed() {
        return Err(unanswered("the run has ended"));
    }
    let received = received.bringing(responses, state)?;
    account.learn(|call| received.describe(call));
    Ok(received)
}

/// Keeps an answer for the call that waits for it, when that is what `taken` is of. The log has it before.
///
/// # Errors
/// When that is not in the log.
pub(super) async fn kept(
    gateway: &Gateway,
    taken: Option<&Taken<'_>>,
    account: &mut Account,
) -> Result<Option<Answer>, Refusal> {
    let Some((taken, tell)) = taken.and_then(|taken| taken.round().map(|tell| (taken, tell)))
    else {
        return Ok(None);
    };
    account.decided();
    account.learn(|call| call.method = Some(taken.question().method().into()));
    after::record(gateway, account.event(Verdict::Allowed)).await?;
    taken.over();
    // Who does not wait any more has said so to its caller.
    let _over = tell.send((taken.number(), taken.result()));
    Ok(Some(Answer::accepted()))
}

/// Text that is not seen is asked nobody, and a finding.
async fn unhidden(
    gateway: &Gateway,
    run: &LiveRun,
    target: &Target,
    params: &RawValue,
) -> Result<(), Refusal> {
    let shown: Value =
        serde_json::from_str(params.get()).map_err(|error| withheld(&error.to_string()))?;
    let Some(hidden) = hidden_text(&shown) else { return Ok(()) };
    let (name, run) = ("notice.hidden_text".to_owned(), Some(run.entry.run));
    let detail = format!("{target}: {hidden}").into();
    gateway.recorder.note(Event::Finding { name, run, detail }).await;
    Err(withheld("the server asks by text that is not seen"))
}

fn withheld(why: &str) -> Refusal {
    Refusal::new(Step::Filter, Reason::ResultWithheld, why)
}

fn unanswered(why: &str) -> Refusal {
    Refusal::new(Step::Execute, Reason::ExecuteFailed, why)
}
