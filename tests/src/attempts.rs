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
    /// Whether it needs `CAP_NET_RAW`: without ATF it is given, as containers often have it.
    pub net_raw: bool,
}

const fn attempt(id: &'static str, vector: &'static str, canary: &'static str) -> Attempt {
    Attempt { id, vector, canary, net_raw: false }
}

const fn privileged(id: &'static str, vector: &'static str, canary: &'static str) -> Attempt {
    Attempt { id, vector, canary, net_raw: true }
}

/// Every way out, in the order of the report.
pub const ATTEMPTS: [Attempt; 18] = [
    attempt("tcp4", "TCP over IPv4", "tcp4"),
    attempt("tcp6", "TCP over IPv6", "tcp6"),
    attempt("tcp4_mapped", "TCP to a v4-mapped IPv6 address", "tcp4"),
    attempt("udp4", "UDP over IPv4", "udp4"),
    attempt("dns", "a DNS query that carries a secret", "dns"),
    privileged("raw", "a raw IP socket", "raw"),
    privileged("packet", "an AF_PACKET frame", "packet"),
    attempt("vsock", "AF_VSOCK", "vsock"),
    attempt("metadata", "the cloud's metadata address", "metadata"),
    attempt("loopback", "a local service on loopback", "loopback"),
    attempt("unix_path", "a privileged unix socket by path", "unix_path"),
    attempt("unix_abstract", "a unix socket by abstract name", "unix_abstract"),
    attempt("unix_visible", "a foreign socket in a visible directory", "unix_visible"),
    attempt("inherited_fd", "an inherited connected socket", "inherited_fd"),
    attempt("io_uring", "connect through io_uring", "tcp4"),
    attempt("tiocsti", "typing into the parent's terminal", "terminal"),
    attempt("child_tree", "TCP from a tree of child processes", "tcp4"),
    attempt("child_cgroup", "TCP from a child cgroup", "tcp4"),
];

/// The attempt of this name.
pub fn find(id: &str) -> Option<&'static Attempt> {
    ATTEMPTS.iter().find(|attempt| attempt.id == id)
}
