//! Whose run is it, and is it live? What cannot be answered is nobody's, and nobody is denied.

use core::arch::asm;

use atf_common::mode::Mode;
use atf_common::operation::{self, NOBODY, Operation};
use atf_common::records::{LSM_PROGRAMS, State};
use atf_common::verdict::{Denial, Facts};
use aya_ebpf::bindings::__sk_buff;
use aya_ebpf::helpers::generated::{
    bpf_get_current_ancestor_cgroup_id, bpf_ktime_get_boot_ns, bpf_skb_ancestor_cgroup_id,
};

use crate::maps::{CONFIG, DENY, LEASE, RELEASES, RUNS, STATES};

const NS_PER_MS: u64 = 1_000_000;

/// The run that the current process is in, or [`NOBODY`].
pub fn of_current() -> u64 {
    // SAFETY: a helper without memory arguments.
    ancestor(|level| unsafe { bpf_get_current_ancestor_cgroup_id(level) })
}

/// The run whose socket sends or receives the packet, or [`NOBODY`].
pub fn of_packet(skb: *mut __sk_buff) -> u64 {
    // SAFETY: `skb` is the program's context.
    ancestor(|level| unsafe { bpf_skb_ancestor_cgroup_id(skb, level) })
}

/// What becomes of a denial. Without a configuration that these programs can read, it is refused.
#[inline(always)]
pub fn mode() -> Mode {
    match CONFIG.get(0) {
        Some(config) if config.abi == atf_common::ABI_VERSION => Mode::from_number(config.mode),
        _ => Mode::Enforce,
    }
}

/// Whether programs of layer B stand beside these. What cannot be read is not known to be missing.
#[inline(always)]
pub fn is_layer_b_up() -> bool {
    CONFIG.get(0).is_none_or(|config| config.programs & LSM_PROGRAMS != 0)
}

#[inline(always)]
fn ancestor(id_at: impl Fn(i32) -> u64) -> u64 {
    let Some(config) = CONFIG.get(0) else {
        return NOBODY;
    };
    let level = config.level as i32;
    if config.abi != atf_common::ABI_VERSION || id_at(level) != config.agents {
        return NOBODY;
    }
    id_at(level + 1)
}

/// The boot clock, in nanoseconds.
pub fn now_boot_ns() -> u64 {
    // SAFETY: a helper without arguments.
    unsafe { bpf_ktime_get_boot_ns() }
}

/// Whether `run` may do `operation` now.
#[inline(always)]
pub fn judge(run: u64, operation: Operation) -> Result<(), Denial> {
    if run == NOBODY {
        return Err(Denial::NotRegistered);
    }
    let now_boot_ns = now_boot_ns();
    // The values are copied at once. One that is replaced meanwhile is read in part old and in part
    // new, as if the operation had come a moment earlier or later.
    let deny = is_denied(run);
    let facts = Facts {
        // SAFETY: as said.
        run: unsafe { RUNS.get(run).copied() },
        deny,
        latched_boot_ns: STATES.get_ptr_mut(run).map(|state| latch(run, deny, state, now_boot_ns)),
        lease: LEASE.get(0).copied(),
    };
    operation::judge(run, &facts, now_boot_ns / NS_PER_MS, operation)
}

/// Latches a run that has a DENY entry, so that removing the entry alone does not unseal it.
/// Returns since when the run is latched, 0 when it is not.
#[inline(always)]
fn latch(run: u64, deny: bool, state: *mut State, now_boot_ns: u64) -> u64 {
    // SAFETY: `state` is a value of the map, checked for null by the caller; every writer stores a
    // whole word.
    unsafe {
        let latched_boot_ns = (&raw const (*state).latched_boot_ns).read_volatile();
        let held = latched_boot_ns != 0 && released_boot_ns(run) < latched_boot_ns;
        if held {
            return latched_boot_ns;
        }
        if !deny {
            return 0;
        }
        (&raw mut (*state).latched_boot_ns).write_volatile(now_boot_ns);
        now_boot_ns
    }
}

/// Whether `DENY` has an entry. The compiler must not know that the answer comes from a pointer: it
/// would do arithmetic with it, which the verifier forbids.
#[inline(always)]
fn is_denied(run: u64) -> bool {
    // SAFETY: the value is not read.
    let mut denied = u64::from(unsafe { DENY.get(run).is_some() });
    // SAFETY: no instruction at all.
    unsafe { asm!("/* {0} */", inout(reg) denied) };
    denied != 0
}

#[inline(always)]
fn released_boot_ns(run: u64) -> u64 {
    // SAFETY: one word, copied at once.
    unsafe { RELEASES.get(run).map_or(0, |release| release.released_boot_ns) }
}
