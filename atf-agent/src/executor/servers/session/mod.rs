//! One life of a server: the handshake, the calls that are under way, and their answers. The server is
//! not believed: it may answer what nobody asked, twice, never, or without end.

mod answers;
mod asking;
mod ended;
mod hearing;
mod lists;

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::super::error::Mistrust;
use super::super::outcome::Outcome;
use super::besides::{List, Reading};
use super::bounds::{Bounds, KnownBy};
use super::call::Call;
use super::hear::Hear;
use super::offer::Listing;
use super::orders::Orders;
use super::saying::{Saying, What};
use super::sides::Said;
use super::subscribed::{Ear, Subscribed};
use super::under_way::{self, Calls};
use super::{handshake, request};
use crate::call::{DecisionId, Deferral, Digest, Target};
use crate::gate::Era;
use crate::wire::MayDefer;

pub(super) use ended::Ended;

/// Messages to the server that may wait until it reads; past that a call is not taken.
const UNREAD_MAX: usize = 64;

/// Messages of the server that may wait; past that it waits.
const UNHEARD_MAX: usize = 16;

/// Messages in a row that answer nothing, after which a server is ended: a flood costs a core.
const UNASKED_MAX: u32 = 10_000;

/// Lines that are no message, after which a server is ended. Some print a greeting.
const BAD_MAX: u32 = 100;

/// How long a server has for what it is late with: the answers under way when a life is about to end, and the one to a
/// call whose time is over, where no other is made beside it.
const LEAVE_MAX: Duration = Duration::from_secs(2);

/// How long the handshake may take: an interpreter starts in a second, on a busy host in some.
const HANDSHAKE_MAX: Duration = Duration::from_secs(20);

/// One life.
pub(super) struct Session<'a> {
    name: &'a str,
    bounds: Bounds,
    unread: Sender<Saying>,
    revision: Option<&'static str>,
    /// Whether it says that calls of its tools can be deferred.
    defers: bool,
    next: u64,
    under_way: Calls,
    /// Calls to a session that the server does not know any more.
    forgotten: Vec<Call>,
    /// Until when the calls under way are waited for, and why no other is begun.
    leaves: Option<(Instant, Ended)>,
    has_served: bool,
    /// Until when the server may answer a call whose time is over, before it makes another one.
    late_until: Option<Instant>,
    /// The resources of whose changes somebody is told.
    subscribed: Subscribed,
    unasked: u32,
    bad: u32,
    /// The digests of what it offers now.
    offers: HashMap<String, Digest>,
    /// Its list, while it is read. Calls wait meanwhile.
    listing: Option<Listing>,
    /// Whether the list that is read is out of date already.
    is_stale: bool,
    list_until: Instant,
    /// What it can be asked to list besides tools, and that while it is read. No call waits for it.
    besides: Vec<List>,
    reading: Option<Box<Reading>>,
    offered: &'a Hear,
}

/// Speaks with a server until its life is over. What was under way then has an unknown outcome.
pub(super) async fn live(
    name: &str,
    bounds: Bounds,
    carry: impl FnOnce(&mut JoinSet<()>, Receiver<Saying>, Sender<Said>),
    orders: &mut Orders,
    offered: &Hear,
) -> Ended {
    let (unread, queue) = mpsc::channel(UNREAD_MAX);
    let (say, mut said) = mpsc::channel(UNHEARD_MAX);
    // They end with this life: dropping the set aborts them.
    let mut carriers = JoinSet::new();
    carry(&mut carriers, queue, say);
    let subscribed = Subscribed::new(bounds.era);
    let mut session = Session {
        name,
        bounds,
        unread,
        revision: None,
        defers: false,
        next: 0,
        under_way: Calls::default(),
        forgotten: Vec::new(),
        leaves: None,
        has_served: false,
        late_until: None,
        subscribed,
        unasked: 0,
        bad: 0,
        offers: HashMap::new(),
        listing: None,
        is_stale: false,
        list_until: Instant::now(),
        besides: Vec::new(),
        reading: None,
        offered,
    };
    let greeted = timeout(HANDSHAKE_MAX, session.greet(&mut said)).await;
    let greeted = greeted
        .unwrap_or_else(|_| Err(Ended::Handshake(format!("no answer in {HANDSHAKE_MAX:?}"))));
    let ended = match greeted {
        Ok(()) => session.serve(&mut said, orders).await,
        Err(ended) => ended,
    };
    let why = || format!("the server {name} ended before it answered: {ended}");
    session.under_way.left().for_each(|call| call.give(Outcome::Unknown(why())));
    session.subscribed.left().for_each(|reply| reply.give(Outcome::Unknown(why())));
    orders.again.append(&mut session.forgotten);
    ended
}

impl Session<'_> {
    /// The handshake, as every revision up to 2025-11-25 has it.
    async fn greet(&mut self, said: &mut Receiver<Said>) -> Result<(), Ended> {
        let id = self.number();
        let era = self.bounds.era;
        self.say(
            What::asks(id, handshake::method(era)),
            handshake::opening(era, id, &self.bounds.asks),
        );
        let result = loop {
            match self.hear(said.recv().await)? {
                Some((answered, body)) if answered == id => break body,
                Some(_) => self.count_unasked()?,
                None => {}
            }
        };
        let (agreed, has) = handshake::agreed(era, &result).map_err(Ended::Handshake)?;
        self.revision = Some(agreed);
        // What is worked on after its answer would ask beside the call whose turn it is.
        self.defers = has.defers() && self.bounds.known_by != KnownBy::Turn;
        handshake::opened(era).into_iter().for_each(|line| self.say(What::Opened, line));
        // Before the lists are read: no change of them falls between the two.
        self.besides = has.lists();
        let listens = self.number();
        let listen = handshake::listen(era, listens, &self.besides);
        let asks = || What::asks(listens, handshake::LISTEN);
        listen.into_iter().for_each(|line| self.say(asks(), line));
        if has.has_tools() {
            self.list();
        } else {
            (self.offered.tools)(&[]);
        }
        while self.listing.is_some() {
            if let Some((answered, body)) = self.hear(said.recv().await)? {
                self.answered(answered, body)?;
            }
        }
        self.list_besides();
        tracing::info!(server = self.name, revision = %agreed, "the tool server is there");
        Ok(())
    }

    async fn serve(&mut self, said: &mut Receiver<Said>, orders: &mut Orders) -> Ended {
        // They were to a session before this one.
        std::mem::take(&mut orders.again).into_iter().for_each(|call| self.ask(call));
        loop {
            if let Some((until, _)) = &self.leaves
                && (self.under_way.len() == 0 || *until <= Instant::now())
                && let Some((_, ended)) = self.leaves.take()
            {
                return ended;
            }
            if self.late_until.is_some_and(|until| until <= Instant::now()) {
                return Ended::Late;
            }
            let (lists, has_room) = (self.listing.is_some(), self.has_room());
            if has_room && let Some(call) = orders.waiting.next() {
                self.ask(call);
                continue;
            }
            let leave_at = self.leaves.as_ref().map(|(until, _)| *until);
            let first =
                [self.under_way.until(), leave_at, self.late_until].into_iter().flatten().min();
            let (list_until, by_turn) = (self.list_until, self.bounds.known_by == KnownBy::Turn);
            let heard = tokio::select! {
                heard = said.recv() => self.hear(heard),
                call = orders.calls.recv(), if has_room || by_turn => match call {
                    Some(call) if by_turn => {
                        orders.waiting.push(call).into_iter().for_each(|call| self.is_busy(call));
                        continue;
                    }
                    Some(call) => { self.ask(call); continue }
                    None => return Ended::NoCallers,
                },
                Some(answering) = orders.answers.recv() => { self.answer(answering); continue }
                Some(decision) = orders.cancels.recv() => { self.cancel(decision); continue }
                () = sleep_until(first.unwrap_or_else(Instant::now)), if first.is_some() => {
                    self.give_up();
                    continue;
                }
                () = sleep_until(list_until), if lists => {
                    let why = format!("it did not list its tools in {HANDSHAKE_MAX:?}");
                    return Ended::Handshake(why);
                }
            };
            match heard {
                Ok(None) => {}
                Ok(Some((id, body))) => {
                    if let Err(ended) = self.answered(id, body) {
                        return ended;
                    }
                }
                Err(ended) => return ended,
            }
        }
    }

    /// Whether it can be given a call.
    fn has_room(&self) -> bool {
        let forgets = matches!(self.leaves, Some((_, Ended::Forgotten { .. })));
        let waits = forgets || self.listing.is_some() || self.late_until.is_some();
        !waits && self.under_way.len() < self.bounds.calls_max
    }

    fn is_busy(&self, call: Call) {
        call.not_done(Mistrust::ServerBusy { server: self.name.to_owned() });
    }

    /// Has the server hear of a call, unless something speaks against it at the last moment.
    fn ask(&mut self, mut call: Call) {
        if !self.under_way.is_awaited(&call) {
            return call.not_done(Mistrust::Cancelled);
        }
        call.may_tell = under_way::may_tell(&self.bounds, call.may_tell);
        call.questions = call.may_ask(&self.bounds);
        if self.bounds.era == Era::Handshake && call.defers == Some(MayDefer::Allowed) {
            // It is answered at once, which is allowed too.
            call.defers = None;
        }
        let stands = self
            .is_there()
            .and_then(|()| self.is_approved(&call))
            .and_then(|()| self.takes_answers(&call))
            .and_then(|()| self.defers(&call))
            .and_then(|()| (call.unexpired)())
            .and_then(|()| (call.unsealed)());
        if let Err(mistrust) = stands {
            return call.not_done(mistrust);
        }
        let id = self.number();
        if matches!(call.target, Target::Subscription(_)) {
            let ear = Ear { unread: &self.unread, revision: self.revision };
            return self.subscribed.begin(id, call, &ear);
        }
        let line = request::call(self.bounds.era, id, &call);
        let what = request::what(self.bounds.era, id, &call);
        let saying = Saying { stands: Some(call.stands()), ..self.saying(what, line) };
        if self.unread.try_send(saying).is_err() {
            return self.is_busy(call);
        }
        let until = Instant::now() + self.bounds.call_timeout;
        self.under_way.begin(id, call, until, self.bounds.may_forget);
    }

    /// Tells the server that nobody waits for a call; whether it stops is its own affair.
    fn cancel(&mut self, decision: DecisionId) {
        let number = self.number();
        let ear = Ear { unread: &self.unread, revision: self.revision };
        if self.subscribed.cancel(decision, number, &ear) {
            return;
        }
        if let Some((id, open)) = self.under_way.cancel(decision) {
            self.unanswered(open);
            let what = What::Cancel { id, is_over: false };
            self.say(what, request::cancelled(id, "nobody waits for it"));
        }
    }

    /// It could be reached when it was tried last.
    fn is_there(&self) -> Result<(), Mistrust> {
        match &self.leaves {
            Some((_, ended @ Ended::Unreachable(_))) => {
                let (server, why) = (self.name.to_owned(), ended.to_string());
                Err(Mistrust::ServerAway { server, why })
            }
            _ => Ok(()),
        }
    }

    /// A server that is spoken with after a handshake asks nothing by its results.
    fn takes_answers(&self, call: &Call) -> Result<(), Mistrust> {
        match (self.bounds.era, &call.answers) {
            (Era::Handshake, Some(_)) => Err(Mistrust::NoAnswers { server: self.name.to_owned() }),
            (Era::Handshake, None) | (Era::Stateless, _) => Ok(()),
        }
    }

    /// A server is asked to defer a call, and about one that it deferred, where it says that it does so, and in
    /// the words of its own revision.
    fn defers(&self, call: &Call) -> Result<(), Mistrust> {
        let asks = call.target.deferral().map(|deferred| deferred.asks);
        let is_of = match (asks, call.defers) {
            (Some(Deferral::Get | Deferral::Cancel), _) | (None, None) => return Ok(()),
            (Some(Deferral::Result), _) | (None, Some(MayDefer::Asked { .. })) => Era::Handshake,
            (Some(Deferral::Update), _) | (None, Some(MayDefer::Allowed)) => Era::Stateless,
        };
        let says_so = self.defers || is_of == Era::Stateless;
        match is_of == self.bounds.era && says_so {
            true => Ok(()),
            false => Err(Mistrust::NoTasks { server: self.name.to_owned() }),
        }
    }

    /// Ends the calls whose time is over. The server is told; whether it stops is its own affair.
    fn give_up(&mut self) {
        while let Some((id, mut call)) = self.under_way.overdue() {
            self.unanswered(call.open());
            let after = self.bounds.call_timeout;
            let why = format!("the server {} did not answer in {after:?}", self.name);
            call.give(Outcome::Unknown(why));
            let what = What::Cancel { id, is_over: true };
            self.say(what, request::cancelled(id, "its time is over"));
            if self.bounds.known_by == KnownBy::Turn {
                self.late_until = Some(Instant::now() + LEAVE_MAX);
            }
        }
    }

    /// Says something on which nobody waits; one who does not read does not hear it.
    fn say(&self, what: What, line: String) {
        if self.unread.try_send(self.saying(what, line)).is_err() {
            tracing::debug!(server = self.name, "a tool server does not read");
        }
    }

    fn saying(&self, what: What, line: String) -> Saying {
        Saying { line, what, revision: self.revision, stands: None }
    }

    fn count_unasked(&mut self) -> Result<(), Ended> {
        self.unasked += 1;
        if self.unasked >= UNASKED_MAX { Err(Ended::Flood) } else { Ok(()) }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}
