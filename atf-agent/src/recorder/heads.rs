//! The head on its way to the disk, signed on a thread of its own: no receipt waits for it. It is
//! never ahead of the log, and a little behind at most.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::audit::{HEAD_FILE, Head};
use crate::identity::SigningKey;
use crate::state::files;

/// Pause between two heads: a cut of the log is certain to be found when it is older than this, and
/// the disk is left to the log.
const HEAD_EVERY: Duration = Duration::from_millis(20);

/// The newest head that is not yet on the disk.
pub(super) struct Heads(Arc<(Mutex<Newest>, Condvar)>);

/// What the thread has to do.
#[derive(Default)]
struct Newest {
    head: Option<Head>,
    /// Whether one is being signed and kept.
    is_at_work: bool,
}

impl Heads {
    /// Starts the thread that signs the head of the log in `dir` by `key` and keeps it.
    pub(super) fn start(dir: PathBuf, key: SigningKey) -> Self {
        let newest: Arc<(Mutex<Newest>, Condvar)> = Arc::default();
        let taken = Arc::clone(&newest);
        std::thread::spawn(move || {
            // The writer is the only other holder: when it has gone, so has the log.
            while Arc::strong_count(&taken) > 1 {
                let (slot, changed) = &*taken;
                let held = slot.lock().unwrap_or_else(PoisonError::into_inner);
                let (mut held, _) = changed
                    .wait_timeout_while(held, Duration::from_secs(1), |newest| {
                        newest.head.is_none()
                    })
                    .unwrap_or_else(PoisonError::into_inner);
                let Some(mut head) = held.head.take() else {
                    continue;
                };
                held.is_at_work = true;
                drop(held);
                head.signature = key.sign(&head.signed_bytes());
                keep(&dir, &head);
                slot.lock().unwrap_or_else(PoisonError::into_inner).is_at_work = false;
                changed.notify_all();
                std::thread::sleep(HEAD_EVERY);
            }
        });
        Self(newest)
    }

    /// Whether the thread has gone: no head would be signed any more.
    pub(super) fn have_ended(&self) -> bool {
        Arc::strong_count(&self.0) < 2
    }

    /// Hands over a newer head.
    pub(super) fn put(&self, head: Head) {
        let (slot, changed) = &*self.0;
        slot.lock().unwrap_or_else(PoisonError::into_inner).head = Some(head);
        changed.notify_all();
    }

    /// Waits until all heads that were handed over are kept, up to `patience`; whether they are.
    pub(super) fn are_kept(&self, patience: Duration) -> bool {
        let (slot, changed) = &*self.0;
        let held = slot.lock().unwrap_or_else(PoisonError::into_inner);
        let (held, _) = changed
            .wait_timeout_while(held, patience, |newest| newest.head.is_some() || newest.is_at_work)
            .unwrap_or_else(PoisonError::into_inner);
        held.head.is_none() && !held.is_at_work
    }

    #[cfg(test)]
    pub(super) fn whose_thread_has_ended() -> Self {
        Self(Arc::default())
    }
}

fn keep(dir: &std::path::Path, head: &Head) {
    let written = serde_json::to_vec(head).map_err(|error| error.to_string()).and_then(|json| {
        files::publish(&dir.join(HEAD_FILE), &json).map_err(|error| error.to_string())
    });
    if let Err(error) = written {
        // The log goes on: the old head stands, and covers less of it.
        tracing::error!(error, "the head of the log cannot be kept");
    }
}
