//! What comes to its end whoever waits for it. As long as somebody waits, it is worked on where that one is: a task of
//! its own would cost each call a wake-up.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// Something that is worked on.
pub(super) type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Work that goes on when its waiter goes away, once it has begun.
pub(super) struct Detached<T: Send + 'static> {
    stage: Stage<T>,
    /// It has a task of its own from its beginning on.
    is_apart: bool,
}

enum Stage<T> {
    /// It waits for leave to begin; a waiter that goes away takes it along.
    Waits(Work<Option<Work<T>>>),
    /// It is worked on by who waits.
    Here(Work<T>),
    /// It is worked on by a task of its own.
    Apart(JoinHandle<T>),
    Ended,
}

/// Why there is no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Lost {
    /// It got no leave to begin.
    #[error("it got no leave to begin")]
    NoLeave,
    /// It panicked, or the process ends.
    #[error("it failed in the middle")]
    Failed,
}

impl<T: Send + 'static> Detached<T> {
    /// What `leave` gives to be worked on, if it gives any.
    pub(super) fn new(leave: impl Future<Output = Option<Work<T>>> + Send + 'static) -> Self {
        Self { stage: Stage::Waits(Box::pin(leave)), is_apart: false }
    }

    /// It is worked on apart from its beginning on, or from now: its waiter may wait for something else meanwhile, once
    /// it has waited for the beginning.
    pub(super) fn apart(&mut self) {
        self.is_apart = true;
        self.part();
    }

    fn part(&mut self) {
        match std::mem::replace(&mut self.stage, Stage::Ended) {
            // Without a runtime the process ends, and what is under way with it.
            Stage::Here(work) => {
                if let Ok(runtime) = Handle::try_current() {
                    self.stage = Stage::Apart(runtime.spawn(work));
                }
            }
            stage => self.stage = stage,
        }
    }
}

impl<T: Send + 'static> Future for Detached<T> {
    type Output = Result<T, Lost>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let lost = match &mut self.stage {
                Stage::Waits(leave) => match leave.as_mut().poll(context) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Some(work)) => {
                        self.stage = Stage::Here(work);
                        if self.is_apart {
                            self.part();
                        }
                        continue;
                    }
                    Poll::Ready(None) => Lost::NoLeave,
                },
                Stage::Here(work) => {
                    match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
                        Ok(Poll::Pending) => return Poll::Pending,
                        Ok(Poll::Ready(result)) => {
                            self.stage = Stage::Ended;
                            return Poll::Ready(Ok(result));
                        }
                        Err(_panic) => Lost::Failed,
                    }
                }
                Stage::Apart(task) => match Pin::new(task).poll(context) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(result)) => {
                        self.stage = Stage::Ended;
                        return Poll::Ready(Ok(result));
                    }
                    Poll::Ready(Err(_)) => Lost::Failed,
                },
                Stage::Ended => Lost::Failed,
            };
            self.stage = Stage::Ended;
            return Poll::Ready(Err(lost));
        }
    }
}

impl<T: Send + 'static> Drop for Detached<T> {
    fn drop(&mut self) {
        self.part();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::time::{sleep, timeout};

    use super::*;

    /// Work of two parts with a pause between, and how many of its parts were done.
    fn work(is_given: bool) -> (Detached<u8>, Arc<AtomicUsize>) {
        let parts = Arc::new(AtomicUsize::new(0));
        let done = Arc::clone(&parts);
        let detached = Detached::new(async move {
            sleep(Duration::from_millis(20)).await;
            is_given.then(|| -> Work<u8> {
                Box::pin(async move {
                    done.fetch_add(1, Ordering::SeqCst);
                    sleep(Duration::from_millis(50)).await;
                    done.fetch_add(1, Ordering::SeqCst);
                    7
                })
            })
        });
        (detached, parts)
    }

    async fn done(parts: &AtomicUsize, wanted: usize) {
        let all = async {
            while parts.load(Ordering::SeqCst) < wanted {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(10), all).await.unwrap();
    }

    #[tokio::test]
    async fn who_waits_has_the_result() {
        for is_apart in [false, true] {
            let (mut detached, parts) = work(true);
            if is_apart {
                detached.apart();
            }
            assert_eq!((&mut detached).await, Ok(7));
            assert_eq!(parts.load(Ordering::SeqCst), 2);
            assert_eq!(detached.await, Err(Lost::Failed), "there is no second one");
        }
        assert_eq!(work(false).0.await, Err(Lost::NoLeave));
    }

    /// The attack: a caller that hangs up in the middle, so that what comes after is never done.
    #[tokio::test]
    async fn what_has_begun_comes_to_its_end_and_what_has_not_does_not_begin() {
        let (mut detached, parts) = work(true);
        assert!(timeout(Duration::from_millis(40), &mut detached).await.is_err(), "the control");
        assert_eq!(parts.load(Ordering::SeqCst), 1, "the control: in the middle");
        drop(detached);
        done(&parts, 2).await;
        let (mut detached, parts) = work(true);
        assert!(timeout(Duration::from_millis(5), &mut detached).await.is_err(), "the control");
        drop(detached);
        sleep(Duration::from_millis(150)).await;
        assert_eq!(parts.load(Ordering::SeqCst), 0);
    }

    /// The attack: who waits is held up by somebody who reads slowly, and the work with it.
    #[tokio::test]
    async fn work_apart_needs_nobody_who_waits() {
        let (mut detached, parts) = work(true);
        assert!(timeout(Duration::from_millis(40), &mut detached).await.is_err(), "the control");
        detached.apart();
        done(&parts, 2).await;
        assert_eq!(detached.await, Ok(7));
    }

    #[tokio::test]
    async fn a_panic_ends_the_work_alone() {
        for is_apart in [false, true] {
            let mut detached: Detached<u8> = Detached::new(async {
                let work = async { [7_u8][std::hint::black_box(1)] };
                Some(Box::pin(work) as Work<u8>)
            });
            if is_apart {
                detached.apart();
            }
            assert_eq!(detached.await, Err(Lost::Failed));
        }
    }
}
