//! The gateway's connections: many requests under way on each, a few of them at work at once.

use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use super::Executor;
use super::error::Mistrust;
use super::ledger::Outcome;
use crate::call::Untrusted;
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
    let back = Arc::new(Mutex::new(back));
    let (queue, waiting) = sync_channel(WAITING_MAX);
    let waiting = Arc::new(Mutex::new(waiting));
    for _ in 0..WORKERS {
        let (executor, back) = (Arc::clone(executor), Arc::clone(&back));
        let waiting = Arc::clone(&waiting);
        std::thread::spawn(move || work(&executor, &waiting, &back));
    }
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

/// One worker, with its own view of the ledger, until the connection has ended.
fn work(
    executor: &Executor,
    waiting: &Mutex<Receiver<(u64, ExecutorRequest)>>,
    back: &Mutex<Server>,
) {
    loop {
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((number, request)) = next else {
            return;
        };
        let reply = executor.answer(&request);
        let mut back = back.lock().unwrap_or_else(PoisonError::into_inner);
        if back.answer(number, &reply).is_err() {
            back.hang_up();
            return;
        }
    }
}

impl Executor {
    /// The answer to one request.
    pub(super) fn answer(&self, request: &ExecutorRequest) -> ExecutorReply {
        match request {
            ExecutorRequest::Hello => ExecutorReply::Hello { nonce: self.checks.nonce },
            ExecutorRequest::Execute { permit, arguments, token, receipt } => {
                match self.checks.admit(permit, arguments.get(), token, receipt) {
                    Ok(admitted) => self.act(&admitted, arguments.get()),
                    Err(mistrust) => refused(&mistrust),
                }
            }
        }
    }

    fn act(&self, admitted: &super::checks::Admitted, arguments: &str) -> ExecutorReply {
        let permit = admitted.permit();
        let still = || self.checks.not_sealed(permit.cgroup);
        let outcome = match permit.tool.as_str() {
            "ledger.query" => self.ledger.query(arguments, &still),
            "ledger.adjust" => self.ledger.adjust(arguments, permit, &still),
            _ => {
                let tool = permit.tool.clone();
                return refused(&Mistrust::NoTool { tool });
            }
        };
        match outcome {
            Outcome::Answered(result) => ExecutorReply::Result { result },
            Outcome::NotDone(mistrust) => refused(&mistrust),
            Outcome::Unknown(why) => ExecutorReply::Unknown { why: Untrusted::new(why) },
        }
    }
}

fn refused(mistrust: &Mistrust) -> ExecutorReply {
    tracing::warn!(%mistrust, "a permit is not acted on");
    ExecutorReply::Refused { why: Untrusted::new(mistrust.to_string()) }
}
