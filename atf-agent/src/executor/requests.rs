//! The gateway's connections, each with a thread: many requests under way on each, one of them at work.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::value::RawValue;

use super::Executor;
use super::checks::Admitted;
use super::error::Mistrust;
use super::outcome::{Outcome, Reply};
use super::servers::Call;
use crate::call::ToolName;
use crate::wire::{Answers, Batches, ExecutorReply, ExecutorRequest, FrameError, Server};

/// Takes the requests of one connection until it ends, each acted on by this thread: handing it on would
/// cost each a wake-up, and the gateway has several connections. A call of a tool server is only handed
/// over here, so that a slow server holds nobody up.
pub(super) fn attend(server: Server, executor: &Arc<Executor>) {
    let Ok(back) = server.share() else {
        return;
    };
    let back = Arc::new(Mutex::new(back));
    let gone = Gone::default();
    let mut requests = Batches::new(server, 1);
    loop {
        let batch = match requests.hear() {
            Ok(batch) if batch.is_empty() => return,
            Ok(batch) => batch,
            Err(error) => {
                tracing::warn!(%error, "the gateway's connection failed");
                return;
            }
        };
        for (number, request) in batch {
            let (back, before) = (Arc::clone(&back), Arc::clone(&back));
            let reply = Reply::new(move |reply| say(&back, |back| back.answer(number, &reply)))
                .telling(move |told| say(&before, |back| back.tell(number, &told)))
                .until(Arc::clone(&gone.0));
            executor.answer(request, reply);
        }
    }
}

/// Is true when its connection has ended.
#[derive(Default)]
struct Gone(Arc<AtomicBool>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Says one frame.
fn say(back: &Mutex<Server>, frame: impl FnOnce(&mut Server) -> Result<(), FrameError>) {
    // A connection is whole even when its holder panicked: it is written by whole frames.
    let mut back = back.lock().unwrap_or_else(PoisonError::into_inner);
    if frame(&mut back).is_err() {
        // Half a frame may be on its way; nothing can follow it.
        back.hang_up();
    }
}

/// A call's arguments, and what the run answers to its server.
type Said = (Box<RawValue>, Option<Box<Answers>>);

impl Executor {
    /// Has `reply` given the answer to one request, now or when a server has answered.
    pub(super) fn answer(self: &Arc<Self>, request: ExecutorRequest, reply: Reply) {
        match request {
            ExecutorRequest::Hello => {
                reply.give(ExecutorReply::Hello { nonce: self.checks.nonce });
            }
            ExecutorRequest::Withheld => {
                reply.give(ExecutorReply::Withheld { tools: self.servers.withheld() });
            }
            ExecutorRequest::Watch { seen } => self.servers.watch(seen, reply),
            ExecutorRequest::Catalogue => {
                let offered = Box::new(self.servers.catalogue());
                reply.give(ExecutorReply::Catalogue { offered });
            }
            ExecutorRequest::Cancel { decision, target } => {
                self.servers.cancel(target.split().0, decision);
                reply.give(ExecutorReply::Cancelled);
            }
            ExecutorRequest::Unanswered { decision, target, question } => {
                self.servers.unanswered(target.split().0, decision, question);
                reply.give(ExecutorReply::Cancelled);
            }
            ExecutorRequest::Execute { permit, arguments, answers, token, receipt } => {
                let said = (arguments.get(), answers.as_deref());
                match self.checks.admit(&permit, said, &token, &receipt) {
                    Ok(admitted) => self.act(&admitted, (arguments, answers), reply),
                    Err(mistrust) => reply.give(Outcome::NotDone(mistrust)),
                }
            }
        }
    }

    fn act(self: &Arc<Self>, admitted: &Admitted, said: Said, reply: Reply) {
        let arguments = &said.0;
        let permit = admitted.permit();
        let still = || self.checks.not_sealed(permit.cgroup);
        if permit.answers_a_question() {
            let server = permit.target.split().0;
            return self.servers.answer(server, self.call(admitted, said, reply));
        }
        let outcome = match permit.target.tool().map(ToolName::as_str) {
            Some("ledger.query") => self.ledger.query(arguments.get(), &still),
            Some("ledger.adjust") => self.ledger.adjust(arguments.get(), permit, &still),
            Some(_) | None => match permit.target.split() {
                (server, own) if !own.is_empty() && self.servers.has(server) => {
                    let call = self.call(admitted, said, reply);
                    return self.servers.call(server, call);
                }
                _ => Outcome::NotDone(Mistrust::NoTool { target: permit.target.clone() }),
            },
        };
        reply.give(outcome);
    }

    /// A call for a server, with what has to hold when it is this call's turn.
    fn call(self: &Arc<Self>, admitted: &Admitted, said: Said, reply: Reply) -> Call {
        let (cgroup, expires_unix_s) = (admitted.permit().cgroup, admitted.permit().expires_unix_s);
        let executor = Arc::clone(self);
        let target = admitted.permit().target.clone();
        // What cannot be read was approved by nobody.
        let approved = target.of_tool().and_then(|tool| self.checks.trust.approved(tool).ok()?);
        let (arguments, answers) = said;
        let exchange = admitted.permit().exchange.as_ref();
        let questions = exchange.map(|exchange| exchange.questions.clone()).unwrap_or_default();
        Call {
            decision: admitted.permit().decision,
            run: admitted.permit().run,
            began: admitted.permit().began,
            asks_by_request: exchange.is_some_and(|exchange| exchange.by_request),
            may_tell: admitted.permit().may_tell,
            defers: admitted.permit().defers,
            target,
            approved,
            arguments,
            questions,
            answers,
            unexpired: Arc::new(move || super::checks::unexpired(expires_unix_s)),
            unsealed: Arc::new(move || executor.checks.not_sealed(cgroup)),
            is_again: false,
            reply,
        }
    }
}
