//! The log as it is written: a group at a time, by the thread that brought it, in turn. The disk costs
//! milliseconds a sync and next to nothing a record, so that a group has one sync.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use parking_lot::FairMutex;

use super::disk::{Begun, Disk};
use super::heads::Heads;
use super::receipted::{Permitted, Unfit, receipted};
use super::receipts::Receipts;
use super::reporters;
use super::start::now_unix_ms;
use crate::audit::{Chain, Event, Head, Last, Process};
use crate::call::Digest;
use crate::identity::MacKey;
use crate::wire::{Receipt, ReceiptBody, RecorderReply};

/// Longest time for which a record that nobody waits for may be off the disk, but for that of a sync.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// So many bytes off the disk are synced before that time.
const PENDING_BYTES: usize = 4 << 20;

/// Most bytes that may be off the disk: they are kept in memory against a failing disk. Who brings more waits
/// for it.
const PENDING_BYTES_MAX: usize = 16 << 20;

/// The log, for all who bring records. Whoever waited longest is next, so that one who brings many
/// holds up the others for one group at most.
pub(super) type Shared = Arc<FairMutex<Log>>;

/// The log, ready to be written.
pub(super) struct Log {
    pub(super) heads: Heads,
    pub(super) receipts: Receipts,
    pub(super) chain: Chain,
    pub(super) disk: Disk,
    /// Wakes who syncs what nobody waits for, once there is somebody.
    pub(super) much: Option<SyncSender<()>>,
    /// What this start itself has to say.
    pub(super) first: Vec<Event>,
    /// Whether every group so far was written to its end: one that panicked left the chain and the
    /// disk at odds.
    pub(super) whole: bool,
    /// The lock on the log's directory.
    pub(super) _alone: File,
}

/// One record to write.
pub(super) struct Job {
    pub(super) event: Event,
    pub(super) reporter: Process,
    /// The text of the permit that its receipt is to stand for.
    pub(super) permit: Option<String>,
    /// It is answered once it is on the disk.
    pub(super) durable: bool,
}

/// A record on its way.
enum Linked {
    /// Its line is made.
    Yes(Written),
    /// It cannot be one, and why.
    No(String),
}

/// A record that is written and not yet answered for.
struct Written {
    last: Last,
    /// The permit that its receipt stands for, and the key of who reads it.
    permit: Option<(Digest, Arc<MacKey>)>,
    durable: bool,
}

/// Syncs what nobody waits for, in time or when `much` says so, until the log has gone. The log goes on meanwhile: a
/// sync takes as long as some hundred calls.
pub(super) fn sync_in_time(log: &Shared, much: &Receiver<()>) {
    while !matches!(much.recv_timeout(SYNC_EVERY), Err(RecvTimeoutError::Disconnected)) {
        let begun = log.lock().begin_sync();
        if let Some((begun, head)) = begun {
            let synced = begun.wait();
            log.lock().end_sync(&begun, synced, head);
        }
    }
}

impl Log {
    /// Writes a group and answers for each of it, in its order. Syncs when somebody waits for the disk.
    pub(super) fn commit(&mut self, group: Vec<Job>) -> Vec<RecorderReply> {
        if !std::mem::replace(&mut self.whole, false) {
            let why = "writing the log failed in the middle; nothing is recorded until a restart";
            return group.iter().map(|_| refusal(why)).collect();
        }
        let replies = self.write(group);
        self.whole = true;
        replies
    }

    fn write(&mut self, group: Vec<Job>) -> Vec<RecorderReply> {
        let before = self.chain.clone();
        let (lines, linked) = self.link(group);
        if lines.is_empty() {
            return self.answer(linked, Ok(()));
        }
        if let Err(error) = self.disk.write(before.next_seq(), &lines) {
            tracing::error!(%error, records = linked.len(), "records refused");
            self.chain = before;
            let why = format!("the log cannot be written: {error}");
            return linked.into_iter().map(|one| refusal(one.refused().unwrap_or(&why))).collect();
        }
        let is_durable = |one: &Linked| matches!(one, Linked::Yes(Written { durable: true, .. }));
        let pending = self.disk.pending_bytes();
        if pending >= PENDING_BYTES {
            // A word that waits already is enough.
            let _said = self.much.as_ref().map(|much| much.try_send(()));
        }
        let due = linked.iter().any(is_durable) || pending >= PENDING_BYTES_MAX;
        let synced = if due && !self.sync() {
            Err("the log is not on the disk; the recorder says why")
        } else {
            Ok(())
        };
        self.answer(linked, synced)
    }

    /// Makes the lines of a group; a record that cannot be one is refused alone.
    fn link(&mut self, group: Vec<Job>) -> (Vec<u8>, Vec<Linked>) {
        let now = now_unix_ms();
        let mut lines = Vec::new();
        let linked = group
            .iter()
            .map(|job| self.link_one(job, now, &mut lines).map_or_else(Linked::No, Linked::Yes));
        let linked = linked.collect();
        (lines, linked)
    }

    fn link_one(&mut self, job: &Job, now: u64, lines: &mut Vec<u8>) -> Result<Written, String> {
        if !reporters::may_tell(job.reporter, &job.event) {
            let why = format!("{:?} tells no such event", job.reporter);
            tracing::error!(%why, event = ?job.event, "a record refused");
            return Err(why);
        }
        let permit = self.permit(job).map_err(|unfit| {
            tracing::error!(reporter = ?job.reporter, %unfit, "a record refused");
            unfit.to_string()
        })?;
        let link = self.chain.append(&job.event, job.reporter, now);
        let link = link.map_err(|error| error.to_string())?;
        lines.extend_from_slice(&link.line);
        Ok(Written { permit, last: link.last, durable: job.durable })
    }

    /// What the receipt of a record is to stand for, and the key of who reads it.
    fn permit(&mut self, job: &Job) -> Result<Option<(Digest, Arc<MacKey>)>, Unfit> {
        match receipted(&job.event, job.reporter, job.permit.as_deref())? {
            Some(Permitted { permit, executor }) => {
                Ok(Some((permit, self.receipts.key_with(executor)?)))
            }
            None => Ok(None),
        }
    }

    /// Makes all that was written durable and has the new head signed. False when the disk failed; it
    /// refuses everything from then on.
    pub(super) fn sync(&mut self) -> bool {
        if self.heads.have_ended() {
            tracing::error!("no head is signed any more; nothing is recorded until a restart");
            return false;
        }
        if let Err(error) = self.disk.sync() {
            tracing::error!(%error, "the log is not on the disk");
            return false;
        }
        if let Some(head) = self.head() {
            self.heads.put(head);
        }
        true
    }

    /// A sync that nobody waits for, and the head that it makes true; `None` when there is nothing to sync, or none is
    /// possible.
    pub(super) fn begin_sync(&self) -> Option<(Begun, Head)> {
        if !self.whole || self.heads.have_ended() {
            return None;
        }
        Some((self.disk.begin_sync(self.chain.next_seq())?, self.head()?))
    }

    /// Has the head signed when the sync came to a good end.
    pub(super) fn end_sync(&mut self, begun: &Begun, synced: io::Result<()>, head: Head) {
        if !std::mem::replace(&mut self.whole, false) {
            return;
        }
        match self.disk.end_sync(begun, synced) {
            Ok(()) => self.heads.put(head),
            Err(error) => tracing::error!(%error, "the log is not on the disk"),
        }
        self.whole = true;
    }

    /// The head of all that is written, unsigned.
    fn head(&self) -> Option<Head> {
        let last = self.chain.last()?;
        Some(Head {
            chain: self.chain.uid().to_owned(),
            seq: last.seq,
            fingerprint: last.fingerprint,
            time_unix_ms: now_unix_ms(),
            signature: String::new(),
        })
    }

    /// The answers, once the disk has what it is to have.
    fn answer(&self, linked: Vec<Linked>, synced: Result<(), &str>) -> Vec<RecorderReply> {
        let answer = |one| match (one, synced) {
            (Linked::No(why), _) => refusal(&why),
            (Linked::Yes(Written { durable: true, .. }), Err(why)) => refusal(why),
            (Linked::Yes(one), _) => RecorderReply::Recorded { receipt: one.receipt() },
        };
        linked.into_iter().map(answer).collect()
    }
}

impl Written {
    /// What the executor wants to see with the permit; nobody asks for any other record's.
    fn receipt(self) -> Option<Receipt> {
        let (permit, key) = self.permit?;
        let (seq, fingerprint) = (self.last.seq, self.last.fingerprint);
        let body = ReceiptBody { seq, fingerprint, permit, durable: self.durable };
        Some(Receipt { code: key.code(&body.bytes()), body })
    }
}

impl Linked {
    fn refused(&self) -> Option<&str> {
        match self {
            Self::Yes(_) => None,
            Self::No(why) => Some(why),
        }
    }
}

fn refusal(why: &str) -> RecorderReply {
    RecorderReply::Refused { why: why.into() }
}
