//! Which sockets a run may make. INET is left to the cage's own hooks, so that they see and report it;
//! the families that those hooks never see (vsock, packet, xdp, alg, key, tipc, rds, bluetooth and
//! whatever comes) are refused here, too.

use seccompiler::BackendError;
use seccompiler::SeccompCmpOp::{Eq, Ne};

use super::{Rules, rule};

/// Families that a run may make sockets of, whatever their kind; and AF_NETLINK, of one protocol.
const FAMILIES: [i32; 3] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6];

/// The calls that make them.
const CALLS: [i64; 2] = [libc::SYS_socket, libc::SYS_socketpair];

/// The calls as rules that match the sockets that may be made.
pub(super) fn allowed() -> Result<Rules, BackendError> {
    let mut rules = Rules::new();
    for call in CALLS {
        let family = |family: i32| (0, Eq, family.cast_unsigned());
        let mut may = Vec::new();
        for family in FAMILIES.map(family) {
            may.push(rule(&[family])?);
        }
        // Programs list the interfaces by NETLINK_ROUTE, which is protocol 0. Of the others, some reach
        // the kernel's configuration, and NETLINK_USERSOCK reaches other processes.
        let route = (2, Eq, libc::NETLINK_ROUTE.cast_unsigned());
        may.push(rule(&[family(libc::AF_NETLINK), route])?);
        rules.insert(call, may);
    }
    Ok(rules)
}

/// The calls as rules that match the others.
pub(super) fn refused() -> Result<Rules, BackendError> {
    let mut rules = Rules::new();
    for call in CALLS {
        let none_of_these = FAMILIES.map(|family| (0, Ne, family.cast_unsigned()));
        let not_netlink = (0, Ne, libc::AF_NETLINK.cast_unsigned());
        let mut no_family = none_of_these.to_vec();
        no_family.push(not_netlink);
        let netlink = (0, Eq, libc::AF_NETLINK.cast_unsigned());
        let not_route = (2, Ne, libc::NETLINK_ROUTE.cast_unsigned());
        rules.insert(call, vec![rule(&no_family)?, rule(&[netlink, not_route])?]);
    }
    Ok(rules)
}
