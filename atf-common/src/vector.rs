//! The ways out of a run that the kernel programs judge, one for each kind of operation.

/// How many vectors there are; the length of the per-run counters.
pub const VECTORS: usize = 18;

macro_rules! vectors {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal, $layer:literal;)*) => {
        /// An operation that a kernel program judges.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u32)]
        pub enum Vector {
            $($(#[$doc])* $variant = $number,)*
        }

        impl Vector {
            /// Every vector, in the order of their numbers.
            pub const ALL: &[Vector] = &[$(Vector::$variant),*];

            /// The name in reports and in the log.
            pub const fn name(self) -> &'static str {
                match self { $(Vector::$variant => $name,)* }
            }

            /// The layer of the cage whose program judges it: `A` cgroup hooks, `B` BPF LSM.
            pub const fn layer(self) -> char {
                match self { $(Vector::$variant => $layer,)* }
            }

            /// The vector with this number.
            pub const fn from_number(number: u32) -> Option<Self> {
                match number { $($number => Some(Vector::$variant),)* _ => None }
            }
        }
    };
}

vectors! {
    /// `cgroup/sock_create`: an INET or INET6 socket is made.
    SockCreate = 0, "sock_create", 'A';
    /// `cgroup/connect4`.
    Connect4 = 1, "connect4", 'A';
    /// `cgroup/connect6`.
    Connect6 = 2, "connect6", 'A';
    /// `cgroup/sendmsg4`.
    Sendmsg4 = 3, "sendmsg4", 'A';
    /// `cgroup/sendmsg6`.
    Sendmsg6 = 4, "sendmsg6", 'A';
    /// `cgroup/bind4`.
    Bind4 = 5, "bind4", 'A';
    /// `cgroup/bind6`.
    Bind6 = 6, "bind6", 'A';
    /// `cgroup_skb/egress`.
    Egress = 7, "egress", 'A';
    /// `cgroup_skb/ingress`.
    Ingress = 8, "ingress", 'A';
    /// `cgroup/connect_unix`, from Linux 6.7 on.
    ConnectUnix = 9, "connect_unix", 'A';
    /// `cgroup/sendmsg_unix`, from Linux 6.7 on.
    SendmsgUnix = 10, "sendmsg_unix", 'A';
    /// `lsm_cgroup/socket_create`: a socket of any family is made.
    SocketCreate = 11, "socket_create", 'B';
    /// `lsm_cgroup/unix_stream_connect`: the peer socket itself is judged.
    UnixStreamConnect = 12, "unix_stream_connect", 'B';
    /// `lsm_cgroup/unix_may_send`: the peer of a datagram.
    UnixMaySend = 13, "unix_may_send", 'B';
    /// `lsm_cgroup/socket_sendmsg`: something is sent on a socket that is no local one.
    SocketSendmsg = 14, "socket_sendmsg", 'B';
    /// `lsm_cgroup/file_receive`: another process hands a socket over.
    FileReceive = 15, "file_receive", 'B';
    /// `lsm_cgroup/ptrace_access_check`: another process's memory or descriptors.
    PtraceAccessCheck = 16, "ptrace_access_check", 'B';
    /// `lsm_cgroup/bpf`: a call of bpf(2).
    Bpf = 17, "bpf", 'B';
}
