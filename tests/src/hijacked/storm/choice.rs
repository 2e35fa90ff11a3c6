//! What the arguments of a call are drawn from: what programs use, what gets past careless filters, and
//! anything.

use libc::{
    AF_ALG, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_UNIX, AF_VSOCK, AF_XDP, SOCK_DGRAM,
    SOCK_RAW, SOCK_SEQPACKET, SOCK_STREAM,
};

use super::kind::Kind;
use crate::random::Random;

const IPPROTO_MPTCP: i32 = 262;
const IPPROTO_SCTP: i32 = 132;
const IPPROTO_UDPLITE: i32 = 136;

/// Sockets that lead somewhere in the lab: family, type, protocol.
const SOCKETS: [(i32, i32, i32); 19] = [
    (AF_INET, SOCK_STREAM, 0),
    (AF_INET, SOCK_DGRAM, 0),
    (AF_INET6, SOCK_STREAM, 0),
    (AF_INET6, SOCK_DGRAM, 0),
    (AF_INET, SOCK_STREAM, IPPROTO_MPTCP),
    (AF_INET, SOCK_STREAM, IPPROTO_SCTP),
    (AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP),
    (AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE),
    (AF_INET, SOCK_DGRAM, libc::IPPROTO_ICMP),
    (AF_INET6, SOCK_DGRAM, libc::IPPROTO_ICMPV6),
    (AF_INET, SOCK_RAW, libc::IPPROTO_RAW),
    (AF_UNIX, SOCK_STREAM, 0),
    (AF_UNIX, SOCK_DGRAM, 0),
    (AF_UNIX, SOCK_SEQPACKET, 0),
    (AF_UNIX, SOCK_STREAM, 0),
    (AF_NETLINK, SOCK_RAW, libc::NETLINK_ROUTE),
    (AF_NETLINK, SOCK_RAW, libc::NETLINK_USERSOCK),
    (AF_PACKET, SOCK_DGRAM, 0),
    (AF_PACKET, SOCK_RAW, 0x0300),
];

/// Families whose sockets are made and closed at once: what they reach is no part of the lab.
const MADE_ONLY: [i32; 4] = [AF_VSOCK, AF_ALG, AF_XDP, libc::AF_TIPC];

/// A family that no kernel has yet, with room for those that come.
const FAMILY_END: u64 = 64;

/// Options: level, name, value.
const OPTIONS: [(i32, i32, &[u8]); 22] = [
    (libc::SOL_SOCKET, libc::SO_BROADCAST, &[1, 0, 0, 0]),
    (libc::SOL_SOCKET, libc::SO_REUSEADDR, &[1, 0, 0, 0]),
    (libc::SOL_SOCKET, libc::SO_REUSEPORT, &[1, 0, 0, 0]),
    (libc::SOL_SOCKET, libc::SO_MARK, &[7, 0, 0, 0]),
    (libc::SOL_SOCKET, libc::SO_ZEROCOPY, &[1, 0, 0, 0]),
    (libc::SOL_SOCKET, libc::SO_BINDTODEVICE, b"lab0\0"),
    (libc::SOL_SOCKET, libc::SO_DONTROUTE, &[1, 0, 0, 0]),
    (libc::SOL_SOCKET, libc::SO_PASSCRED, &[1, 0, 0, 0]),
    (libc::SOL_IP, libc::IP_TRANSPARENT, &[1, 0, 0, 0]),
    (libc::SOL_IP, libc::IP_FREEBIND, &[1, 0, 0, 0]),
    (libc::SOL_IP, libc::IP_HDRINCL, &[1, 0, 0, 0]),
    (libc::SOL_IP, libc::IP_MULTICAST_LOOP, &[1, 0, 0, 0]),
    (libc::SOL_IP, libc::IP_TTL, &[1, 0, 0, 0]),
    (libc::SOL_IPV6, libc::IPV6_V6ONLY, &[0, 0, 0, 0]),
    (libc::SOL_TCP, libc::TCP_FASTOPEN_CONNECT, &[1, 0, 0, 0]),
    (libc::SOL_TCP, libc::TCP_FASTOPEN, &[5, 0, 0, 0]),
    (libc::SOL_TCP, libc::TCP_REPAIR, &[1, 0, 0, 0]),
    (libc::SOL_TCP, libc::TCP_NODELAY, &[1, 0, 0, 0]),
    (libc::SOL_TCP, libc::TCP_DEFER_ACCEPT, &[1, 0, 0, 0]),
    (libc::SOL_UDP, libc::UDP_CORK, &[1, 0, 0, 0]),
    (libc::SOL_UDP, libc::UDP_SEGMENT, &[8, 0]),
    (libc::SOL_NETLINK, libc::NETLINK_ADD_MEMBERSHIP, &[1, 0, 0, 0]),
];

/// Flags of a message.
const FLAGS: [i32; 8] = [
    0,
    0,
    libc::MSG_FASTOPEN,
    libc::MSG_MORE,
    libc::MSG_OOB,
    libc::MSG_ZEROCOPY,
    libc::MSG_DONTROUTE,
    libc::MSG_CONFIRM,
];

/// The kind of a call.
pub(super) fn kind(random: &mut Random) -> Kind {
    let all: u64 = Kind::ALL.iter().map(|kind| kind.weight()).sum();
    let mut at = random.below(all);
    for kind in Kind::ALL {
        match at.checked_sub(kind.weight()) {
            Some(rest) => at = rest,
            None => return kind,
        }
    }
    Kind::Socket
}

/// A socket to make, and whether it is kept.
pub(super) fn socket(random: &mut Random) -> ((i32, i32, i32), bool) {
    if !random.once_in(10) {
        return (*random.one_of(&SOCKETS), true);
    }
    let family = match random.once_in(2) {
        true => *random.one_of(&MADE_ONLY),
        false => random.below(FAMILY_END) as i32,
    };
    ((family, random.below(11) as i32, random.below(300) as i32), false)
}

/// An option.
pub(super) fn option(random: &mut Random) -> (i32, i32, &'static [u8]) {
    *random.one_of(&OPTIONS)
}

/// The flags of a message.
pub(super) fn flags(random: &mut Random) -> i32 {
    *random.one_of(&FLAGS)
}
