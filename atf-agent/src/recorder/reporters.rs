//! The connections: who reports, and the way of a record from the socket into the log and of its
//! receipt back.

use super::shared_log::SharedLog;
use super::writer::Job;
use crate::audit::{Event, Judged, Process};
use crate::wire::{Batches, Ids, RecorderRequest};

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
        | Event::Answered { .. }
        | Event::PolicyPublished { .. }
        | Event::Released { .. } => reporter == Process::Authority,
        Event::Decided { .. } | Event::Settled { .. } | Event::Sealed { .. } => {
            reporter == Process::Gateway
        }
        // The keeper of a run is root, as the enforcer is.
        Event::KernelDenied(judged) if judged.vector.starts_with(Judged::FILTER) => {
            reporter == Process::Enforcer
        }
        Event::KernelDenied(_) | Event::KernelObserved(_) => reporter == Process::Recorder,
    }
}

/// Takes the requests of one connection until it ends. While a group waits for its turn and the disk,
/// the next one comes together in the socket.
pub(super) fn attend(mut peer: Batches<RecorderRequest>, reporter: Process, log: &SharedLog) {
    let ended = loop {
        let batch = match peer.hear() {
            Ok(batch) if batch.is_empty() => return,
            Ok(batch) => batch,
            Err(error) => break error,
        };
        let (numbers, jobs): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .map(|(number, RecorderRequest::Append { event, durable, permit })| {
                (number, Job { event: *event, reporter, permit, durable })
            })
            .unzip();
        let replies = log.commit(jobs);
        let replies: Vec<_> = numbers.into_iter().zip(replies).collect();
        if let Err(error) = peer.answer(&replies) {
            break error;
        }
    };
    tracing::warn!(?reporter, error = %ended, "a reporter's connection failed");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::samples;

    #[test]
    fn what_a_filter_refuses_is_the_keepers_to_tell_and_nothing_else_of_the_kernels() {
        let vector = |vector: &str| {
            Event::KernelDenied(Judged { vector: vector.to_owned(), ..samples::judged() })
        };
        for (event, teller) in [
            (vector("connect4"), Process::Recorder),
            (vector("seccomp"), Process::Recorder),
            (vector("seccomp:ptrace"), Process::Enforcer),
            (Event::KernelObserved(samples::judged()), Process::Recorder),
        ] {
            for process in [Process::Recorder, Process::Enforcer, Process::Gateway] {
                assert_eq!(may_tell(process, &event), process == teller, "{process:?}: {event:?}");
            }
        }
    }

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
