//! Which sockets a run may make. INET is left to the cage's own hooks, so that they see and report it;
//! the families that those hooks never see (vsock, packet, xdp, alg, key, tipc, rds, bluetooth and
//! whatever comes) are refused here, too.

use seccompiler::SeccompCmpOp::{Eq, Ne};
use seccompiler::{BackendError, SeccompRule};

use super::{Rules, rule};

/// Families that a run may make sockets of.
const FAMILIES: [i32; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// The calls whose sockets are refused, as rules that match the refused ones.
pub(super) fn rules() -> Result<Rules, BackendError> {
    let mut rules = Rules::new();
    for call in [libc::SYS_socket, libc::SYS_socketpair] {
        rules.insert(call, refused()?);
    }
    Ok(rules)
}

fn refused() -> Result<Vec<SeccompRule>, BackendError> {
    let none_of_these = FAMILIES.map(|family| (0, Ne, family.cast_unsigned()));
    // Programs list the interfaces by NETLINK_ROUTE, which is protocol 0. Of the others, some reach
    // the kernel's configuration, and NETLINK_USERSOCK reaches other processes.
    let netlink = (0, Eq, libc::AF_NETLINK.cast_unsigned());
    let not_route = (2, Ne, libc::NETLINK_ROUTE.cast_unsigned());
    Ok(vec![rule(&none_of_these)?, rule(&[netlink, not_route])?])
}
