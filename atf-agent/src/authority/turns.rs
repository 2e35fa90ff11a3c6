//! One request at a time, in the order in which they came. A plain lock lets whoever comes last go first, so that
//! where hundreds come at once a few would wait until they give up.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// What one thread at a time may use.
pub(super) struct InTurn<T> {
    line: Mutex<Line>,
    /// Taken by whoever has the turn, and so never waited for.
    value: Mutex<T>,
}

#[derive(Default)]
struct Line {
    is_taken: bool,
    waiting: VecDeque<Arc<Place>>,
}

/// The place of one thread in the line.
struct Place {
    thread: Thread,
    is_next: AtomicBool,
}

/// The turn of one thread, until it is dropped.
pub(super) struct Turn<'a, T> {
    value: MutexGuard<'a, T>,
    // Dropped after the value is free.
    _passes: Passes<'a>,
}

impl<T> InTurn<T> {
    pub(super) fn new(value: T) -> Self {
        Self { line: Mutex::default(), value: Mutex::new(value) }
    }

    /// Waits for a turn; each time that `every` is over meanwhile, does `meanwhile`, which waits for nobody.
    pub(super) fn take(&self, every: Duration, mut meanwhile: impl FnMut()) -> Turn<'_, T> {
        if let Some(place) = self.enter() {
            let mut due = Instant::now() + every;
            while !place.is_next.load(Ordering::Acquire) {
                let left = due.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    meanwhile();
                    due = Instant::now() + every;
                } else {
                    thread::park_timeout(left);
                }
            }
        }
        Turn { value: whole(&self.value), _passes: Passes(&self.line) }
    }

    /// How many wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        whole(&self.line).waiting.len()
    }

    /// A place in the line; `None` when it is this thread's turn at once.
    fn enter(&self) -> Option<Arc<Place>> {
        let mut line = whole(&self.line);
        if !std::mem::replace(&mut line.is_taken, true) {
            return None;
        }
        let place = Place { thread: thread::current(), is_next: AtomicBool::new(false) };
        let place = Arc::new(place);
        line.waiting.push_back(Arc::clone(&place));
        Some(place)
    }
}

/// Gives the turn to the next one, even by a panic.
struct Passes<'a>(&'a Mutex<Line>);

impl Drop for Passes<'_> {
    fn drop(&mut self) {
        let mut line = whole(self.0);
        match line.waiting.pop_front() {
            None => line.is_taken = false,
            Some(next) => {
                next.is_next.store(true, Ordering::Release);
                next.thread.unpark();
            }
        }
    }
}

impl<T> Deref for Turn<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Turn<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

/// What a thread that panicked left is whole: every change is undone or done by its own function,
/// and what is not is set right from the registry at the next start.
fn whole<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_came_first_is_first_whatever_became_of_the_one_before() {
        let came = Arc::new(InTurn::new(Vec::new()));
        let first = came.take(Duration::MAX, || ());
        let mut threads = Vec::new();
        for number in 0..20 {
            let own = Arc::clone(&came);
            threads.push(thread::spawn(move || {
                own.take(Duration::from_secs(3_600), || ()).push(number);
                assert_ne!(number % 5, 0, "a test's panic");
            }));
            while came.waiting() <= number {
                thread::yield_now();
            }
        }
        drop(first);
        let panicked = threads.into_iter().filter_map(|thread| thread.join().err()).count();
        assert_eq!(panicked, 4);
        assert_eq!(*came.take(Duration::MAX, || ()), (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn who_waits_says_so_again_and_again_and_keeps_its_place() {
        let came = Arc::new(InTurn::new(Vec::new()));
        let first = came.take(Duration::MAX, || ());
        let (says, said) = std::sync::mpsc::channel();
        let mut threads = Vec::new();
        for name in ["says", "is silent"] {
            let (own, says) = (Arc::clone(&came), says.clone());
            let every = Duration::from_millis(if name == "says" { 1 } else { 3_600_000 });
            threads.push(thread::spawn(move || {
                own.take(every, || says.send(name).unwrap()).push(name);
            }));
            while came.waiting() < threads.len() {
                thread::yield_now();
            }
        }
        for _ in 0..3 {
            assert_eq!(said.recv().unwrap(), "says");
        }
        drop(first);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(*came.take(Duration::MAX, || ()), ["says", "is silent"]);
    }
}
