//! The gateway's connections: many requests under way on each, a few of them at work at once.

use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::value::RawValue;

use super::Executor;
use super::checks::Admitted;
use super::error::Mistrust;
use super::outcome::{Outcome, Reply};
use super::servers::Call;
use crate::wire::{ExecutorReply, ExecutorRequest, Server};

/// Requests of one connection that are worked on at once: SQLite has one writer, and readers cost a
/// core each.
const WORKERS: usize = 4;

/// Requests of one connection that may wait; more than that and the gateway waits.
const WAITING_MAX: usize = 256;

/// Takes the requests of one connection until it ends.
pub(super) fn attend(mut server: Server, executor: &Arc<Executor>) {
    let Ok(back) = server.share() else {
        return;
    };
    let (queue, waiting) = sync_channel(WAITING_MAX);
    let waiting = Arc::new(Mutex::new(waiting));
    let (answers, outbox) = channel();
    for _ in 0..WORKERS {
        let (executor, answers) = (Arc::clone(executor), answers.clone());
        let waiting = Arc::clone(&waiting);
        std::thread::spawn(move || work(&executor, &waiting, &answers));
    }
    // Ends when the last worker and the last call under way have let go of `answers`.
    drop(answers);
    std::thread::spawn(move || answer_all(back, &outbox));
    loop {
        match server.hear::<ExecutorRequest>() {
            Ok(Some(next)) => {
                if queue.send(next).is_err() {
                    return;
                }
            }
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, "the gateway's connection failed");
                return;
            }
        }
    }
}

/// One worker, with its own view of the ledger, until the connection has ended. A call of a tool server
/// is only handed over here, so that a slow server holds no worker.
fn work(
    executor: &Arc<Executor>,
    waiting: &Mutex<Receiver<(u64, ExecutorRequest)>>,
    answers: &Sender<(u64, ExecutorReply)>,
) {
    loop {
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((number, request)) = next else {
            return;
        };
        let answers = answers.clone();
        // Nobody is left to hear it once the connection has failed.
        let reply = Reply::new(move |reply| drop(answers.send((number, reply))));
        executor.answer(request, reply);
    }
}

/// Writes the answers in the order in which they come.
fn answer_all(mut back: Server, outbox: &Receiver<(u64, ExecutorReply)>) {
    while let Ok((number, reply)) = outbox.recv() {
        if back.answer(number, &reply).is_err() {
            back.hang_up();
            return;
        }
    }
}

impl Executor {
    /// Has `reply` given the answer to one request, now or when a server has answered.
    pub(super) fn answer(self: &Arc<Self>, request: ExecutorRequest, reply: Reply) {
        match request {
            ExecutorRequest::Hello => {
                reply.give(ExecutorReply::Hello { nonce: self.checks.nonce });
            }
            ExecutorRequest::Execute { permit, arguments, token, receipt } => {
                match self.checks.admit(&permit, arguments.get(), &token, &receipt) {
                    Ok(admitted) => self.act(&admitted, arguments, reply),
                    Err(mistrust) => reply.give(Outcome::NotDone(mistrust)),
                }
            }
        }
    }

    fn act(self: &Arc<Self>, admitted: &Admitted, arguments: Box<RawValue>, reply: Reply) {
        let permit = admitted.permit();
        let still = || self.checks.not_sealed(permit.cgroup);
        let outcome = match permit.tool.as_str() {
            "ledger.query" => self.ledger.query(arguments.get(), &still),
            "ledger.adjust" => self.ledger.adjust(arguments.get(), permit, &still),
            tool => match tool.split_once('.').filter(|(server, _)| self.servers.has(server)) {
                Some((server, tool)) => {
                    let call = self.call(admitted, tool, arguments, reply);
                    return self.servers.call(server, call);
                }
                None => Outcome::NotDone(Mistrust::NoTool { tool: permit.tool.clone() }),
            },
        };
        reply.give(outcome);
    }

    /// A call for a server, with what has to hold when it is this call's turn.
    fn call(
        self: &Arc<Self>,
        admitted: &Admitted,
        tool: &str,
        arguments: Box<RawValue>,
        reply: Reply,
    ) -> Call {
        let (cgroup, expires_unix_s) = (admitted.permit().cgroup, admitted.permit().expires_unix_s);
        let executor = Arc::clone(self);
        Call {
            tool: tool.to_owned(),
            arguments,
            unexpired: Box::new(move || super::checks::unexpired(expires_unix_s)),
            unsealed: Box::new(move || executor.checks.not_sealed(cgroup)),
            reply,
        }
    }
}
