//! How often each answer came: a run in which one side was never reached proves nothing, and `cargo xtask
//! fuzz` fails it.

use std::sync::atomic::{AtomicU64, Ordering};

static ALLOWED: AtomicU64 = AtomicU64::new(0);
static REFUSED: AtomicU64 = AtomicU64::new(0);

/// Counts one answer, and says how many there were each time that a number has doubled.
pub fn counted(is_allowed: bool) {
    let one = if is_allowed { &ALLOWED } else { &REFUSED };
    let count = one.fetch_add(1, Ordering::Relaxed) + 1;
    if count.is_power_of_two() {
        let [allowed, refused] = [&ALLOWED, &REFUSED].map(|all| all.load(Ordering::Relaxed));
        eprintln!("counted: {allowed} allowed, {refused} refused");
    }
}
