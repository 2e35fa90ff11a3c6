//! Calls that answer "no such call", so that programs take the older way they all have.

use super::Rules;

/// Its flags lie in memory, where a filter cannot read them; glibc falls back to clone(2), for each
/// thread, so that it is no news.
const MISSING: [i64; 1] = [libc::SYS_clone3];

/// Calls that a run's kernel does not have, and that it is worth knowing who tried.
const RECORDED: [i64; 8] = [
    // Acts for a process without its system calls: the sockets that it makes and connects pass no
    // filter. libuv falls back to threads.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    // The older asynchronous interface, with the same trait on a smaller scale; rarely used.
    libc::SYS_io_setup,
    libc::SYS_io_destroy,
    libc::SYS_io_submit,
    libc::SYS_io_cancel,
    libc::SYS_io_getevents,
];

/// Numbers that the list of allowed calls does not know yet or has no use for, up to the end of the
/// range that all architectures share (asm-generic/unistd.h): programs have fallbacks for `ENOSYS`,
/// none for `EPERM`. Call 462, `mseal`, is allowed.
const TOO_NEW: [std::ops::Range<i64>; 2] = [457..462, 463..512];

/// The calls as rules that match them, but those that are recorded.
pub(super) fn rules() -> Rules {
    calls().map(|call| (call, Vec::new())).collect()
}

/// Those that are recorded, as rules that match them.
pub(super) fn recorded_rules() -> Rules {
    RECORDED.into_iter().map(|call| (call, Vec::new())).collect()
}

/// Whether the call seems to be missing, and is recorded.
pub(super) fn is_recorded(call: i64) -> bool {
    RECORDED.contains(&call)
}

/// The calls that are missing and not recorded.
pub(super) fn calls() -> impl Iterator<Item = i64> {
    MISSING.into_iter().chain(TOO_NEW.into_iter().flatten())
}
