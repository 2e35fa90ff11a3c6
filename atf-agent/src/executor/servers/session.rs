//! One life of a server: the handshake, the calls that are under way, and their answers. The server is
//! not believed: it may answer what nobody asked, twice, never, or without end.

use std::collections::HashMap;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::super::answer;
use super::super::error::Mistrust;
use super::super::outcome::Outcome;
use super::besides::{List, Reading, Then};
use super::bounds::Bounds;
use super::call::Call;
use super::hear::Hear;
use super::message::{Body, Heard};
use super::news::News;
use super::offer::{self, Listing, Next};
use super::orders::Orders;
use super::sides::{self, LINE_BYTES_MAX, Said};
use super::under_way::{self, Calls};
use super::{handshake, request};
use crate::call::{DecisionId, Digest, Untrusted};
use crate::gate::Era;
use crate::wire::Catalogue;

/// Messages to the server that may wait until it reads; past that a call is not taken.
const UNREAD_MAX: usize = 64;

/// Messages of the server that may wait; past that it waits.
const UNHEARD_MAX: usize = 16;

/// Messages in a row that answer nothing, after which a server is ended: a flood costs a core.
const UNASKED_MAX: u32 = 10_000;

/// Lines that are no message, after which a server is ended. Some print a greeting.
const BAD_MAX: u32 = 100;

/// How long the handshake may take: an interpreter starts in a second, on a busy host in some.
const HANDSHAKE_MAX: Duration = Duration::from_secs(20);

/// Why a life is over.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Ended {
    /// Its output ended.
    #[error("its output ended")]
    Closed,
    /// A line that does not end.
    #[error("it said a line of more than {LINE_BYTES_MAX} bytes")]
    Endless,
    /// Messages that nobody asked for.
    #[error("it said {UNASKED_MAX} messages in a row that answer nothing")]
    Flood,
    /// Something else than MCP.
    #[error("it said {BAD_MAX} lines that are no message")]
    Gibberish,
    /// No handshake.
    #[error("no handshake: {0}")]
    Handshake(String),
    /// The executor has no more calls: it ends.
    #[error("the executor ends")]
    NoCallers,
}

/// MCP 2026-07-28: the client does not say that it answers what would have to be asked.
const MISSING_CAPABILITY: i64 = -32021;

/// One life.
pub(super) struct Session<'a> {
    name: &'a str,
    bounds: Bounds,
    unread: Sender<String>,
    next: u64,
    under_way: Calls,
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
    (from, to): (impl AsyncRead + Unpin + Send + 'static, impl AsyncWrite + Unpin + Send + 'static),
    orders: &mut Orders,
    offered: &Hear,
) -> Ended {
    let (unread, queue) = mpsc::channel(UNREAD_MAX);
    let (say, mut said) = mpsc::channel(UNHEARD_MAX);
    // Both end with this life: dropping the set aborts them.
    let mut both = JoinSet::new();
    both.spawn(sides::write(to, queue));
    both.spawn(sides::read(from, say));
    let mut session = Session {
        name,
        bounds,
        unread,
        next: 0,
        under_way: Calls::default(),
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
    for call in session.under_way.left() {
        let why = format!("the server {name} ended before it answered: {ended}");
        call.reply.give(Outcome::Unknown(why));
    }
    ended
}

impl Session<'_> {
    /// The handshake, as every revision up to 2025-11-25 has it.
    async fn greet(&mut self, said: &mut Receiver<Said>) -> Result<(), Ended> {
        let id = self.number();
        self.say(handshake::opening(self.bounds.era, id));
        let result = loop {
            match self.hear(said.recv().await)? {
                Some((answered, body)) if answered == id => break body,
                Some(_) => self.count_unasked()?,
                None => {}
            }
        };
        let era = self.bounds.era;
        let (agreed, has) = handshake::agreed(era, &result).map_err(Ended::Handshake)?;
        handshake::opened(era).into_iter().for_each(|line| self.say(line));
        // Before the lists are read: no change of them falls between the two.
        self.besides = has.lists();
        let listens = self.number();
        let listen = handshake::listen(era, listens, &self.besides);
        listen.into_iter().for_each(|line| self.say(line));
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
        loop {
            let first = self.under_way.until();
            let lists = self.listing.is_some();
            let has_room = !lists && self.under_way.len() < self.bounds.calls_max;
            let list_until = self.list_until;
            let heard = tokio::select! {
                heard = said.recv() => self.hear(heard),
                call = orders.calls.recv(), if has_room => match call {
                    Some(call) => { self.ask(call); continue }
                    None => return Ended::NoCallers,
                },
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

    /// Has the server hear of a call, unless something speaks against it at the last moment.
    fn ask(&mut self, mut call: Call) {
        if !self.under_way.is_awaited(&call) {
            return call.not_done(Mistrust::Cancelled);
        }
        call.may_tell = under_way::may_tell(self.bounds.era, call.may_tell);
        let stands = self
            .is_approved(&call)
            .and_then(|()| self.takes_answers(&call))
            .and_then(|()| (call.unexpired)())
            .and_then(|()| (call.unsealed)());
        if let Err(mistrust) = stands {
            return call.not_done(mistrust);
        }
        let id = self.number();
        let line = request::call(self.bounds.era, id, &call);
        if self.unread.try_send(line).is_err() {
            let server = self.name.to_owned();
            return call.not_done(Mistrust::ServerBusy { server });
        }
        self.under_way.begin(id, call, Instant::now() + self.bounds.call_timeout);
    }

    /// Tells the server that nobody waits for a call; whether it stops is its own affair.
    fn cancel(&mut self, decision: DecisionId) {
        if let Some(id) = self.under_way.cancel(decision) {
            self.say(request::cancelled(id, "nobody waits for it"));
        }
    }

    /// An answer to one of our numbers, if what was said is one.
    fn hear(&mut self, said: Option<Said>) -> Result<Option<(u64, Body)>, Ended> {
        match said {
            None => Err(Ended::Closed),
            Some(Said::Endless) => Err(Ended::Endless),
            Some(Said::Message(Heard::Answer { id, body })) => Ok(Some((id, body))),
            Some(Said::Message(Heard::Asked { id, is_ping })) => {
                // Nothing was declared that it could ask for: no sampling, no elicitation, no roots.
                self.say(request::answer_of(&id, is_ping));
                self.count_unasked().map(|()| None)
            }
            Some(Said::Message(Heard::Told { news })) => {
                match news {
                    News::Tools => self.list(),
                    News::Besides => self.list_besides(),
                    News::Progress(id, told) => self.under_way.progress(id, told),
                    News::Log(level, told) => self.under_way.log(level, told),
                    News::Other => {}
                }
                self.count_unasked().map(|()| None)
            }
            Some(Said::Message(Heard::Bad(why))) => {
                let why = Untrusted::new(why);
                tracing::warn!(server = self.name, %why, "a tool server said what is no message");
                self.bad += 1;
                if self.bad >= BAD_MAX { Err(Ended::Gibberish) } else { Ok(None) }
            }
        }
    }

    /// Asks for its tools; when that is under way, it is done again afterwards.
    fn list(&mut self) {
        if self.listing.is_some() {
            self.is_stale = true;
            return;
        }
        let listing = Listing::begin(self.number());
        self.say(offer::ask(self.bounds.era, listing.id, None));
        self.list_until = Instant::now() + HANDSHAKE_MAX;
        self.listing = Some(listing);
    }

    /// Asks for all else that it offers. What is read of it at the moment is out of date then: the
    /// answers to come are to nobody.
    fn list_besides(&mut self) {
        let id = self.number();
        self.reading = Reading::begin(self.name, self.besides.clone(), id);
        match &self.reading {
            Some(reading) => self.say(reading.request(self.bounds.era, None)),
            None => (self.offered.besides)(Catalogue::default()),
        }
    }

    /// Takes a page of one of these lists.
    fn listed_besides(&mut self, reading: Box<Reading>, body: &Body) {
        match reading.take(body) {
            Then::Ask(mut reading, cursor) => {
                reading.id = self.number();
                self.say(reading.request(self.bounds.era, cursor.as_deref()));
                self.reading = Some(reading);
            }
            Then::Whole(catalogue) => (self.offered.besides)(catalogue),
        }
    }

    /// Takes a page of the list.
    fn listed(&mut self, mut listing: Listing, body: &Body) -> Result<(), Ended> {
        match listing.take(body).map_err(Ended::Handshake)? {
            Next::Page(cursor) => {
                listing.id = self.number();
                self.say(offer::ask(self.bounds.era, listing.id, Some(&cursor)));
                self.listing = Some(listing);
            }
            Next::Whole(tools) => {
                (self.offered.tools)(&tools);
                self.offers = tools.into_iter().map(|tool| (tool.tool, tool.digest)).collect();
                if std::mem::take(&mut self.is_stale) {
                    self.list();
                }
            }
        }
        Ok(())
    }

    /// The tool is what an operator approved, by what its server said last. Nothing else has a pin.
    fn is_approved(&self, call: &Call) -> Result<(), Mistrust> {
        let Some(tool) = call.target.tool() else { return Ok(()) };
        let why = match (self.offers.get(call.target.split().1), call.approved) {
            (Some(offered), Some(approved)) if *offered == approved => return Ok(()),
            (Some(_), Some(_)) => "its server changed it after it was approved",
            (Some(_), None) => "its pin does not say what of its server was approved",
            (None, _) => "its server does not offer it",
        };
        Err(Mistrust::ToolWithheld { tool: tool.clone(), why })
    }

    /// A server that is spoken with after a handshake asks nothing by its results.
    fn takes_answers(&self, call: &Call) -> Result<(), Mistrust> {
        match (self.bounds.era, &call.answers) {
            (Era::Handshake, Some(_)) => Err(Mistrust::NoAnswers { server: self.name.to_owned() }),
            (Era::Handshake, None) | (Era::Stateless, _) => Ok(()),
        }
    }

    fn answered(&mut self, id: u64, body: Body) -> Result<(), Ended> {
        if let Some(listing) = self.listing.take_if(|listing| listing.id == id) {
            return self.listed(listing, &body);
        }
        if let Some(reading) = self.reading.take_if(|reading| reading.id == id) {
            self.listed_besides(reading, &body);
            return Ok(());
        }
        // Answered before, given up, or never asked.
        let Some(call) = self.under_way.answered(id) else { return self.count_unasked() };
        self.unasked = 0;
        let outcome = match ((call.unsealed)(), body) {
            // It is done; what came of it stays here.
            (Err(mistrust), _) => Outcome::Unknown(format!("answered, but: {mistrust}")),
            (Ok(()), Body::Result(result)) => Outcome::Answered(result),
            // A model can do nothing about what its client does not answer.
            (Ok(()), Body::Error { code, message, missing })
                if !call.is_tool || code == MISSING_CAPABILITY =>
            {
                Outcome::Erred { code, message, missing }
            }
            (Ok(()), Body::Error { code, message, missing: _ }) => {
                let message = Untrusted::new(message);
                answer::failed(&format!("the server answered with error {code}: {message}"))
            }
            (Ok(()), Body::Broken(what)) => {
                Outcome::Unknown(format!("the server {} answered with {what}", self.name))
            }
        };
        call.reply.give(outcome);
        Ok(())
    }

    /// Ends the calls whose time is over. The server is told; whether it stops is its own affair.
    fn give_up(&mut self) {
        while let Some((id, call)) = self.under_way.overdue() {
            let after = self.bounds.call_timeout;
            let why = format!("the server {} did not answer in {after:?}", self.name);
            call.reply.give(Outcome::Unknown(why));
            self.say(request::cancelled(id, "its time is over"));
        }
    }

    /// Says something on which nobody waits; one who does not read does not hear it.
    fn say(&self, line: String) {
        if self.unread.try_send(line).is_err() {
            tracing::debug!(server = self.name, "a tool server does not read");
        }
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
