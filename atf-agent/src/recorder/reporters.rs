//! The connections: who reports, and the way of a record from the socket to the queue and of its
//! receipt back.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use super::writer::{Answer, Job};
use crate::audit::{Event, Process};
use crate::wire::{Ids, RecorderReply, RecorderRequest, Server};

/// Records of one connection that may be under way: so that a peer which reads no answers cannot
/// fill this process's memory. The gateway has 16 calls a run and answers slowly only when it is ill.
const UNDER_WAY_MAX: usize = 1_024;

/// Which of ATF's processes has `uid`; `None` for anybody else.
pub(super) fn reporter(ids: &Ids, uid: u32) -> Option<Process> {
    // The recorder's own records do not come over a socket.
    match uid {
        0 => Some(Process::Enforcer),
        uid if uid == ids.authority => Some(Process::Authority),
        uid if uid == ids.gateway => Some(Process::Gateway),
        uid if uid == ids.executor => Some(Process::Executor),
        _ => None,
    }
}

/// Whether `event` is one of those that `reporter` knows of by itself. A process that fell to an
/// attacker tells no other's part of the story.
pub(super) fn may_tell(reporter: Process, event: &Event) -> bool {
    match event {
        Event::Started { .. } | Event::Finding { .. } => true,
        Event::RunRegistered { .. }
        | Event::TokenMinted { .. }
        | Event::RunEnded { .. }
        | Event::Released { .. } => reporter == Process::Authority,
        Event::Decided { .. } | Event::Settled { .. } | Event::Sealed { .. } => {
            reporter == Process::Gateway
        }
        Event::KernelDenied { .. } => reporter == Process::Recorder,
    }
}

/// Takes the requests of one connection until it ends.
pub(super) fn attend(mut server: Server, reporter: Process, jobs: &SyncSender<Job>) {
    let (slot, freed) = sync_channel(UNDER_WAY_MAX);
    let (answers, outbox) = channel();
    let Ok(back) = server.share() else {
        return;
    };
    let answering = std::thread::Builder::new().spawn(move || answer_all(back, &outbox, &freed));
    if let Err(error) = answering {
        tracing::warn!(?reporter, %error, "no thread for a reporter's answers");
        return;
    }
    loop {
        match server.hear::<RecorderRequest>() {
            Ok(Some((number, RecorderRequest::Append { event, durable, permit }))) => {
                // Waits while too many are under way; fails when the answering side has gone.
                if slot.send(()).is_err() {
                    break;
                }
                let answer = Answer::to(number, answers.clone());
                let job = Job::new(*event, reporter, durable, answer).with_permit(permit);
                if jobs.send(job).is_err() {
                    break;
                }
            }
            Ok(None) => break,
            Err(error) => {
                tracing::warn!(?reporter, %error, "a reporter's connection failed");
                break;
            }
        }
    }
    // What is under way is still written; its answers find the connection closed for reading only.
    drop::<Sender<_>>(answers);
}

fn answer_all(mut server: Server, outbox: &Receiver<(u64, RecorderReply)>, freed: &Receiver<()>) {
    while let Ok((number, reply)) = outbox.recv() {
        let _slot = freed.try_recv();
        if server.answer(number, &reply).is_err() {
            server.hang_up();
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_of_no_process_reports_nothing() {
        let ids = Ids::default();
        for (uid, expected) in [
            (0, Some(Process::Enforcer)),
            (ids.authority, Some(Process::Authority)),
            (ids.gateway, Some(Process::Gateway)),
            (ids.executor, Some(Process::Executor)),
            (ids.recorder, None),
            (ids.pool_first, None),
            (1_000, None),
        ] {
            assert_eq!(reporter(&ids, uid), expected, "uid {uid}");
        }
    }
}
