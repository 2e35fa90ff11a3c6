//! The calls that a server may have heard of: what it tells meanwhile, and to whom that goes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::value::RawValue;
use tokio::time::Instant;

use super::super::error::Mistrust;
use super::super::outcome::Outcome;
use super::bounds::{Bounds, KnownBy};
use super::call::Call;
use super::request;
use crate::call::{DecisionId, Level, Question, Questions};
use crate::gate::Era;
use crate::wire::{MayTell, Told};

/// Most that is told of one call, in messages and in bytes. A client that wants to see that something
/// moves needs few, and what goes this way is kept back from nobody else.
const TOLD_MAX: usize = 256;
const TOLD_BYTES_MAX: usize = 64 << 10;

/// Most questions of one call, answered or not: as many as one result may ask.
const QUESTIONS_MAX: usize = 16;

/// Calls without an answer that are remembered; past that nobody knows of which call a server writes.
const UNHEARD_MAX: usize = 1_024;

/// Cancelled calls that are remembered until their turn comes.
const GONE_MAX: usize = 64;

/// A call that the server may have heard of.
pub(super) struct UnderWay {
    until: Instant,
    told: usize,
    told_bytes: usize,
    /// The server's name for the deferred call that it is about.
    task: Option<String>,
    /// What the server has asked and nobody has answered, by our numbers.
    asked: BTreeMap<u64, Asked>,
    asked_in_all: usize,
    call: Call,
}

/// A question of a server.
struct Asked {
    /// By the server's own id for it.
    id: Box<RawValue>,
    question: Question,
}

/// All of them, by our numbers.
#[derive(Default)]
pub(super) struct Calls {
    all: BTreeMap<u64, UnderWay>,
    gone: VecDeque<DecisionId>,
    /// Those that ended without an answer, until one comes: what the server writes down may be of them.
    unheard: BTreeSet<u64>,
    /// One that will never come, or too many.
    is_muddled: bool,
}

impl UnderWay {
    /// Whether it is a tool's.
    pub(super) fn is_tool(&self) -> bool {
        self.call.target.tool().is_some()
    }

    /// Whether its run is asked by requests.
    pub(super) fn is_asked_by_request(&self) -> bool {
        self.call.asks_by_request
    }

    /// Whether the run may still act.
    pub(super) fn is_unsealed(&self) -> Result<(), Mistrust> {
        (self.call.unsealed)()
    }

    /// What became of it.
    pub(super) fn give(self, outcome: Outcome) {
        self.call.reply.give(outcome);
    }

    /// The server's own ids for what it has asked and nobody has answered. Nobody will.
    pub(super) fn open(&mut self) -> impl Iterator<Item = Box<RawValue>> + use<> {
        std::mem::take(&mut self.asked).into_values().map(|asked| asked.id)
    }

    /// The call as it was before the server heard of it.
    pub(super) fn into_call(self) -> Call {
        self.call
    }

    /// Asks the run, where the permit lets its server do so.
    fn ask(&mut self, number: u64, asked: Asked, params: String) -> bool {
        let is_double = self.asked.values().any(|open| open.id.get() == asked.id.get());
        let question = asked.question;
        if is_double
            || self.asked_in_all >= QUESTIONS_MAX
            || !self.call.questions.contains(&question)
            || !self.tell(Told::Asks { question: number, asks: question, params })
        {
            return false;
        }
        self.asked_in_all += 1;
        self.asked.insert(number, asked);
        true
    }

    /// Tells the run, within the bounds of its call, and while it may act; false when it is told nothing.
    fn tell(&mut self, told: Told) -> bool {
        let bytes = serde_json::to_vec(&told).map_or(usize::MAX, |text| text.len());
        let bytes = self.told_bytes.saturating_add(bytes);
        if self.told >= TOLD_MAX || bytes > TOLD_BYTES_MAX || self.is_unsealed().is_err() {
            return false;
        }
        self.told += 1;
        self.told_bytes = bytes;
        self.call.reply.tell(told);
        true
    }
}

impl Calls {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// When the time of one of them is over.
    pub(super) fn until(&self) -> Option<Instant> {
        self.all.values().map(|call| call.until).min()
    }

    /// The server is about to hear of `call` by this number, and has until then to answer. `keeps`: what it
    /// heard may have to be said again.
    pub(super) fn begin(&mut self, id: u64, mut call: Call, until: Instant, keeps: bool) {
        let task = call.target.deferral().and_then(|_| request::task(&call.arguments));
        if !keeps {
            (call.arguments, call.answers) = (RawValue::NULL.to_owned(), None);
        }
        let (asked, asked_in_all) = (BTreeMap::new(), 0);
        let under_way = UnderWay { until, told: 0, told_bytes: 0, task, asked, asked_in_all, call };
        self.all.insert(id, under_way);
    }

    /// A call ended without an answer, and none will come.
    pub(super) fn ended_unheard(&mut self) {
        self.is_muddled = true;
    }

    /// Whether an answer is to a call whose time was over: what the server writes down is of it no more.
    pub(super) fn is_late(&mut self, id: u64) -> bool {
        self.unheard.remove(&id)
    }

    /// The call that an answer is to.
    pub(super) fn answered(&mut self, id: u64) -> Option<UnderWay> {
        self.all.remove(&id)
    }

    /// A call whose time is over, and its number.
    pub(super) fn overdue(&mut self) -> Option<(u64, UnderWay)> {
        let now = Instant::now();
        let id = *self.all.iter().find(|(_, call)| call.until <= now)?.0;
        self.is_muddled |= self.unheard.len() >= UNHEARD_MAX;
        if !self.is_muddled {
            self.unheard.insert(id);
        }
        self.all.remove(&id).map(|call| (id, call))
    }

    /// All that are left when the server's life is over.
    pub(super) fn left(&mut self) -> impl Iterator<Item = UnderWay> {
        std::mem::take(&mut self.all).into_values()
    }

    /// Nobody waits for the call of `decision`. Its number, when the server has heard of it, and its open questions by
    /// the server's own ids: it keeps its place until it is answered or its time is over, for nobody knows whether the
    /// server stops.
    pub(super) fn cancel(&mut self, decision: DecisionId) -> Option<(u64, Vec<Box<RawValue>>)> {
        let found = self.all.iter_mut().find(|(_, of)| of.call.decision == decision);
        let Some((id, of)) = found else {
            self.gone.truncate(GONE_MAX - 1);
            self.gone.push_front(decision);
            return None;
        };
        of.call.may_tell = MayTell::default();
        // Nobody is there to be asked.
        of.call.questions = Questions::new();
        Some((*id, of.open().collect()))
    }

    /// The server asks the run something for call `id`, by an id of its own; `number` is ours for it. False when the
    /// run is not asked.
    pub(super) fn asks(
        &mut self,
        id: u64,
        number: u64,
        (own, question, params): (Box<RawValue>, Question, Option<Box<RawValue>>),
    ) -> bool {
        let params = params.map_or_else(|| "{}".to_owned(), |params| params.get().to_owned());
        let asked = Asked { id: own, question };
        self.all.get_mut(&id).is_some_and(|of| of.ask(number, asked, params))
    }

    /// The server's own id for the question of this number, which is answered by `answer` and open no more. None when
    /// it is not open, or the answer is not that of its call.
    pub(super) fn answers(&mut self, number: u64, answer: &Call) -> Option<Box<RawValue>> {
        let began = answer.began?;
        let is_of = |of: &&mut UnderWay| {
            let call = &of.call;
            call.decision == began && call.run == answer.run && call.target == answer.target
        };
        let of = self.all.values_mut().find(is_of)?;
        let question = of.asked.get(&number)?.question;
        let may = answer.asks_by_request && answer.questions.contains(&question);
        of.asked.remove(&number).filter(|_| may).map(|asked| asked.id)
    }

    /// The same of a question that nobody answers.
    pub(super) fn unanswered(
        &mut self,
        decision: DecisionId,
        number: u64,
    ) -> Option<Box<RawValue>> {
        let of = self.all.values_mut().find(|of| of.call.decision == decision)?;
        of.asked.remove(&number).map(|asked| asked.id)
    }

    /// Whether somebody waits for a call whose turn it is.
    pub(super) fn is_awaited(&self, call: &Call) -> bool {
        !self.gone.contains(&call.decision)
    }

    /// The server tells how far call `id` has come; false when nobody is told.
    pub(super) fn progress(&mut self, id: u64, told: Told) -> bool {
        let of = self.all.get_mut(&id).filter(|of| of.call.may_tell.progress);
        of.is_some_and(|of| of.tell(told))
    }

    /// The server tells how far the deferred call is that it knows as `task`: to those who wait for its result. False
    /// when nobody does.
    pub(super) fn status(&mut self, task: &str, told: &Told) -> bool {
        let waits =
            |of: &&mut UnderWay| of.call.may_tell.status && of.task.as_deref() == Some(task);
        let mut is_told = false;
        for of in self.all.values_mut().filter(waits) {
            is_told |= of.tell(told.clone());
        }
        is_told
    }

    /// The server writes something down while it answers call `id`, on that answer's own stream.
    pub(super) fn log_of(&mut self, id: u64, level: Level, told: Told) -> bool {
        let of = self.all.get_mut(&id);
        of.filter(|of| of.call.may_tell.level.is_some_and(|least| level >= least))
            .is_some_and(|of| of.tell(told))
    }

    /// The server writes something down, and does not say of which call. It is of the only one that is
    /// under way, when none before it is without an answer still; else it goes to nobody.
    pub(super) fn log(&mut self, level: Level, told: Told) -> bool {
        self.alone().is_some_and(|id| self.log_of(id, level, told))
    }

    /// The only call that is under way, when none before it is without an answer still.
    pub(super) fn alone(&self) -> Option<u64> {
        let is_alone = self.all.len() == 1 && self.unheard.is_empty() && !self.is_muddled;
        self.all.keys().next().copied().filter(|_| is_alone)
    }
}

/// What a server may tell that speaks so: up to 2025-11-25 what it writes down is told to all its clients alike,
/// and those are all runs, unless it is known of which call it is.
pub(super) fn may_tell(bounds: &Bounds, allowed: MayTell) -> MayTell {
    match bounds.era {
        Era::Handshake if bounds.known_by != KnownBy::Nothing => allowed,
        Era::Handshake => MayTell { level: None, ..allowed },
        Era::Stateless => MayTell { status: false, ..allowed },
    }
}
