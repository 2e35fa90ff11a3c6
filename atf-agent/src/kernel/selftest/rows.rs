//! Which rows of the matrix a host tries on itself: those that are one socket operation.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use libc::{
    AF_ALG, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_TIPC, AF_VSOCK, AF_XDP, IPPROTO_ICMP,
    IPPROTO_ICMPV6, IPPROTO_MPTCP, IPPROTO_RAW, IPPROTO_SCTP, IPPROTO_UDPLITE, SOCK_DGRAM,
    SOCK_RAW, SOCK_SEQPACKET, SOCK_STREAM,
};

use super::targets::Targets;
use crate::sys::canary::Attempt;

/// Families and kinds that libc does not name for this target, of linux/socket.h and linux/net.h.
const AF_RDS: i32 = 21;
const AF_KCM: i32 = 41;
const AF_SMC: i32 = 43;
const SOCK_DCCP: i32 = 6;
const IPPROTO_DCCP: i32 = 33;

/// One row, as this host tries it.
pub(super) struct Trial {
    /// The row's name in the matrix.
    pub(super) id: &'static str,
    pub(super) attempt: Attempt,
}

/// All of them, against `targets`.
///
/// # Errors
/// When a target has no address.
pub(super) fn trials(targets: &Targets) -> io::Result<Vec<Trial>> {
    let (tcp4, tcp6, udp4, udp6) =
        (targets.tcp4()?, targets.tcp6()?, targets.udp4()?, targets.udp6()?);
    let (connect, send, socket) = (Attempt::connect, Attempt::send, Attempt::socket);
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, tcp4.port()));
    let lite = |attempt: Attempt| attempt.with_protocol(IPPROTO_UDPLITE);
    let netlink = |protocol| socket(AF_NETLINK, SOCK_RAW, protocol);
    let rows = [
        ("tcp4", connect(SOCK_STREAM, tcp4)),
        ("tcp6", connect(SOCK_STREAM, tcp6)),
        ("tcp4_mapped", connect(SOCK_STREAM, mapped(tcp4))),
        ("loopback", connect(SOCK_STREAM, tcp4)),
        ("loopback6", connect(SOCK_STREAM, tcp6)),
        ("loopback_any", connect(SOCK_STREAM, any)),
        ("inbound", Attempt::bind((Ipv4Addr::LOCALHOST, 0).into())),
        ("mptcp", connect(SOCK_STREAM, tcp4).with_protocol(IPPROTO_MPTCP)),
        ("sctp", socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP)),
        ("sctp_message", socket(AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP)),
        ("dccp", socket(AF_INET, SOCK_DCCP, IPPROTO_DCCP)),
        ("udp4", send(SOCK_DGRAM, udp4)),
        ("udp4_connected", connect(SOCK_DGRAM, udp4)),
        ("udp4_mapped", send(SOCK_DGRAM, mapped(udp4))),
        ("udp6", send(SOCK_DGRAM, udp6)),
        ("udp6_connected", connect(SOCK_DGRAM, udp6)),
        ("udplite4", lite(send(SOCK_DGRAM, udp4))),
        ("udplite4_connected", lite(connect(SOCK_DGRAM, udp4))),
        ("raw", socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)),
        ("raw_header", socket(AF_INET, SOCK_RAW, IPPROTO_RAW)),
        ("raw6", socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6)),
        ("ping4", socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP)),
        ("ping6", socket(AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6)),
        ("packet", socket(AF_PACKET, SOCK_DGRAM, 0)),
        ("packet_raw", socket(AF_PACKET, SOCK_RAW, 0)),
        ("af_xdp", socket(AF_XDP, SOCK_RAW, 0)),
        ("vsock", socket(AF_VSOCK, SOCK_STREAM, 0)),
        ("netlink_user", netlink(libc::NETLINK_USERSOCK)),
        ("netlink_diag", netlink(libc::NETLINK_SOCK_DIAG)),
        ("netlink_xfrm", netlink(libc::NETLINK_XFRM)),
        ("netlink_audit", netlink(libc::NETLINK_AUDIT)),
        ("netlink_connector", netlink(libc::NETLINK_CONNECTOR)),
        ("netlink_netfilter", netlink(libc::NETLINK_NETFILTER)),
        ("netlink_uevent", netlink(libc::NETLINK_KOBJECT_UEVENT)),
        ("netlink_generic", netlink(libc::NETLINK_GENERIC)),
        ("af_alg", socket(AF_ALG, SOCK_SEQPACKET, 0)),
        ("af_tipc", socket(AF_TIPC, SOCK_DGRAM, 0)),
        ("af_rds", socket(AF_RDS, SOCK_SEQPACKET, 0)),
        ("af_smc", socket(AF_SMC, SOCK_STREAM, 0)),
        ("af_kcm", socket(AF_KCM, SOCK_DGRAM, 0)),
        ("unix_abstract", Attempt::connect_unix(targets.stream())),
        ("unix_datagram_abstract", Attempt::send_unix(targets.datagram())),
    ];
    Ok(rows.into_iter().map(|(id, attempt)| Trial { id, attempt }).collect())
}

/// The same address in its IPv6 form.
fn mapped(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) => (v4.ip().to_ipv6_mapped(), v4.port()).into(),
        v6 => v6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::matrix;
    use crate::sys::canary::ATTEMPTS_MAX;

    #[test]
    fn every_trial_is_a_row_of_the_matrix_that_a_program_closes() {
        let (rows, trials) = (matrix::rows(), trials(&Targets::open().unwrap()).unwrap());
        // And the one that has to be allowed.
        assert!(trials.len() < ATTEMPTS_MAX);
        for trial in trials {
            let row = rows.iter().find(|row| row.id == trial.id);
            let row = row.unwrap_or_else(|| panic!("{} is no row", trial.id));
            let by_program = |control: &String| !control.starts_with("C ");
            assert!(row.closed_by.iter().any(by_program), "{row:?}");
        }
    }
}
