//! What a call is known to be, as it goes down the line: the log is told of it, and its caller is
//! answered by it.

use std::time::Instant;

use crate::audit::{self, Event, Verdict};
use crate::call::{Caller, DecisionId, Digest, Reason, Refusal, Step};
use crate::gate::{
    Code, Era, Hearing, Id, Limits, Message, Permit, Received, Reply, Response, Stated,
};
use crate::state::{Approved, Hearings};

use super::authorization::Challenge;
use super::headers::Envelope;

/// The account of one call.
pub(super) struct Account {
    call: audit::Call,
    started: Instant,
    asked: Asked,
    era: Era,
    had_token: bool,
}

/// Whom a refusal answers, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// A message that was not read.
    Unread(Reply),
    /// A request for a tool, whose result a model reads.
    Tool(Id),
    /// A request for a tool, to which a promise is the answer.
    Promise(Id),
    /// Any other request.
    Other(Id),
    /// What wants no answer, but for its status: it is one itself.
    Nothing,
}

/// What a message is.
pub(super) enum Came {
    /// It is to be judged.
    Request(Received),
    /// It has no effect on any tool. The number for which nobody waits any more is in it, when that is what
    /// it says.
    Notification {
        /// That number.
        cancels: Option<Id>,
    },
    /// It answers what a server has asked.
    Response(Response),
}

impl Asked {
    /// Whether it was refused for a method or a revision that is not known. SDKs probe for both, so
    /// that this alone must not speak against a run.
    pub(super) fn is_of_unknown_method(&self) -> bool {
        match self {
            Self::Unread(reply) => matches!(reply.code, Code::Method | Code::Unsupported),
            Self::Tool(_) | Self::Promise(_) | Self::Other(_) | Self::Nothing => false,
        }
    }
}

impl Account {
    /// An account of a call that is about to be read.
    pub(super) fn open(caller: Caller, envelope: &Envelope) -> Self {
        Self {
            started: Instant::now(),
            asked: Asked::Unread(Reply {
                id: None,
                code: Code::Request,
                era: Era::Handshake,
                requested: None,
            }),
            era: Era::Handshake,
            had_token: envelope.jwt.is_some(),
            call: audit::Call {
                decision: DecisionId::random(),
                run: caller.run,
                cgroup: caller.cgroup,
                method: None,
                agent: None,
                user: None,
                task: None,
                token: envelope.jwt.as_ref().map(|jwt| Digest::of(jwt.as_bytes())),
                tool: None,
                target: None,
                pin: None,
                arguments: None,
                rewritten: Vec::new(),
                answers: None,
                prompt: None,
                policy: None,
                hearing: None,
                approval: None,
                began: None,
                permit: None,
                gate_ns: 0,
            },
        }
    }

    /// Step 1: reads the message.
    ///
    /// # Errors
    /// When it is not read, or the prompt digest of its header contradicts it.
    pub(super) fn receive(
        &mut self,
        message: &[u8],
        envelope: &Envelope,
        limits: &Limits,
    ) -> Result<Came, Refusal> {
        let received = match Received::read(message, limits, &envelope.stated) {
            Ok(Message::Notification(kind, cancels)) => {
                tracing::debug!(run = %self.call.run, ?kind, "a notification");
                return Ok(Came::Notification { cancels });
            }
            Ok(Message::Response(response)) => {
                self.asked = Asked::Nothing;
                return Ok(Came::Response(response));
            }
            Ok(Message::Request(received)) => received,
            Err(refusal) => {
                if let Some(reply) = Received::reply(message, limits, &envelope.stated) {
                    self.era = reply.era;
                    self.asked = Asked::Unread(reply);
                }
                return Err(refusal);
            }
        };
        let id = received.id().clone();
        self.era = received.era();
        self.asked = match received.tool_call() {
            Some(call) if call.wants_promise() => Asked::Promise(id),
            Some(_) => Asked::Tool(id),
            None => Asked::Other(id),
        };
        received.describe(&mut self.call);
        let received = received.with_prompt_header(envelope.prompt.as_deref())?;
        received.describe(&mut self.call);
        Ok(Came::Request(received))
    }

    /// Step 1 once more, of the call whose server has asked what this answers. Whoever answers is answered as before.
    ///
    /// # Errors
    /// When it is not read.
    pub(super) fn again(
        &mut self,
        (message, stated, prompt): (&[u8], &Stated, Option<&str>),
        limits: &Limits,
    ) -> Result<Received, Refusal> {
        match Received::read(message, limits, stated)? {
            Message::Request(received) => received.with_prompt_header(prompt),
            Message::Notification(..) | Message::Response(_) => {
                let detail = "what a server has asked for is no request";
                Err(Refusal::new(Step::Receive, Reason::MessageInvalid, detail))
            }
        }
    }

    /// Lets a step write down what it learnt.
    pub(super) fn learn(&mut self, describe: impl FnOnce(&mut audit::Call)) {
        describe(&mut self.call);
    }

    /// The revision of the policy by which it is judged from here on.
    pub(super) fn judged_by(&mut self, revision: Digest) {
        self.call.policy = Some(revision);
    }

    /// What the policy was told and said, which the log names when it is kept.
    pub(super) fn heard(&mut self, hearings: &Hearings, hearing: Option<&Hearing>) {
        if !hearings.keeps() {
            return;
        }
        let line = hearing.and_then(|hearing| hearing.line(self.call.decision));
        self.call.hearing = line.and_then(|line| {
            let digest = Digest::of(line.as_bytes());
            hearings.keep(line).then_some(digest)
        });
    }

    /// The permit that it got, and the person's word that was taken for it.
    pub(super) fn permitted(&mut self, permit: &Permit, approved: Option<Approved>) {
        self.call.approval = approved.map(|approved| approved.decision());
        permit.judged().describe(&mut self.call);
        self.call.permit = Some(permit.digest());
    }

    /// The gate has decided: the clock of the decision stops.
    pub(super) fn decided(&mut self) {
        if self.call.gate_ns == 0 {
            let elapsed = self.started.elapsed().as_nanos();
            self.call.gate_ns = u64::try_from(elapsed).unwrap_or(u64::MAX);
        }
    }

    /// The decision.
    pub(super) fn decision(&self) -> DecisionId {
        self.call.decision
    }

    /// What the caller has to do about its token, when that is the matter.
    pub(super) fn challenge(&self, reason: Reason) -> Option<Challenge> {
        // Both were read by grammars that have visible ASCII alone.
        let target = self.call.tool.as_ref().or(self.call.target.as_ref());
        Challenge::of(reason, self.had_token, target.map(|target| target.raw().to_owned()))
    }

    /// The way in which it is to be answered.
    pub(super) fn era(&self) -> Era {
        self.era
    }

    /// Whom a refusal answers.
    pub(super) fn asked(&self) -> &Asked {
        &self.asked
    }

    /// The record of a decision.
    pub(super) fn event(&self, verdict: Verdict) -> Event {
        Event::Decided { call: Box::new(self.call.clone()), verdict }
    }

    /// The record of a refusal.
    pub(super) fn refused(&self, refusal: &Refusal) -> Event {
        self.event(verdict(refusal, true))
    }

    /// The record of a call that is made: allowed, or refused in vain. A refusal is never told as an allowance.
    pub(super) fn made(&self, permit: &Permit) -> Event {
        self.event(match permit.judged().waived() {
            None => Verdict::Allowed,
            Some(refusal) => {
                let (run, reason) = (self.call.run, refusal.reason);
                tracing::warn!(%run, %reason, "refused, and made by its tool's mode");
                verdict(refusal, false)
            }
        })
    }
}

fn verdict(refusal: &Refusal, enforced: bool) -> Verdict {
    Verdict::Refused {
        step: refusal.step,
        reason: refusal.reason,
        detail: refusal.detail.clone(),
        enforced,
    }
}
