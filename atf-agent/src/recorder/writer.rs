//! The one thread that writes: it takes what waits, writes it at once, syncs once, and then answers
//! all. The disk costs milliseconds a sync and next to nothing a record.

use std::fs::File;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::disk::Disk;
use super::heads::Heads;
use super::receipted::receipted;
use super::reporters;
use super::start::now_unix_ms;
use crate::audit::{Chain, Event, Head, Last, Process};
use crate::call::Digest;
use crate::identity::SigningKey;
use crate::wire::{Receipt, RecorderReply};

/// Longest time for which a record that nobody waits for may be off the disk.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// Most bytes that may be off the disk: they are kept in memory against a failing disk.
const PENDING_BYTES_MAX: usize = 4 << 20;

/// The log, ready to be written.
pub(super) struct Log {
    pub(super) heads: Heads,
    pub(super) key: SigningKey,
    pub(super) chain: Chain,
    pub(super) disk: Disk,
    pub(super) group_records_max: usize,
    /// What this start itself has to say.
    pub(super) first: Vec<Event>,
    /// The lock on the log's directory.
    pub(super) _alone: File,
}

/// One record to write.
pub(super) struct Job {
    event: Event,
    reporter: Process,
    /// The text of the permit that its receipt is to stand for.
    permit: Option<String>,
    durable: bool,
    answer: Answer,
}

/// Where the receipt goes.
pub(super) struct Answer(Option<(u64, Sender<(u64, RecorderReply)>)>);

/// A record that is written and not yet answered for.
struct Written {
    last: Last,
    permit: Option<Digest>,
    durable: bool,
    answer: Answer,
}

/// Writes all that comes out of `queue`, until every sender has gone.
pub(super) fn run(mut log: Log, queue: &Receiver<Job>) {
    let mut unsynced: Option<Instant> = None;
    loop {
        let wait =
            unsynced.map_or(Duration::MAX, |since| SYNC_EVERY.saturating_sub(since.elapsed()));
        let group = match queue.recv_timeout(wait) {
            Ok(first) => {
                let more = queue.try_iter().take(log.group_records_max - 1);
                std::iter::once(first).chain(more).collect()
            }
            Err(RecvTimeoutError::Timeout) => Vec::new(),
            Err(RecvTimeoutError::Disconnected) => break,
        };
        log.commit(group);
        let bytes = log.disk.pending_bytes();
        let since = *unsynced.get_or_insert_with(Instant::now);
        if bytes >= PENDING_BYTES_MAX || (bytes > 0 && since.elapsed() >= SYNC_EVERY) {
            log.sync();
        }
        if log.disk.pending_bytes() == 0 {
            unsynced = None;
        }
    }
    log.sync();
}

impl Log {
    /// Writes a group and answers for all of it. Syncs when somebody waits for the disk.
    pub(super) fn commit(&mut self, group: Vec<Job>) {
        let before = self.chain.clone();
        let (lines, written) = self.link(group);
        if written.is_empty() {
            return;
        }
        if let Err(error) = self.disk.write(before.next_seq(), &lines) {
            tracing::error!(%error, records = written.len(), "records refused");
            self.chain = before;
            refuse(written, &format!("the log cannot be written: {error}"));
            return;
        }
        let (durable, queued): (Vec<_>, Vec<_>) = written.into_iter().partition(|one| one.durable);
        self.answer(queued);
        if durable.is_empty() {
            return;
        }
        if self.sync() {
            self.answer(durable);
        } else {
            refuse(durable, "the log is not on the disk; the recorder says why");
        }
    }

    /// Makes the lines of a group; a record that cannot be one is refused alone.
    fn link(&mut self, group: Vec<Job>) -> (Vec<u8>, Vec<Written>) {
        let now = now_unix_ms();
        let mut lines = Vec::new();
        let mut written = Vec::with_capacity(group.len());
        for job in group {
            if !reporters::may_tell(job.reporter, &job.event) {
                let why = format!("{:?} tells no such event", job.reporter);
                tracing::error!(%why, event = ?job.event, "a record refused");
                job.answer.refuse(&why);
                continue;
            }
            let permit = match receipted(&job.event, job.reporter, job.permit.as_deref()) {
                Ok(permit) => permit,
                Err(unfit) => {
                    tracing::error!(reporter = ?job.reporter, %unfit, "a record refused");
                    job.answer.refuse(&unfit.to_string());
                    continue;
                }
            };
            match self.chain.append(&job.event, job.reporter, now) {
                Ok(link) => {
                    lines.extend_from_slice(&link.line);
                    written.push(Written {
                        permit,
                        last: link.last,
                        durable: job.durable,
                        answer: job.answer,
                    });
                }
                Err(error) => job.answer.refuse(&error.to_string()),
            }
        }
        (lines, written)
    }

    /// Makes all that was written durable and signs the new head. False when the disk failed; it
    /// refuses everything from then on.
    fn sync(&mut self) -> bool {
        if let Err(error) = self.disk.sync() {
            tracing::error!(%error, "the log is not on the disk");
            return false;
        }
        if let Some(last) = self.chain.last() {
            let mut head = Head {
                chain: self.chain.uid().to_owned(),
                seq: last.seq,
                fingerprint: last.fingerprint,
                time_unix_ms: now_unix_ms(),
                signature: String::new(),
            };
            head.signature = self.key.sign(&head.signed_bytes());
            self.heads.put(head);
        }
        true
    }

    fn answer(&self, written: Vec<Written>) {
        for one in written {
            let mut receipt = Receipt {
                seq: one.last.seq,
                fingerprint: one.last.fingerprint,
                permit: one.permit,
                durable: one.durable,
                signature: String::new(),
            };
            receipt.signature = self.key.sign(&receipt.signed_bytes());
            one.answer.send(RecorderReply::Recorded { receipt });
        }
    }
}

fn refuse(written: Vec<Written>, why: &str) {
    for one in written {
        one.answer.refuse(why);
    }
}

impl Job {
    /// A record of `event`; with `durable` it is answered once it is on the disk.
    pub(super) fn new(event: Event, reporter: Process, durable: bool, answer: Answer) -> Self {
        Self { event, reporter, permit: None, durable, answer }
    }

    /// The same, with the text of the permit for which its receipt is to stand.
    pub(super) fn with_permit(self, permit: Option<String>) -> Self {
        Self { permit, ..self }
    }
}

impl Answer {
    /// An answer to request `number`.
    pub(super) fn to(number: u64, answers: Sender<(u64, RecorderReply)>) -> Self {
        Self(Some((number, answers)))
    }

    /// Nobody waits.
    pub(super) fn nobody() -> Self {
        Self(None)
    }

    fn send(self, reply: RecorderReply) {
        if let Some((number, answers)) = self.0 {
            // The reporter may have gone; the record stands.
            let _gone = answers.send((number, reply));
        }
    }

    fn refuse(self, why: &str) {
        self.send(RecorderReply::Refused { why: why.into() });
    }
}
