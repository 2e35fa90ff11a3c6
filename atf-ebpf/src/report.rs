//! What the programs leave behind: counters for everything, and an event for each denial that the
//! limiter lets through. Every denial is in exactly one of `events`, `suppressed` and `dropped`, and so
//! is what would be one and is only observed.

use core::arch::asm;

use atf_common::event::Event;
use atf_common::limiter::admits;
use atf_common::mode::{Answer, Mode};
use atf_common::records::VectorState;
use atf_common::vector::Vector;
use atf_common::verdict::Denial;
use aya_ebpf::helpers::{bpf_get_current_comm, bpf_get_current_pid_tgid, bpf_get_current_uid_gid};

use crate::debug;
use crate::maps::{EVENTS, LOST, STATES};
use crate::run::{mode, now_boot_ns};

/// What the return value of a cgroup or `lsm_cgroup` program means to the kernel.
const ALLOW: i32 = 1;
const DENY: i32 = 0;

/// Who is behind an operation.
#[derive(Clone, Copy)]
pub enum Actor {
    /// The current process.
    Process,
    /// A packet: the current process is whoever was interrupted.
    Packet,
}

/// One operation, as its hook sees it.
#[derive(Clone, Copy)]
pub struct Attempt {
    pub run: u64,
    pub vector: Vector,
    pub actor: Actor,
    pub family: u32,
    pub detail: u32,
}

/// Counts and reports the verdict, and puts it into the kernel's words.
#[inline(always)]
#[must_use = "the kernel must be told"]
pub fn answer(attempt: Attempt, verdict: Result<(), Denial>) -> i32 {
    let answer = match verdict {
        Ok(()) => Answer::Allowed,
        Err(_) => Answer::of(mode(), verdict),
    };
    match answer {
        Answer::Allowed => {
            if let Some(counters) = counters(attempt) {
                // SAFETY: see `counters`.
                unsafe { add_one(&raw mut (*counters).allowed) }
            }
        }
        Answer::Denied(denial) => tell(attempt, denial, Mode::Enforce),
        Answer::Observed(denial) => tell(attempt, denial, Mode::Observe),
    }
    if answer.passes() { ALLOW } else { DENY }
}

/// The counters of the run and vector: in its `STATES` entry, else in `LOST`. Never null.
#[inline(always)]
fn counters(attempt: Attempt) -> Option<*mut VectorState> {
    let vector = attempt.vector as usize;
    if let Some(state) = STATES.get_ptr_mut(attempt.run) {
        // SAFETY: not null, and the vector's number is a constant below `VECTORS`.
        return Some(unsafe { &raw mut (*state).vectors[vector] });
    }
    LOST.get_ptr_mut(vector as u32)
}

/// Counts and reports what was denied, or what would be.
#[inline(always)]
fn tell(attempt: Attempt, denial: Denial, mode: Mode) {
    debug::line(attempt, denial, mode);
    let Some(counters) = counters(attempt) else {
        return;
    };
    let now_boot_ns = now_boot_ns();
    // SAFETY: see `counters`. The counts are atomic. The limiter's own words are not: two processors
    // at once may let one event too many through, which is counted like any other.
    unsafe {
        match mode {
            Mode::Enforce => add_one(&raw mut (*counters).denied),
            Mode::Observe => add_one(&raw mut (*counters).observed),
        }
        let whole_boot_ns = (&raw const (*counters).whole_boot_ns).read_volatile();
        let events = (&raw const (*counters).events).read_volatile();
        let Some(whole_boot_ns) = admits(whole_boot_ns, now_boot_ns, events) else {
            add_one(&raw mut (*counters).suppressed);
            return;
        };
        (&raw mut (*counters).whole_boot_ns).write_volatile(whole_boot_ns);
        let suppressed = (&raw const (*counters).suppressed).read_volatile();
        let told = (&raw const (*counters).suppressed_told).read_volatile();
        let silent = suppressed.wrapping_sub(told);
        if emit(attempt, (denial, mode), now_boot_ns, silent) {
            (&raw mut (*counters).suppressed_told).write_volatile(suppressed);
            add_one(&raw mut (*counters).events);
        } else {
            add_one(&raw mut (*counters).dropped);
        }
    }
}

/// Puts one event into the ring. False when the ring is full.
#[inline(always)]
fn emit(
    attempt: Attempt,
    (denial, mode): (Denial, Mode),
    now_boot_ns: u64,
    suppressed: u64,
) -> bool {
    let (pid, uid, comm) = match attempt.actor {
        Actor::Process => (
            (bpf_get_current_pid_tgid() >> 32) as u32,
            bpf_get_current_uid_gid() as u32,
            bpf_get_current_comm().unwrap_or_default(),
        ),
        Actor::Packet => (0, 0, [0; 16]),
    };
    let Some(mut entry) = EVENTS.reserve(0) else {
        return false;
    };
    entry.write(Event {
        boot_ns: now_boot_ns,
        run: attempt.run,
        pid,
        uid,
        vector: attempt.vector as u32,
        denial: denial as u16,
        observed: u16::from(matches!(mode, Mode::Observe)),
        family: attempt.family,
        detail: attempt.detail,
        comm,
        suppressed,
    });
    entry.submit(0);
    true
}

/// Adds one, atomically among processors. The target has no atomics that return a value, so core
/// offers none; the instruction itself is as old as eBPF.
///
/// # Safety
/// `word` must point into a value of a map.
#[inline(always)]
unsafe fn add_one(word: *mut u64) {
    // SAFETY: the caller's promise; the instruction touches that word alone.
    unsafe {
        asm!("lock *(u64 *)({word} + 0) += {one}", word = in(reg) word, one = in(reg) 1_u64);
    }
}
