//! What a run's system call filter refuses: answered with an error, counted, and told to the recorder.
//! Outside of the run, for as long as the run lives. Nothing here can let a call through: it only
//! chooses the error. When it is gone, the kernel answers every refused call with `ENOSYS`.

mod names;
mod pace;
mod teller;

#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::audit::{Event, Judged};
use crate::call::{CgroupId, Untrusted};
use crate::kernel::boot_ns;
use crate::sys::seccomp::{self, Refused};

use super::filter;
use pace::Pace;

/// Refusals that wait for the recorder. More are dropped, and counted as such.
const QUEUE_MAX: usize = 256;

/// How often it is looked whether the run is over; refusals are answered at once.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Pause before the answer to a refusal past the limiter: who asks without end waits, and does not have
/// the host's processors answer it.
const PAUSE: Duration = Duration::from_micros(200);

/// The word in the log for what the filter says.
const DENIAL: &str = "forbidden";

/// Whose refusals they are.
pub(super) struct Run {
    pub(super) cgroup: CgroupId,
    pub(super) uid: u32,
}

/// `events + suppressed + dropped = denied`, once it is over.
#[derive(Debug, Default)]
struct Counts {
    denied: AtomicU64,
    events: AtomicU64,
    suppressed: AtomicU64,
    dropped: AtomicU64,
}

/// The two threads of a run's refusals: one answers, the other tells.
pub(super) struct Refusals {
    counts: Arc<Counts>,
    over: Arc<AtomicBool>,
    threads: [JoinHandle<()>; 2],
}

impl Refusals {
    /// Answers what comes to `listener`, until [`Refusals::finish`].
    pub(super) fn attend(listener: OwnedFd, run: Run, recorder: PathBuf) -> Self {
        let (counts, over) = (Arc::new(Counts::default()), Arc::new(AtomicBool::new(false)));
        let (queue, told) = sync_channel(QUEUE_MAX);
        let answerer =
            Answerer { listener, run, queue, counts: Arc::clone(&counts), pace: Pace::default() };
        let (answering, telling) = (Arc::clone(&over), Arc::clone(&over));
        let counted = Arc::clone(&counts);
        let threads = [
            spawn(move || answerer.answer_all(&answering)),
            spawn(move || teller::tell_all(&told, &recorder, &counted, &telling)),
        ];
        Self { counts, over, threads }
    }

    /// What was counted: allowed, denied, in the log, suppressed, dropped, observed. For when no process
    /// of the run is left.
    pub(super) fn finish(self) -> [u64; 6] {
        self.over.store(true, Ordering::SeqCst);
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a thread that answered refusals died");
            }
        }
        let read = |count: &AtomicU64| count.load(Ordering::SeqCst);
        let Counts { denied, events, suppressed, dropped } = &*self.counts;
        [0, read(denied), read(events), read(suppressed), read(dropped), 0]
    }
}

struct Answerer {
    listener: OwnedFd,
    run: Run,
    queue: SyncSender<Event>,
    counts: Arc<Counts>,
    pace: Pace,
}

impl Answerer {
    fn answer_all(mut self, over: &AtomicBool) {
        loop {
            let mut fds = [PollFd::new(&self.listener, PollFlags::IN)];
            let ready = match poll(&mut fds, Some(&LOOK)) {
                Ok(_) => fds[0].revents(),
                Err(_) => PollFlags::empty(),
            };
            if ready.contains(PollFlags::IN) {
                match self.answer() {
                    Ok(()) => {}
                    Err(error) => {
                        // Whoever waits for an answer gets the kernel's, when the listener is closed.
                        tracing::error!(%error, "refused calls are no longer recorded");
                        return;
                    }
                }
            } else if !ready.is_empty() || over.load(Ordering::SeqCst) {
                // Nobody is left who could be refused anything.
                return;
            }
        }
    }

    /// Answers one call.
    fn answer(&mut self) -> io::Result<()> {
        let listener = self.listener.as_fd();
        let Some(refused) = seccomp::next(listener)? else {
            return Ok(());
        };
        self.counts.denied.fetch_add(1, Ordering::SeqCst);
        match self.pace.admits(refused.call, boot_ns()) {
            Some(silent) => self.tell(refused, silent),
            None => {
                self.counts.suppressed.fetch_add(1, Ordering::SeqCst);
                sleep(PAUSE);
            }
        }
        seccomp::refuse(self.listener.as_fd(), refused, filter::error_for(refused.call))
    }

    fn tell(&self, refused: Refused, suppressed: u64) {
        // It waits for its answer, so that this is its name, if it can be read at all.
        let comm = std::fs::read_to_string(format!("/proc/{}/comm", refused.pid));
        let event = Event::KernelDenied(Judged {
            cgroup: self.run.cgroup,
            boot_ns: boot_ns(),
            vector: names::vector(refused.call),
            denial: DENIAL.to_owned(),
            pid: refused.pid,
            uid: self.run.uid,
            comm: Untrusted::new(comm.unwrap_or_default().trim_end()),
            family: 0,
            detail: u32::try_from(refused.call).unwrap_or(u32::MAX),
            suppressed,
        });
        match self.queue.try_send(event) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.counts.dropped.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
}
