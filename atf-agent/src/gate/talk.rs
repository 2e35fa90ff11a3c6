//! What goes to and fro while a server works on one call: what it may ask of the run, and what the run
//! answers. The stateless revision has it: the server's result asks, and the call is made anew with the
//! answers, so that all of it is judged anew.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::act::Act;
use super::envelope::{self, present};
use super::era::Era;
use super::facts::Obligations;
use super::response::Continues;
use super::wants::Wants;
use crate::call::{Digest, Question, Questions, Reason, Refusal, StateKey, StateOf, Step};
use crate::wire::{Answers, Exchange};

/// Most answers of one call, and the longest key of one in bytes: a server's name for its question.
const ANSWERS_MAX: usize = 16;
const KEY_BYTES_MAX: usize = 128;

/// Longest answers in bytes: what a model said is the longest of them.
pub(super) const ANSWERS_BYTES_MAX: usize = 64 << 10;

/// What of one call may go to and fro. Nothing by default.
#[derive(Debug, Default)]
pub struct Talk {
    wants: Wants,
    can: Questions,
    responses: Option<Box<RawValue>>,
    state: State,
    /// Whether the server asks by requests while the call is under way.
    by_request: bool,
    /// The question of a call under way that this answers.
    continues: Option<Continues>,
}

/// What the run brings back of what a server gave it.
#[derive(Debug, Default)]
enum State {
    /// Nothing.
    #[default]
    None,
    /// As the run says it.
    Brought(String),
    /// As the server gave it: it is of this call.
    Given(String),
}

/// What a message says beside the parameters of its own.
#[derive(Clone, Copy)]
pub(super) struct Said<'a> {
    pub(super) era: Era,
    /// The capabilities that its `_meta` declares.
    pub(super) capabilities: Option<&'a RawValue>,
    /// What it wants to be told.
    pub(super) wants: &'a Wants,
    /// What its client can answer by what it said when its session began.
    pub(super) can: &'a Questions,
}

/// The members of parameters by which a run answers.
#[derive(Debug, Default, Deserialize)]
pub(super) struct AnswerParams<'a> {
    #[serde(borrow, default, rename = "inputResponses", deserialize_with = "present")]
    responses: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "requestState", deserialize_with = "text")]
    state: Option<Cow<'a, str>>,
}

/// The capabilities that a client declares, as far as a server could use them.
#[derive(Deserialize)]
struct Declared<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    elicitation: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    sampling: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    roots: Option<&'a RawValue>,
}

/// How a client asks its user: by forms when it does not say how.
#[derive(Deserialize)]
struct Forms<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    form: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    url: Option<&'a RawValue>,
}

impl Talk {
    /// Reads what the message says of it: the capabilities of its `_meta`, and the answers in `params`.
    ///
    /// # Errors
    /// When it answers in an era that asks otherwise, or its answers are none.
    pub(super) fn read(said: Said<'_>, params: &RawValue) -> Result<Self, Refusal> {
        let Said { era, capabilities, wants, can: _ } = said;
        let wants = wants.clone();
        let invalid = |what: String| refuse(Step::Receive, Reason::MessageInvalid, what);
        let said: AnswerParams<'_> = envelope::object(params.get()).map_err(invalid)?;
        match era {
            Era::Stateless => {}
            Era::Handshake if said.responses.is_some() || said.state.is_some() => {
                return Err(invalid("a call is answered in the stateless revision alone".into()));
            }
            Era::Handshake => return Ok(Self { wants, ..Self::default() }),
        }
        if let Some(responses) = said.responses {
            check(responses).map_err(invalid)?;
        }
        let state = said.state.map_or(State::None, |state| State::Brought(state.into_owned()));
        let can = capabilities.map(can).transpose().map_err(invalid)?;
        let can = can.unwrap_or_default();
        let responses = said.responses.map(RawValue::to_owned);
        Ok(Self { wants, can, responses, state, by_request: false, continues: None })
    }

    /// With a handshake its client is asked while the call is under way, when it takes more than one message.
    pub(super) fn asks_by_request(&mut self, said: Said<'_>) {
        if said.era == Era::Handshake && said.wants.takes_more() {
            (self.can, self.by_request) = (said.can.clone(), true);
        }
    }

    /// Answers a question with `result`, or with nothing.
    pub(super) fn answers(
        &mut self,
        continues: Continues,
        result: Option<Box<RawValue>>,
    ) -> Result<(), Refusal> {
        let invalid = |what: String| refuse(Step::Receive, Reason::MessageInvalid, what);
        let responses = result.map(|result| {
            RawValue::from_string(format!(r#"{{"{}":{}}}"#, continues.number, result.get()))
        });
        self.responses = responses.transpose().map_err(|error| invalid(error.to_string()))?;
        if let Some(responses) = &self.responses {
            check(responses).map_err(invalid)?;
        }
        self.continues = Some(continues);
        Ok(())
    }

    /// Brings all that a server has asked for by its result, and what it gave with that: it is as the server gave it.
    pub(super) fn brings(
        &mut self,
        responses: Option<Box<RawValue>>,
        state: Option<String>,
    ) -> Result<(), Refusal> {
        if let Some(responses) = &responses {
            check(responses).map_err(|what| refuse(Step::Receive, Reason::MessageInvalid, what))?;
        }
        (self.responses, self.state) = (responses, state.map_or(State::None, State::Given));
        Ok(())
    }

    /// The question of a call under way that this answers.
    pub(super) fn continues(&self) -> Option<&Continues> {
        self.continues.as_ref()
    }

    /// What the run wants to be told meanwhile.
    pub(super) fn wants(&self) -> &Wants {
        &self.wants
    }

    /// The digest of the answers as they came, for the log; none when nothing is answered.
    pub(super) fn digest(&self) -> Option<Digest> {
        let state = match &self.state {
            State::None => None,
            State::Brought(state) | State::Given(state) => Some(state.clone()),
        };
        let responses = self.responses.clone();
        let answers = Answers { responses, state };
        (answers.responses.is_some() || answers.state.is_some()).then(|| answers.digest())
    }

    /// What the run answers; none when it answers nothing.
    pub(super) fn responses(&self) -> Option<&RawValue> {
        self.responses.as_deref()
    }

    /// Takes the server's state out of what the run brings.
    ///
    /// # Errors
    /// When it was not given for this call of this run.
    pub(super) fn open(&mut self, key: &StateKey, of: StateOf<'_>) -> Result<(), Refusal> {
        if let State::Brought(brought) = &self.state {
            let Some(state) = key.unbind(of, brought) else {
                let what =
                    "the state was not given for this call of this run, or not by this gateway";
                return Err(refuse(Step::Receive, Reason::MessageState, what.to_owned()));
            };
            self.state = State::Given(state.to_owned());
        }
        Ok(())
    }

    /// What goes to the server.
    fn sent(&self) -> Result<Option<Answers>, Refusal> {
        let state = match &self.state {
            State::None => None,
            State::Given(state) => Some(state.clone()),
            State::Brought(_) => {
                let what = "the state was not held against the call".to_owned();
                return Err(refuse(Step::Policy, Reason::MessageState, what));
            }
        };
        let responses = self.responses.clone();
        Ok((responses.is_some() || state.is_some()).then_some(Answers { responses, state }))
    }
}

/// What the permit says of it, and what goes to the server.
type Exchanged = (Exchange, Option<Box<Answers>>);

/// What may go to and fro for `act`: what the policy allows, the token of its server too, and the client can
/// answer. Nothing for a tool whose arguments are judged one by one, and for a call that a person allows
/// who reads the arguments: answers would go past both.
///
/// # Errors
/// When the run answers what nobody may have asked it.
pub(super) fn exchange(act: &Act, obligations: &Obligations) -> Result<Option<Exchanged>, Refusal> {
    let (talk, target) = (act.talk(), act.target());
    let entitled = act.claims().entitlements.reach.asked_by(target.split().0);
    let questions = match act.is_judged_by_argument() || obligations.require_approval {
        true => Questions::new(),
        false => &(&talk.can & &obligations.questions) & entitled,
    };
    // A deferred call is asked what it could be asked when it was judged.
    let questions = match act.begun() {
        Some(begun) => &questions & &begun.questions,
        None => questions,
    };
    let answers = talk.sent()?;
    let is_asked = match talk.continues() {
        Some(continues) => questions.contains(&continues.question),
        None => !questions.is_empty(),
    };
    if answers.is_some() && !is_asked {
        let what = format!("no question to this run is allowed, and it answers one for {target}");
        return Err(refuse(Step::Policy, Reason::AnswersRefused, what));
    }
    if questions.is_empty() {
        return Ok(None);
    }
    let digest = answers.as_ref().map(Answers::digest);
    let by_request = talk.by_request;
    Ok(Some((Exchange { questions, answers: digest, by_request }, answers.map(Box::new))))
}

pub(super) fn can(capabilities: &RawValue) -> Result<Questions, String> {
    let declared: Declared<'_> = envelope::object(capabilities.get())?;
    let mut can = Questions::new();
    if let Some(elicitation) = declared.elicitation {
        let forms: Forms<'_> = envelope::object(elicitation.get())?;
        // A page that the user is sent to is nothing that the gate could judge.
        if forms.form.is_some() || forms.url.is_none() {
            can.insert(Question::Elicitation);
        }
    }
    can.extend(declared.sampling.map(|_| Question::Sampling));
    can.extend(declared.roots.map(|_| Question::Roots));
    Ok(can)
}

/// Answers are objects by the server's keys.
fn check(responses: &RawValue) -> Result<(), String> {
    let text = responses.get();
    if text.len() > ANSWERS_BYTES_MAX {
        return Err(format!("answers of {} bytes, at most {ANSWERS_BYTES_MAX}", text.len()));
    }
    let answers: BTreeMap<Cow<'_, str>, &RawValue> = envelope::object(text)?;
    if answers.len() > ANSWERS_MAX {
        return Err(format!("{} answers, at most {ANSWERS_MAX}", answers.len()));
    }
    for (key, answer) in &answers {
        if key.len() > KEY_BYTES_MAX || !answer.get().starts_with('{') {
            return Err("an answer is an object by a key of at most 128 bytes".to_owned());
        }
    }
    Ok(())
}

fn refuse(step: Step, reason: Reason, detail: String) -> Refusal {
    Refusal::new(step, reason, detail)
}

fn text<'de, D: serde::Deserializer<'de>>(reader: D) -> Result<Option<Cow<'de, str>>, D::Error> {
    Cow::<'de, str>::deserialize(reader).map(Some)
}
