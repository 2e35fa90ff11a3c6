//! What ordinary programs need. A call that is not named here is refused; the groups that are missing on
//! purpose:
//! - namespaces and mounts (`unshare`, `setns`, `mount` and its family, `pivot_root`, `chroot`): the
//!   view is part of the cage;
//! - other processes' memory and descriptors (`ptrace`, `process_vm_*`, `process_madvise`,
//!   `pidfd_getfd`, `kcmp`, `perf_event_open`, `userfaultfd`): a foreign descriptor may be a socket;
//! - keys (`add_key`, `request_key`, `keyctl`): `request_key` starts a helper of the host, which can
//!   ask the host's DNS;
//! - the kernel itself (`bpf`, modules, `kexec`, `reboot`, swap, `acct`, `quotactl`, clocks, `syslog`,
//!   `iopl`, `ioperm`, `modify_ldt`): nothing a program needs, much that an attacker does;
//! - file handles (`name_to_handle_at`, `open_by_handle_at`): names outside the view;
//! - which processor, memory or turn a run gets (`sched_set*`, `setpriority`, `ioprio_set`, `mbind`,
//!   `set_mempolicy`): runs share a host, and none chooses its place among the others;
//! - `vhangup`, `lookup_dcookie`, `fanotify_*`, `remap_file_pages` and others that nobody misses.

use seccompiler::SeccompCmpOp::{Eq, MaskedEq, Ne};
use seccompiler::{BackendError, SeccompCmpArgLen, SeccompCondition, SeccompRule};

use super::{Rules, calls, missing, rule, sockets};

/// Every flag that makes a namespace, of clone(2).
const NAMESPACES: i32 = libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET;

/// Which argument of prlimit64(2) is the process, 0 for the caller, which the limit, and which its new values.
const LIMIT_OF: u8 = 0;
const LIMIT: u8 = 1;
const LIMIT_NEW: u8 = 2;

/// Which argument of seccomp(2) has the flags.
const FLAGS: u8 = 1;

/// The value of personality(2) that only asks.
const PERSONALITY_ASK: u32 = 0xffff_ffff;

/// The calls as rules that match the allowed ones.
pub(super) fn rules() -> Result<Rules, BackendError> {
    let mut rules: Rules =
        calls::all().chain(missing::calls()).map(|call| (call, Vec::new())).collect();

    let no_namespaces = (0, MaskedEq(u64::from(NAMESPACES.cast_unsigned())), 0);
    rules.insert(libc::SYS_clone, vec![rule(&[no_namespaces])?]);

    // Typing into a terminal, and its older sister of the consoles. The run's own terminal would do
    // it no good, but one that it got by another way must not either.
    #[allow(clippy::cast_possible_truncation, reason = "the numbers have 32 bits")]
    let (type_in, console) = (libc::TIOCSTI as u32, libc::TIOCLINUX as u32);
    let other_ioctl = rule(&[(1, Ne, type_in), (1, Ne, console)])?;
    rules.insert(libc::SYS_ioctl, vec![other_ioctl]);

    // A filter of its own may only take away; one with a listener could answer what this one refuses.
    let no_listener = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    rules.insert(libc::SYS_seccomp, vec![rule(&[(FLAGS, MaskedEq(no_listener), 0)])?]);
    rules.extend(sockets::allowed()?);

    let (native, ask) = (rule(&[(0, Eq, 0)])?, rule(&[(0, Eq, PERSONALITY_ASK)])?);
    rules.insert(libc::SYS_personality, vec![native, ask]);

    // The limit on core dumps must not be lowered to zero: one is what stops pipes, too. And a process limits itself
    // alone: the run's first one has the same uid, and without descriptors it would not see its keeper end.
    let own = rule(&[(LIMIT_OF, Eq, 0), (LIMIT, Ne, libc::RLIMIT_CORE)])?;
    rules.insert(libc::SYS_prlimit64, vec![own, only_reads()?]);
    Ok(rules)
}

/// prlimit64(2) without new values: a null pointer, all 64 bits of it.
fn only_reads() -> Result<SeccompRule, BackendError> {
    let whole = SeccompCmpArgLen::Qword;
    SeccompRule::new(vec![SeccompCondition::new(LIMIT_NEW, whole, Eq, 0)?])
}
