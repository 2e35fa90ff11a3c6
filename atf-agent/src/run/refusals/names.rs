//! Names of the refused calls that a reader of the log should recognise.

use crate::audit::Judged;

/// The name in the log: `seccomp:ptrace`, and by its number where it has no name here.
pub(super) fn vector(call: i64) -> String {
    match NAMES.iter().find(|(number, _)| *number == call) {
        Some((_, name)) => format!("{}{name}", Judged::FILTER),
        None => format!("{}call_{call}", Judged::FILTER),
    }
}

macro_rules! named {
    ($($name:literal = $call:ident,)*) => {
        /// Calls by number.
        const NAMES: &[(i64, &str)] = &[$((libc::$call, $name),)*];
    };
}

named! {
    "acct" = SYS_acct,
    "add_key" = SYS_add_key,
    "bpf" = SYS_bpf,
    "chroot" = SYS_chroot,
    "clock_settime" = SYS_clock_settime,
    "clone" = SYS_clone,
    "delete_module" = SYS_delete_module,
    "fanotify_init" = SYS_fanotify_init,
    "finit_module" = SYS_finit_module,
    "fsmount" = SYS_fsmount,
    "fsopen" = SYS_fsopen,
    "init_module" = SYS_init_module,
    "io_destroy" = SYS_io_destroy,
    "io_setup" = SYS_io_setup,
    "io_submit" = SYS_io_submit,
    "io_uring_enter" = SYS_io_uring_enter,
    "io_uring_register" = SYS_io_uring_register,
    "io_uring_setup" = SYS_io_uring_setup,
    "ioctl" = SYS_ioctl,
    "kcmp" = SYS_kcmp,
    "kexec_load" = SYS_kexec_load,
    "keyctl" = SYS_keyctl,
    "memfd_secret" = SYS_memfd_secret,
    "mount" = SYS_mount,
    "mount_setattr" = SYS_mount_setattr,
    "move_mount" = SYS_move_mount,
    "name_to_handle_at" = SYS_name_to_handle_at,
    "open_by_handle_at" = SYS_open_by_handle_at,
    "open_tree" = SYS_open_tree,
    "perf_event_open" = SYS_perf_event_open,
    "personality" = SYS_personality,
    "pidfd_getfd" = SYS_pidfd_getfd,
    "pivot_root" = SYS_pivot_root,
    "prlimit64" = SYS_prlimit64,
    "process_madvise" = SYS_process_madvise,
    "process_vm_readv" = SYS_process_vm_readv,
    "process_vm_writev" = SYS_process_vm_writev,
    "ptrace" = SYS_ptrace,
    "quotactl" = SYS_quotactl,
    "reboot" = SYS_reboot,
    "request_key" = SYS_request_key,
    "seccomp" = SYS_seccomp,
    "setdomainname" = SYS_setdomainname,
    "sethostname" = SYS_sethostname,
    "setns" = SYS_setns,
    "setrlimit" = SYS_setrlimit,
    "socket" = SYS_socket,
    "socketpair" = SYS_socketpair,
    "swapon" = SYS_swapon,
    "syslog" = SYS_syslog,
    "umount2" = SYS_umount2,
    "unshare" = SYS_unshare,
    "userfaultfd" = SYS_userfaultfd,
    "vhangup" = SYS_vhangup,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_named_and_an_unknown_one_numbered() {
        assert_eq!(vector(libc::SYS_ptrace), "seccomp:ptrace");
        assert_eq!(vector(libc::SYS_io_uring_setup), "seccomp:io_uring_setup");
        assert_eq!(vector(9_999), "seccomp:call_9999");
    }
}
