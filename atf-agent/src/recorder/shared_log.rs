//! The log for all who bring records, and the thread that syncs what nobody waits for. The log goes on while it
//! does: a sync takes as long as some hundred calls.

use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::FairMutex;

use super::writer::{Job, Log, refuse_all};
use crate::wire::RecorderReply;

/// Longest time for which a record that nobody waits for may be off the disk, but for that of a sync.
pub(super) const SYNC_EVERY: Duration = Duration::from_secs(1);

/// So many bytes off the disk are synced before that time.
const SYNC_BYTES: usize = 4 << 20;

/// The log and its sync thread, which ends with it.
pub(super) struct SharedLog {
    /// Whoever waited longest is next, so that one who brings many holds up the others for one group at most.
    pub(super) log: Arc<FairMutex<Log>>,
    pub(super) sync_thread: JoinHandle<()>,
}

impl SharedLog {
    /// Starts the thread, which syncs once in `every`.
    pub(super) fn start(log: Log, every: Duration) -> Self {
        let log = Arc::new(FairMutex::new(log));
        let synced = Arc::downgrade(&log);
        Self { log, sync_thread: thread::spawn(move || sync_in_time(&synced, every)) }
    }

    /// Writes a group and answers for each of it, in its order.
    pub(super) fn commit(&self, group: Vec<Job>) -> Vec<RecorderReply> {
        if self.sync_thread.is_finished() {
            return refuse_all(&group, "what nobody waits for is not synced any more");
        }
        let (replies, pending) = {
            let mut log = self.log.lock();
            (log.commit(group), log.disk.pending_bytes())
        };
        if pending >= SYNC_BYTES {
            self.sync_thread.thread().unpark();
        }
        replies
    }
}

/// Ends the log: what was written is on the disk then, under a signed head, and nothing is written any more.
///
/// # Errors
/// What is not so.
pub(super) fn close(log: &FairMutex<Log>) -> Result<(), String> {
    log.lock().close()
}

/// Syncs in time, or when it is unparked, until the log has gone.
fn sync_in_time(log: &Weak<FairMutex<Log>>, every: Duration) {
    loop {
        thread::park_timeout(every);
        let Some(log) = log.upgrade() else {
            return;
        };
        let begun = log.lock().begin_sync();
        if let Some((begun, head)) = begun {
            let result = begun.wait();
            log.lock().end_sync(&begun, result, head);
        }
    }
}
