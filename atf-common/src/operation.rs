//! What a live run may do, hook by hook. Pure functions on plain data like the verdict, of which they
//! are the second half; compiled into every kernel program and tested on the host.

use crate::loopback::LOOPBACK_INTERFACE;
use crate::verdict::{Denial, Facts, live};

/// The id of no run.
pub const NOBODY: u64 = 0;

/// Families of sockets, include/linux/socket.h.
pub const AF_UNIX: u32 = 1;
/// See [`AF_UNIX`].
pub const AF_INET: u32 = 2;
/// See [`AF_UNIX`].
pub const AF_INET6: u32 = 10;
/// See [`AF_UNIX`].
pub const AF_NETLINK: u32 = 16;

/// Types of sockets, include/linux/net.h.
const SOCK_STREAM: u32 = 1;
const SOCK_DGRAM: u32 = 2;
const SOCK_SEQPACKET: u32 = 5;

/// `getifaddrs` asks it; the others are channels between processes or controls of the kernel.
const NETLINK_ROUTE: u32 = 0;

/// Protocols of INET sockets, include/uapi/linux/in.h. What a stream is of by itself is TCP.
const IPPROTO_DEFAULT: u32 = 0;
const IPPROTO_TCP: u32 = 6;

/// The cookie of no network namespace: in `RUNS`, of a run without a loopback of its own.
pub const NO_NETWORK: u64 = 0;

/// An operation as its hook sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// What no run may do: datagrams of INET, to trace, bpf(2).
    Never,
    /// What every live run may do: an address of a unix socket is seen, and nothing of the socket.
    Always,
    /// A socket is made.
    Create {
        /// Its family.
        family: u32,
        /// Its type, without flags.
        kind: u32,
        /// Its protocol.
        protocol: u32,
    },
    /// An INET socket is made, as the hook sees it that knows where: in which network namespace.
    CreateInet {
        /// Its family.
        family: u32,
        /// Its type, without flags.
        kind: u32,
        /// Its protocol, by number and never 0.
        protocol: u32,
        /// The cookie of the network namespace that it is in.
        network: u64,
        /// The cookie of the host's first network namespace, in which no run has a socket whatever
        /// `RUNS` says.
        host: u64,
    },
    /// An INET socket takes an address, or connects to one.
    Address {
        /// The run that the socket is stamped for.
        stamped_for: Option<u64>,
        /// Its type, without flags.
        kind: u32,
        /// Its protocol, by number.
        protocol: u32,
        /// The cookie of the network namespace that it is in.
        network: u64,
        /// Whether the address is one of the loopback's ([`crate::loopback`]).
        is_loopback: bool,
    },
    /// Something moves through an INET socket, or it is about to be handed out.
    Traffic {
        /// The run that the socket is stamped for.
        stamped_for: Option<u64>,
    },
    /// A packet of an INET socket leaves or arrives. The address that the socket was connected to does not say
    /// where: a caller's routing header leads elsewhere (IPV6_RTHDR in include/uapi/linux/in6.h).
    Packet {
        /// The run that the socket is stamped for.
        stamped_for: Option<u64>,
        /// The number of the interface.
        interface: u32,
    },
    /// A connection to a listening unix socket.
    Connect {
        /// The run that the gateway has marked the listener for.
        marked_for: Option<u64>,
        /// The run that made the listener.
        owner: Option<u64>,
    },
    /// A socket of somebody's is written to or taken over.
    Reach {
        /// The run that made it.
        owner: Option<u64>,
    },
}

/// Whether `run` may do `operation` now.
///
/// # Errors
/// Why not: what [`live`] says first, then what the operation is refused for.
#[inline(always)]
#[must_use = "a verdict that nobody reads lets the operation through"]
pub fn judge(
    run: u64,
    facts: &Facts,
    now_boot_ms: u64,
    operation: Operation,
) -> Result<(), Denial> {
    if run == NOBODY {
        return Err(Denial::NotRegistered);
    }
    live(facts, now_boot_ms)?;
    let own_network = match facts.run {
        Some(record) => record.netns_cookie,
        None => NO_NETWORK,
    };
    allowed(run, own_network, operation)
}

/// Whether a live `run` may do `operation`. Of INET there are streams of TCP alone, in the run's own
/// registered network, and each is stamped when it is made: what has no stamp of the run's is no
/// socket of its.
#[inline(always)]
fn allowed(run: u64, own_network: u64, operation: Operation) -> Result<(), Denial> {
    let has_network = own_network != NO_NETWORK;
    match operation {
        Operation::Never => Err(Denial::Forbidden),
        Operation::Always => Ok(()),
        Operation::Create {
            family: AF_UNIX,
            kind: SOCK_STREAM | SOCK_DGRAM | SOCK_SEQPACKET,
            ..
        } => Ok(()),
        Operation::Create { family: AF_NETLINK, protocol: NETLINK_ROUTE, .. } => Ok(()),
        // Where it is made is not known yet: `CreateInet` says, and `Traffic` asks for its word.
        Operation::Create {
            family: AF_INET | AF_INET6,
            kind: SOCK_STREAM,
            protocol: IPPROTO_DEFAULT | IPPROTO_TCP,
        } if has_network => Ok(()),
        Operation::CreateInet {
            family: AF_INET | AF_INET6,
            kind: SOCK_STREAM,
            protocol: IPPROTO_TCP,
            network,
            host,
        } if has_network && network == own_network && network != host => Ok(()),
        Operation::Address {
            stamped_for,
            kind: SOCK_STREAM,
            protocol: IPPROTO_TCP,
            network,
            is_loopback: true,
        } if has_network && network == own_network && is(run, stamped_for) => Ok(()),
        Operation::Traffic { stamped_for } if has_network && is(run, stamped_for) => Ok(()),
        Operation::Packet { stamped_for, interface: LOOPBACK_INTERFACE }
            if has_network && is(run, stamped_for) =>
        {
            Ok(())
        }
        Operation::Create { .. }
        | Operation::CreateInet { .. }
        | Operation::Address { .. }
        | Operation::Traffic { .. }
        | Operation::Packet { .. } => Err(Denial::Forbidden),
        Operation::Connect { marked_for, .. } if is(run, marked_for) => Ok(()),
        Operation::Connect { owner, .. } | Operation::Reach { owner } if is(run, owner) => Ok(()),
        Operation::Connect { .. } | Operation::Reach { .. } => Err(Denial::ForeignPeer),
    }
}

/// Whether bytes that are sent on a socket of this family stay where [`Operation::Connect`] and
/// [`Operation::Reach`] have judged them to go.
#[inline(always)]
pub const fn is_local(family: u32) -> bool {
    family == AF_UNIX || family == AF_NETLINK
}

/// Whether sockets of this family are INET, of either version.
#[inline(always)]
pub const fn is_inet(family: u32) -> bool {
    family == AF_INET || family == AF_INET6
}

/// Nobody is nobody's peer.
#[inline(always)]
fn is(run: u64, other: Option<u64>) -> bool {
    run != NOBODY && other == Some(run)
}

#[cfg(test)]
#[path = "operation_tests.rs"]
mod tests;
