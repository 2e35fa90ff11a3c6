//! The gateway's connections: many requests under way on each, a few of them at work at once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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

/// Takes the requests of one connection until it ends. Its workers take turns at hearing: a request is
/// acted on by the one that heard it, because handing it on would cost each a wake-up.
pub(super) fn attend(server: Server, executor: &Arc<Executor>) {
    let Ok(back) = server.share() else {
        return;
    };
    let (ears, back) = (Arc::new(Mutex::new(Some(server))), Arc::new(Mutex::new(back)));
    for _ in 1..WORKERS {
        let (executor, ears, back) = (Arc::clone(executor), Arc::clone(&ears), Arc::clone(&back));
        std::thread::spawn(move || work(&executor, &ears, &back));
    }
    work(executor, &ears, &back);
}

/// One worker, until the connection has ended. A call of a tool server is only handed over here, so
/// that a slow server holds no worker.
fn work(executor: &Arc<Executor>, ears: &Mutex<Option<Server>>, back: &Arc<Mutex<Server>>) {
    while let Some((number, request)) = next(ears) {
        let back = Arc::clone(back);
        let reply = Reply::new(move |reply| {
            let mut back = lock(&back);
            if back.answer(number, &reply).is_err() {
                // Half an answer may be on its way; nothing can follow it.
                back.hang_up();
            }
        });
        executor.answer(request, reply);
    }
}

/// The next request; none for any worker once the connection has ended or failed.
fn next(ears: &Mutex<Option<Server>>) -> Option<(u64, ExecutorRequest)> {
    let mut ears = lock(ears);
    match ears.as_mut()?.hear() {
        Ok(Some(next)) => return Some(next),
        Ok(None) => {}
        Err(error) => tracing::warn!(%error, "the gateway's connection failed"),
    }
    *ears = None;
    None
}

/// A connection is whole even when a worker panicked: it is read and written by whole frames.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

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
        // What cannot be read was approved by nobody.
        let approved = self.checks.trust.approved(&admitted.permit().tool).unwrap_or_default();
        Call {
            tool: tool.to_owned(),
            approved,
            arguments,
            unexpired: Box::new(move || super::checks::unexpired(expires_unix_s)),
            unsealed: Box::new(move || executor.checks.not_sealed(cgroup)),
            reply,
        }
    }
}
