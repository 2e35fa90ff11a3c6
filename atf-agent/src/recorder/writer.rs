//! The log as it is written: a group at a time, by the thread that brought it, in turn. The disk costs
//! milliseconds a sync and next to nothing a record, so that a group has one sync.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::disk::{BackgroundSync, Disk, SyncEnd};
use super::heads::Heads;
use super::receipted::{Permitted, Unfit, receipted};
use super::receipts::Receipts;
use super::reporters;
use super::start::now_unix_ms;
use crate::audit::{Chain, Event, Head, Last, Process};
use crate::call::Digest;
use crate::identity::MacKey;
use crate::wire::{Receipt, ReceiptBody, RecorderReply};

/// How long the end of the log is waited for to be signed.
const HEAD_PATIENCE: Duration = Duration::from_secs(5);

/// The log, ready to be written.
pub(super) struct Log {
    pub(super) heads: Heads,
    pub(super) receipts: Receipts,
    /// The end of what is written.
    pub(super) chain: Chain,
    pub(super) disk: Disk,
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

impl Log {
    /// Writes a group and answers for each of it, in its order. Syncs when somebody waits for the disk.
    pub(super) fn commit(&mut self, group: Vec<Job>) -> Vec<RecorderReply> {
        if self.heads.have_ended() {
            return refuse_all(&group, "no head is signed any more");
        }
        if !std::mem::replace(&mut self.whole, false) {
            return refuse_all(&group, "writing the log failed in the middle");
        }
        let replies = self.write(group);
        self.whole = true;
        replies
    }

    fn write(&mut self, group: Vec<Job>) -> Vec<RecorderReply> {
        let mut chain = self.chain.clone();
        let (lines, linked) = self.link(group, &mut chain);
        let durable = linked.iter().any(Linked::is_durable);
        let kept = if lines.is_empty() { Ok(()) } else { self.keep(&lines, chain, durable) };
        if let Err(why) = &kept {
            tracing::error!(why, records = linked.len(), "records refused");
        }
        linked.into_iter().map(|one| one.answer(&kept)).collect()
    }

    /// Writes `lines`, behind which the chain stands at `chain`, and syncs them when they are to be durable.
    fn keep(&mut self, lines: &[u8], chain: Chain, durable: bool) -> Result<(), String> {
        if self.disk.has_to_sync_before(lines.len()) {
            self.sync()?;
        }
        let written = self.disk.write(self.chain.next_seq(), lines);
        written.map_err(|error| format!("the log cannot be written: {error}"))?;
        self.chain = chain;
        if durable { self.sync() } else { Ok(()) }
    }

    /// Makes the lines of a group; a record that cannot be one is refused alone.
    fn link(&mut self, group: Vec<Job>, chain: &mut Chain) -> (Vec<u8>, Vec<Linked>) {
        let now = now_unix_ms();
        let mut lines = Vec::new();
        let mut link = |job| self.link_one(job, now, chain, &mut lines);
        let linked = group.iter().map(|job| link(job).map_or_else(Linked::No, Linked::Yes));
        let linked = linked.collect();
        (lines, linked)
    }

    fn link_one(
        &mut self,
        job: &Job,
        now: u64,
        chain: &mut Chain,
        lines: &mut Vec<u8>,
    ) -> Result<Written, String> {
        if !reporters::may_tell(job.reporter, &job.event) {
            let why = format!("{:?} tells no such event", job.reporter);
            tracing::error!(%why, event = ?job.event, "a record refused");
            return Err(why);
        }
        let permit = self.permit(job).map_err(|unfit| {
            tracing::error!(reporter = ?job.reporter, %unfit, "a record refused");
            unfit.to_string()
        })?;
        let link = chain.append(&job.event, job.reporter, now);
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

    /// Makes all that was written durable and has the new head signed.
    fn sync(&mut self) -> Result<(), String> {
        self.disk.sync().map_err(|error| format!("the log is not on the disk: {error}"))?;
        if let Some(head) = self.head() {
            self.heads.put(head);
        }
        Ok(())
    }

    /// Makes all that was written durable and waits for its head; nothing can be written any more.
    ///
    /// # Errors
    /// When the end of the log is not on the disk, or its head is not.
    pub(super) fn close(&mut self) -> Result<(), String> {
        if !std::mem::replace(&mut self.whole, false) {
            return Err("writing the log failed in the middle".to_owned());
        }
        self.sync()?;
        match self.heads.are_kept(HEAD_PATIENCE) {
            true => Ok(()),
            false => Err(format!("no head of it was signed in {HEAD_PATIENCE:?}")),
        }
    }

    /// A sync that nobody waits for, and the head that it makes true; `None` when there is nothing to sync, or none is
    /// possible.
    pub(super) fn begin_sync(&self) -> Option<(BackgroundSync, Head)> {
        let begun = self.disk.begin_sync(self.chain.next_seq()).filter(|_| self.whole)?;
        Some((begun, self.head()?))
    }

    /// Takes the result of a background sync, and has the head signed that is true by it.
    pub(super) fn end_sync(&mut self, begun: &BackgroundSync, result: io::Result<()>, head: Head) {
        if !std::mem::replace(&mut self.whole, false) {
            return;
        }
        let head = match self.disk.end_sync(begun, result) {
            Ok(SyncEnd::Durable) => Some(head),
            // A newer head was put: the old one must not take its place.
            Ok(SyncEnd::Overtaken) => None,
            Ok(SyncEnd::Moved) => self.head(),
            Err(error) => {
                tracing::error!(%error, "the log is not on the disk");
                None
            }
        };
        if let Some(head) = head {
            self.heads.put(head);
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
    fn is_durable(&self) -> bool {
        matches!(self, Self::Yes(Written { durable: true, .. }))
    }

    /// The answer, once the group is in the log, or why it is not.
    fn answer(self, kept: &Result<(), String>) -> RecorderReply {
        match (self, kept) {
            (Self::No(why), _) => refusal(&why),
            (Self::Yes(_), Err(why)) => refusal(why),
            (Self::Yes(one), Ok(())) => RecorderReply::Recorded { receipt: one.receipt() },
        }
    }
}

/// Refuses a group, as every one until a restart.
pub(super) fn refuse_all(group: &[Job], why: &str) -> Vec<RecorderReply> {
    let why = format!("{why}; nothing is recorded until a restart");
    tracing::error!(why, records = group.len(), "records refused");
    group.iter().map(|_| refusal(&why)).collect()
}

fn refusal(why: &str) -> RecorderReply {
    RecorderReply::Refused { why: why.into() }
}
