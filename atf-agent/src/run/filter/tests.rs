use std::os::fd::{AsFd as _, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use crate::run::listener::{hand_over, take_over};
use crate::sys::attempt::{Outcome, syscall};
use crate::sys::clone::fork;
use crate::sys::seccomp;

use super::*;

/// The filter, installed in the calling process as in a run around which another filter listens.
fn install() {
    let filters = compile().expect("the filter compiles");
    for program in [filters.missing].iter().chain(&filters.silent) {
        seccompiler::apply_filter(program).expect("the filter can be installed");
    }
}

/// The filter as it is in a run; `answered` by a process outside of it, as by the keeper, or by nobody.
fn install_listening(answered: bool) {
    let filters = compile().expect("the filter compiles");
    let kind = (AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC);
    let (keeper, inside) = socketpair(kind.0, kind.1, kind.2, None).expect("a pair can be made");
    if answered {
        fork(|| {
            poll(&mut [PollFd::new(&keeper, PollFlags::IN)], None).expect("the other end lives");
            let listener = take_over(&keeper).expect("readable").expect("it comes");
            answer_all(&listener);
            0
        })
        .expect("a child can be forked");
    }
    seccompiler::apply_filter(&filters.missing).expect("the filter can be installed");
    let listener = seccomp::install_listening(&filters.listening).expect("and the listening one");
    hand_over(&inside, &listener).expect("the keeper takes it");
}

/// Until nobody is left who can be refused anything.
fn answer_all(listener: &OwnedFd) {
    loop {
        let mut fds = [PollFd::new(listener, PollFlags::IN)];
        poll(&mut fds, None).expect("the listener can be polled");
        if !fds[0].revents().contains(PollFlags::IN) {
            return;
        }
        if let Some(call) = seccomp::next(listener.as_fd()).expect("readable") {
            seccomp::refuse(listener.as_fd(), call, error_for(call.call)).expect("answered");
        }
    }
}

/// A row: a call that answers `expected` under the filter, and something else without it.
fn check(name: &str, call: i64, arguments: [u64; 6], expected: Outcome) {
    let without = syscall(call, arguments, || {});
    assert_ne!(without, expected, "{name}: the same without the filter proves nothing");
    passes_as(name, call, arguments, expected);
}

/// The same in both forms of the filter.
fn passes_as(name: &str, call: i64, arguments: [u64; 6], expected: Outcome) {
    let with = syscall(call, arguments, install);
    assert_eq!(with, expected, "{name}: refused by the kernel");
    let with = syscall(call, arguments, || install_listening(true));
    assert_eq!(with, expected, "{name}: refused by the keeper");
}

fn arguments(first: &[i64]) -> [u64; 6] {
    let mut all = [0; 6];
    for (to, from) in all.iter_mut().zip(first) {
        *to = from.cast_unsigned();
    }
    all
}

const EPERM: Outcome = Outcome::Errno(libc::EPERM);
const ENOSYS: Outcome = Outcome::Errno(libc::ENOSYS);
const EAFNOSUPPORT: Outcome = Outcome::Errno(libc::EAFNOSUPPORT);

#[test]
fn calls_that_reach_out_of_the_cage_are_refused() {
    let none = [0; 6];
    for (name, call, arguments) in [
        ("unshare", libc::SYS_unshare, none),
        ("unshare of the network", libc::SYS_unshare, arguments(&[libc::CLONE_NEWNET.into()])),
        ("setns", libc::SYS_setns, arguments(&[-1])),
        ("mount", libc::SYS_mount, none),
        ("umount", libc::SYS_umount2, none),
        ("fsopen", libc::SYS_fsopen, none),
        ("fsmount", libc::SYS_fsmount, arguments(&[-1])),
        ("move_mount", libc::SYS_move_mount, none),
        ("open_tree", libc::SYS_open_tree, none),
        ("mount_setattr", libc::SYS_mount_setattr, none),
        ("pivot_root", libc::SYS_pivot_root, none),
        ("chroot", libc::SYS_chroot, none),
        ("keyctl", libc::SYS_keyctl, none),
        ("add_key", libc::SYS_add_key, none),
        ("request_key", libc::SYS_request_key, none),
        ("bpf", libc::SYS_bpf, arguments(&[-1])),
        ("perf_event_open", libc::SYS_perf_event_open, none),
        ("userfaultfd", libc::SYS_userfaultfd, none),
        ("ptrace", libc::SYS_ptrace, none),
        ("process_vm_readv", libc::SYS_process_vm_readv, none),
        ("process_vm_writev", libc::SYS_process_vm_writev, none),
        ("pidfd_getfd", libc::SYS_pidfd_getfd, arguments(&[-1])),
        ("kcmp", libc::SYS_kcmp, none),
        ("kexec_load", libc::SYS_kexec_load, arguments(&[0, 17])),
        ("init_module", libc::SYS_init_module, none),
        ("finit_module", libc::SYS_finit_module, arguments(&[-1])),
        ("reboot", libc::SYS_reboot, none),
        ("swapon", libc::SYS_swapon, arguments(&[0, -1])),
        ("quotactl", libc::SYS_quotactl, none),
        ("open_by_handle_at", libc::SYS_open_by_handle_at, arguments(&[-1])),
        ("name_to_handle_at", libc::SYS_name_to_handle_at, arguments(&[-1])),
        ("a personality", libc::SYS_personality, arguments(&[0x004_0000])),
        ("clock_settime", libc::SYS_clock_settime, none),
        ("memfd_secret", libc::SYS_memfd_secret, arguments(&[0xff])),
        ("a listener of its own", libc::SYS_seccomp, arguments(&[1, 8, 0])),
        ("a higher core limit", libc::SYS_prlimit64, arguments(&[0, 4, 8])),
        ("a limit of the run's first process", libc::SYS_prlimit64, arguments(&[1, 7, 8])),
    ] {
        check(name, call, arguments, EPERM);
    }
}

/// The attack: the keeper is killed, so that nobody says no.
#[test]
fn without_the_keeper_a_refused_call_fails_and_an_allowed_one_goes_on() {
    for (name, call, arguments) in [
        ("ptrace", libc::SYS_ptrace, [0; 6]),
        ("unshare", libc::SYS_unshare, [0; 6]),
        ("vsock", libc::SYS_socket, arguments(&[libc::AF_VSOCK.into(), 1, 0])),
        ("a listener of its own", libc::SYS_seccomp, arguments(&[1, 8, 0])),
    ] {
        assert_eq!(syscall(call, arguments, || install_listening(false)), ENOSYS, "{name}");
    }
    let went = syscall(libc::SYS_getpid, [0; 6], || install_listening(false));
    assert_eq!(went, Outcome::Went);
}

#[test]
fn a_run_does_not_choose_its_place_among_the_others() {
    let none = [0; 6];
    for (name, call, arguments) in [
        ("setpriority", libc::SYS_setpriority, none),
        ("ioprio_set", libc::SYS_ioprio_set, none),
        ("sched_setaffinity", libc::SYS_sched_setaffinity, none),
        ("sched_setparam", libc::SYS_sched_setparam, none),
        ("sched_setscheduler", libc::SYS_sched_setscheduler, none),
        ("sched_setattr", libc::SYS_sched_setattr, none),
        ("mbind", libc::SYS_mbind, none),
        ("set_mempolicy", libc::SYS_set_mempolicy, arguments(&[-1])),
        // Programs set their limits by prlimit64.
        ("setrlimit", libc::SYS_setrlimit, none),
    ] {
        check(name, call, arguments, EPERM);
    }
}

#[test]
fn a_thread_may_be_cloned_and_a_namespace_may_not() {
    let clone = |flags: i32| arguments(&[i64::from(flags | libc::SIGCHLD)]);
    for namespace in [libc::CLONE_NEWUSER, libc::CLONE_NEWNET, libc::CLONE_NEWPID] {
        check("clone", libc::SYS_clone, clone(namespace), EPERM);
    }
    passes_as("a process", libc::SYS_clone, clone(0), Outcome::Went);
}

#[test]
fn calls_that_hide_their_work_seem_to_be_missing() {
    for (name, call, arguments) in [
        ("io_uring_setup", libc::SYS_io_uring_setup, [0; 6]),
        ("io_uring_enter", libc::SYS_io_uring_enter, arguments(&[-1])),
        ("io_uring_register", libc::SYS_io_uring_register, arguments(&[-1])),
        ("clone3", libc::SYS_clone3, [0; 6]),
        ("io_setup", libc::SYS_io_setup, [0; 6]),
    ] {
        check(name, call, arguments, ENOSYS);
    }
    // A number of the future: nothing to tell the two apart yet, but it must not be EPERM.
    passes_as("a number of the future", 500, [0; 6], ENOSYS);
}

#[test]
fn only_known_socket_families_pass() {
    let (stream, datagram, raw) =
        (i64::from(libc::SOCK_STREAM), i64::from(libc::SOCK_DGRAM), i64::from(libc::SOCK_RAW));
    let socket = |family: i32, kind, protocol| arguments(&[family.into(), kind, protocol]);
    let route = i64::from(libc::NETLINK_ROUTE);
    for (name, arguments) in [
        ("netlink usersock", socket(libc::AF_NETLINK, raw, 2)),
        ("netlink audit", socket(libc::AF_NETLINK, raw, 9)),
        ("packet", socket(libc::AF_PACKET, raw, 0)),
        ("a family with bits above 32", arguments(&[0x1_0000_0011, raw, 0])),
    ] {
        check(name, libc::SYS_socket, arguments, EAFNOSUPPORT);
    }
    // Kernels without these families answer the same by themselves: no control is possible then.
    for family in [libc::AF_VSOCK, libc::AF_ALG, libc::AF_XDP, libc::AF_TIPC, libc::AF_KEY] {
        let arguments = socket(family, datagram, 0);
        passes_as(&format!("family {family}"), libc::SYS_socket, arguments, EAFNOSUPPORT);
    }
    for (name, arguments) in [
        ("unix", socket(libc::AF_UNIX, stream, 0)),
        ("tcp, which the cage's hooks see", socket(libc::AF_INET, stream, 0)),
        ("udp over IPv6", socket(libc::AF_INET6, datagram, 0)),
        ("netlink route", socket(libc::AF_NETLINK, raw, route)),
    ] {
        passes_as(name, libc::SYS_socket, arguments, Outcome::Went);
    }
}

#[test]
fn nobody_types_into_a_terminal_whatever_the_upper_bits_say() {
    let bad = -1;
    for request in [
        libc::TIOCSTI.cast_signed(),
        libc::TIOCLINUX.cast_signed(),
        libc::TIOCSTI.cast_signed() | 0x7_0000_0000,
    ] {
        check("ioctl", libc::SYS_ioctl, arguments(&[bad, request]), EPERM);
    }
}

#[test]
fn what_programs_ask_all_the_time_is_allowed() {
    for (name, call, arguments) in [
        ("getpid", libc::SYS_getpid, [0; 6]),
        ("the personality", libc::SYS_personality, arguments(&[0xffff_ffff])),
        ("the core limit", libc::SYS_prlimit64, arguments(&[0, 4])),
        ("another limit", libc::SYS_prlimit64, arguments(&[0, 7])),
        ("another one's limit", libc::SYS_prlimit64, arguments(&[1, 7])),
    ] {
        passes_as(name, call, arguments, Outcome::Went);
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn foreign_architectures_are_killed_and_x32_is_refused() {
    use crate::sys::attempt::foreign_architecture;
    /// `__X32_SYSCALL_BIT` of asm/unistd.h.
    const X32: i64 = 0x4000_0000;

    let killed = Outcome::Killed(libc::SIGSYS);
    assert_ne!(foreign_architecture(|| {}), killed);
    assert_eq!(foreign_architecture(install), killed);
    assert_eq!(foreign_architecture(|| install_listening(true)), killed);
    check("x32 getpid", X32 | libc::SYS_getpid, [0; 6], EPERM);
}
