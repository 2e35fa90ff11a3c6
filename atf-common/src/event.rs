//! What a kernel program writes into the event ring for one denial, or for what would be one.

/// One denial, 64 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Event {
    /// Boot clock, nanoseconds.
    pub boot_ns: u64,
    /// The run's cgroup id; 0 when the process is under no run.
    pub run: u64,
    /// The process (`tgid`) for process hooks, 0 for packet hooks.
    pub pid: u32,
    /// Its real uid, 0 for packet hooks.
    pub uid: u32,
    /// Number of a [`crate::vector::Vector`].
    pub vector: u32,
    /// Number of a [`crate::verdict::Denial`].
    pub denial: u16,
    /// 1 when the operation was let through: [`crate::mode::Answer::Observed`]; else 0.
    pub observed: u16,
    /// Socket family, where the hook has one.
    pub family: u32,
    /// Socket type (`sock_create`, `socket_create`), destination port (`connect`, `sendmsg`,
    /// `bind`), EtherType (`egress`, `ingress`), mode (`ptrace_access_check`) or command (`bpf`),
    /// else 0.
    pub detail: u32,
    /// The process's command name, zero-terminated; empty for packet hooks.
    pub comm: [u8; 16],
    /// Denials and observations of this run and vector that were suppressed since its last event.
    pub suppressed: u64,
}

const _: () = assert!(size_of::<Event>() == 64);
