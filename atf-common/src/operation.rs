//! What a live run may do, hook by hook. Pure functions on plain data like the verdict, of which they
//! are the second half; compiled into every kernel program and tested on the host.

use crate::verdict::{Denial, Facts, live};

/// The id of no run.
pub const NOBODY: u64 = 0;

/// Families of sockets, include/linux/socket.h.
pub const AF_UNIX: u32 = 1;
/// See [`AF_UNIX`].
pub const AF_NETLINK: u32 = 16;

/// Types of sockets, include/linux/net.h.
const SOCK_STREAM: u32 = 1;
const SOCK_DGRAM: u32 = 2;
const SOCK_SEQPACKET: u32 = 5;

/// `getifaddrs` asks it; the others are channels between processes or controls of the kernel.
const NETLINK_ROUTE: u32 = 0;

/// An operation as its hook sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// What no run may do: everything with INET, to trace, bpf(2).
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
    allowed(run, operation)
}

/// Whether a live `run` may do `operation`.
#[inline(always)]
fn allowed(run: u64, operation: Operation) -> Result<(), Denial> {
    match operation {
        Operation::Never => Err(Denial::Forbidden),
        Operation::Always => Ok(()),
        Operation::Create {
            family: AF_UNIX,
            kind: SOCK_STREAM | SOCK_DGRAM | SOCK_SEQPACKET,
            ..
        } => Ok(()),
        Operation::Create { family: AF_NETLINK, protocol: NETLINK_ROUTE, .. } => Ok(()),
        Operation::Create { .. } => Err(Denial::Forbidden),
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

/// Nobody is nobody's peer.
#[inline(always)]
fn is(run: u64, other: Option<u64>) -> bool {
    run != NOBODY && other == Some(run)
}

#[cfg(test)]
#[path = "operation_tests.rs"]
mod tests;
