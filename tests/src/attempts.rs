//! The ways out that the hijacked agent tries: one table for the attacker, the lab and the report.

/// One way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// Its stable name, also in the cage's matrix.
    pub id: &'static str,
    /// What it is, for people.
    pub vector: &'static str,
    /// The canary that it reaches when nothing stops it.
    pub canary: &'static str,
    /// What a witness outside sees while the attacker has what it should not have; for attempts that
    /// send nothing.
    pub sight: Option<Sight>,
    /// The option of the demo's `offer` that gives the capability that it needs: without ATF it is
    /// given, as containers often have it.
    pub capability: Option<&'static str>,
    /// For an attempt of a run that has a bridge: the attempt that it makes.
    pub bridged: Option<&'static str>,
}

/// What can be seen of a process from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// It holds a socket of this family and protocol.
    Socket(i32, i32),
    /// It holds a descriptor that the kernel calls so.
    Handle(&'static str),
    /// It has another namespace of this kind than its parent.
    Namespace(&'static str),
    /// It sees a mount with the name [`MOUNT`].
    Mount,
    /// Its user holds [`KEYS`] keys.
    Keys,
}

/// The canary of the attempts that a witness sees.
pub const WITNESS: &str = "witness";

/// The canary of the attempts that prove themselves by what they learned.
pub const KNOWLEDGE: &str = "knowledge";

/// The source that the attacker's mount names.
pub const MOUNT: &str = "atf-lab-mount";

/// More keys than a session has by itself.
pub const KEYS: usize = 20;

/// Families that libc does not name.
const AF_KCM: i32 = 41;
const AF_SMC: i32 = 43;

const NET_RAW: &str = "--net-raw";
const SYS_ADMIN: &str = "--sys-admin";

const fn attempt(id: &'static str, vector: &'static str, canary: &'static str) -> Attempt {
    Attempt { id, vector, canary, sight: None, capability: None, bridged: None }
}

const fn held(id: &'static str, vector: &'static str, sight: Sight) -> Attempt {
    Attempt { id, vector, canary: WITNESS, sight: Some(sight), capability: None, bridged: None }
}

/// What the attempt `like` does, by a run with a bridge.
const fn bridged(
    id: &'static str,
    vector: &'static str,
    canary: &'static str,
    like: &'static str,
) -> Attempt {
    Attempt { bridged: Some(like), ..attempt(id, vector, canary) }
}

impl Attempt {
    const fn with(self, capability: &'static str) -> Self {
        Self { capability: Some(capability), ..self }
    }

    /// The id by which the attacker and the lab know what it does.
    pub fn does(&self) -> &'static str {
        self.bridged.unwrap_or(self.id)
    }
}

/// Every way out, in the order of the report.
pub const ATTEMPTS: [Attempt; 103] = [
    attempt("tcp4", "TCP over IPv4", "tcp4"),
    attempt("tcp6", "TCP over IPv6", "tcp6"),
    attempt("tcp4_mapped", "TCP to a v4-mapped IPv6 address", "tcp4"),
    attempt("tcp4_bound", "TCP from a port of its own choice", "tcp4"),
    attempt("tcp4_fastopen", "TCP fast open by sendto", "tcp4"),
    attempt("tcp4_fastopen_option", "TCP fast open by socket option", "tcp4"),
    attempt("mptcp", "multipath TCP", "tcp4"),
    attempt("sctp", "an SCTP association", "sctp"),
    attempt("sctp_message", "an SCTP message without connect", "sctp_message"),
    attempt("dccp", "a DCCP connection", "dccp"),
    attempt("inbound", "a listener that the internet calls", "inbound"),
    attempt("metadata", "the cloud's metadata address", "metadata"),
    attempt("loopback", "a local service on loopback", "loopback"),
    attempt("loopback6", "a local service on IPv6 loopback", "loopback6"),
    attempt("loopback_any", "a local service by the address 0.0.0.0", "loopback"),
    attempt("udp4", "UDP over IPv4", "udp4"),
    attempt("udp4_connected", "UDP over IPv4, connected", "udp4"),
    attempt("udp4_batch", "UDP by sendmmsg", "udp4"),
    attempt("udp4_fragments", "UDP in fragments", "udp4"),
    attempt("udp4_broadcast", "UDP to everybody on the link", "broadcast"),
    attempt("udp4_multicast", "UDP to a multicast group", "multicast"),
    attempt("udp4_mapped", "UDP to a v4-mapped IPv6 address", "udp4"),
    attempt("udp6", "UDP over IPv6", "udp6"),
    attempt("udp6_connected", "UDP over IPv6, connected", "udp6"),
    attempt("udplite4", "UDP-Lite", "udplite4"),
    attempt("udplite4_connected", "UDP-Lite, connected", "udplite4"),
    attempt("dns", "a DNS query that carries a secret", "dns"),
    attempt("resolver", "the local resolver on 127.0.0.53", "resolver"),
    attempt("raw", "a raw IP socket", "raw").with(NET_RAW),
    attempt("raw_connected", "a raw IP socket, connected", "raw").with(NET_RAW),
    attempt("raw_header", "a raw IP socket with a header of its own", "raw").with(NET_RAW),
    attempt("raw6", "a raw IPv6 socket", "raw6").with(NET_RAW),
    attempt("ping4", "an ICMP echo socket", "ping4"),
    attempt("ping4_connected", "an ICMP echo socket, connected", "ping4"),
    attempt("ping6", "an ICMPv6 echo socket", "ping6"),
    attempt("packet", "an AF_PACKET frame", "packet").with(NET_RAW),
    attempt("packet_raw", "an AF_PACKET frame with its own header", "packet").with(NET_RAW),
    attempt("vsock", "AF_VSOCK", "vsock"),
    attempt("unix_path", "a privileged unix socket by path", "unix_path"),
    attempt("unix_abstract", "a unix socket by abstract name", "unix_abstract"),
    attempt("unix_visible", "a foreign socket in a visible directory", "unix_visible"),
    attempt("unix_seqpacket", "a unix SEQPACKET socket by path", "unix_seqpacket"),
    attempt("unix_datagram", "a unix datagram by path", "unix_datagram"),
    attempt("unix_datagram_connected", "a connected unix datagram socket", "unix_datagram"),
    attempt("unix_datagram_message", "a unix datagram by sendmsg with an address", "unix_datagram"),
    attempt("unix_datagram_abstract", "a unix datagram by abstract name", "unix_datagram_abstract"),
    attempt(
        "unix_datagram_visible",
        "a unix datagram in a visible directory",
        "unix_datagram_visible",
    ),
    attempt("unix_pair", "one end of a socket pair, connected elsewhere", "unix_datagram"),
    attempt("inherited_fd", "an inherited connected socket", "inherited_fd"),
    attempt("passed_fd", "a socket passed over standard input", "inherited_fd"),
    attempt("io_uring", "connect through io_uring", "tcp4"),
    attempt("io_uring_polled", "connect through a polled io_uring", "tcp4"),
    attempt("compat_call", "a socket by the 32-bit call table", "tcp4"),
    attempt("x32_call", "a socket by the x32 call table", "tcp4"),
    attempt("tiocsti", "typing into the parent's terminal", "terminal"),
    attempt("child_tree", "TCP from a tree of child processes", "tcp4"),
    attempt("child_cgroup", "TCP from a child cgroup", "tcp4"),
    attempt("signal", "a signal to a foreign process", "victim_signal"),
    attempt("proc_environ", "the environment of a foreign process", "knowledge"),
    attempt("proc_memory", "the memory of a foreign process by /proc", "victim_memory"),
    attempt("ptrace", "the memory of a foreign process by ptrace", "victim_memory"),
    attempt("process_vm_writev", "writing a foreign process's memory", "victim_memory"),
    attempt("process_vm_readv", "reading a foreign process's memory", "knowledge"),
    attempt("pidfd_getfd", "a foreign process's connected socket", "inherited_fd"),
    attempt("setns", "entering a foreign network namespace", "world_loopback").with(SYS_ADMIN),
    attempt("shared_memory", "a System V shared memory segment", "shared_memory"),
    attempt("message_queue", "a POSIX message queue", "message_queue"),
    attempt("dev_shm", "a shared file in /dev/shm", "dev_shm"),
    attempt("fifo", "a named pipe by path", "fifo"),
    attempt("foreign_fifo", "a foreign named pipe in a visible directory", "foreign_fifo"),
    held("netlink_user", "a channel of NETLINK_USERSOCK", Sight::Socket(libc::AF_NETLINK, 2)),
    held(
        "netlink_diag",
        "the list of sockets (NETLINK_SOCK_DIAG)",
        Sight::Socket(libc::AF_NETLINK, 4),
    ),
    held("netlink_xfrm", "the IPsec tables (NETLINK_XFRM)", Sight::Socket(libc::AF_NETLINK, 6)),
    held("netlink_audit", "the audit channel (NETLINK_AUDIT)", Sight::Socket(libc::AF_NETLINK, 9)),
    held(
        "netlink_connector",
        "the process connector (NETLINK_CONNECTOR)",
        Sight::Socket(libc::AF_NETLINK, 11),
    ),
    held(
        "netlink_netfilter",
        "the firewall (NETLINK_NETFILTER)",
        Sight::Socket(libc::AF_NETLINK, 12),
    ),
    held(
        "netlink_uevent",
        "device events (NETLINK_KOBJECT_UEVENT)",
        Sight::Socket(libc::AF_NETLINK, 15),
    ),
    held("netlink_generic", "generic netlink", Sight::Socket(libc::AF_NETLINK, 16)),
    held("af_alg", "a socket of the kernel's cryptography", Sight::Socket(libc::AF_ALG, 0)),
    held("af_xdp", "a socket past the network stack (AF_XDP)", Sight::Socket(libc::AF_XDP, 0))
        .with(NET_RAW),
    held("af_tipc", "a cluster socket (AF_TIPC)", Sight::Socket(libc::AF_TIPC, 0)),
    held("af_rds", "a reliable datagram socket (AF_RDS)", Sight::Socket(libc::AF_RDS, 0)),
    held("af_smc", "a shared-memory socket (AF_SMC)", Sight::Socket(AF_SMC, 0)),
    held("af_kcm", "a kernel connection multiplexer (AF_KCM)", Sight::Socket(AF_KCM, 0)),
    held("bpf_map", "a map of the kernel's (bpf)", Sight::Handle("anon_inode:bpf-map")),
    held(
        "perf_event",
        "a counter of the kernel's (perf_event_open)",
        Sight::Handle("anon_inode:[perf_event]"),
    ),
    held(
        "userfaultfd",
        "page faults handled by hand (userfaultfd)",
        Sight::Handle("anon_inode:[userfaultfd]"),
    ),
    held("keyring", "keys in the kernel's keyring", Sight::Keys),
    held("user_namespace", "a user namespace by unshare", Sight::Namespace("user")),
    held("user_namespace_clone", "a user namespace by clone", Sight::Namespace("user")),
    held("user_namespace_clone3", "a user namespace by clone3", Sight::Namespace("user")),
    held("mount", "a mount of its own", Sight::Mount),
    bridged("bridge_udp4", "UDP on loopback, from a run with a bridge", "resolver", "resolver"),
    bridged("bridge_mptcp", "multipath TCP, from a run with a bridge", "tcp4", "mptcp"),
    bridged(
        "bridge_loopback",
        "the host's loopback, from a run with a bridge",
        "loopback",
        "loopback",
    ),
    bridged("bridge_loopback6", "the same on IPv6 loopback", "loopback6", "loopback6"),
    bridged("bridge_elsewhere", "TCP to another address, from a run with a bridge", "tcp4", "tcp4"),
    bridged("bridge_elsewhere6", "the same over IPv6", "tcp6", "tcp6"),
    bridged("bridge_mapped", "the same to a v4-mapped IPv6 address", "tcp4", "tcp4_mapped"),
    bridged("bridge_fastopen", "the same by TCP fast open", "tcp4", "tcp4_fastopen"),
    bridged("bridge_bound", "the same from a port of its own choice", "tcp4", "tcp4_bound"),
    bridged(
        "bridge_inbound",
        "a listener of a run with a bridge, called from outside",
        "inbound",
        "inbound",
    ),
    bridged(
        "bridge_passed_fd",
        "a socket of another network, passed to a run with a bridge",
        "inherited_fd",
        "passed_fd",
    ),
];

/// The attempt of this name.
pub fn find(id: &str) -> Option<&'static Attempt> {
    ATTEMPTS.iter().find(|attempt| attempt.id == id)
}
