//! The addresses of the lab: documentation ranges (RFC 5737, RFC 3849, RFC 3692, RFC 5342), which
//! no real network has, and the metadata address of the clouds.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// The agent's end of the link.
pub const AGENT_V4: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 2);
/// The agent's end of the link.
pub const AGENT_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);
/// The internet.
pub const WORLD_V4: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
/// The internet.
pub const WORLD_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10);
/// The metadata service of a cloud.
pub const METADATA_V4: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

/// A web server.
pub const TCP4: SocketAddrV4 = SocketAddrV4::new(WORLD_V4, 443);
/// A web server.
pub const TCP6: SocketAddrV6 = SocketAddrV6::new(WORLD_V6, 443, 0, 0);
/// The same web server as [`TCP4`], spelled as an IPv6 address.
pub const TCP4_MAPPED: SocketAddrV6 = SocketAddrV6::new(WORLD_V4.to_ipv6_mapped(), 443, 0, 0);
/// Any UDP service.
pub const UDP4: SocketAddrV4 = SocketAddrV4::new(WORLD_V4, 443);
/// A name server.
pub const DNS: SocketAddrV4 = SocketAddrV4::new(WORLD_V4, 53);
/// The metadata service.
pub const METADATA: SocketAddrV4 = SocketAddrV4::new(METADATA_V4, 80);
/// A database beside the agent.
pub const LOOPBACK: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 5432);
/// The same beside the agent on IPv6.
pub const LOOPBACK6: SocketAddrV6 = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 5432, 0, 0);
/// The resolver that systemd puts beside everybody.
pub const RESOLVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, 53), 53);
/// A service that listens on the loopback of the internet's machine alone.
pub const WORLD_LOOPBACK: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 8080);
/// Any UDP service.
pub const UDP6: SocketAddrV6 = SocketAddrV6::new(WORLD_V6, 443, 0, 0);
/// A UDP-Lite service.
pub const UDP_LITE: SocketAddrV4 = SocketAddrV4::new(WORLD_V4, 444);
/// An SCTP service that is connected to, and one that takes messages.
pub const SCTP: SocketAddrV4 = SocketAddrV4::new(WORLD_V4, 445);
/// See [`SCTP`].
pub const SCTP_MESSAGE: SocketAddrV4 = SocketAddrV4::new(WORLD_V4, 446);
/// A DCCP service.
pub const DCCP: SocketAddrV4 = SocketAddrV4::new(WORLD_V4, 447);
/// Everybody on the link.
pub const BROADCAST: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 255), 448);
/// A multicast group (RFC 2365, for organisations).
pub const MULTICAST: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(239, 255, 0, 1), 449);
/// Where the internet calls the agent.
pub const INBOUND: SocketAddrV4 = SocketAddrV4::new(AGENT_V4, 7_070);
/// The peer of the connection that the attacker inherits.
pub const INHERITED: SocketAddr = SocketAddr::V4(SocketAddrV4::new(WORLD_V4, 8443));

/// The protocol of the raw packets: for experiments.
pub const RAW_PROTOCOL: u8 = 253;
/// The protocol of the raw frames: for local experiments.
pub const ETHERTYPE: u16 = 0x88b5;
/// The port of the VSOCK service.
pub const VSOCK_PORT: u32 = 5_005;
/// The abstract name of a local service.
pub const ABSTRACT_NAME: &str = "atf-lab/session-bus";
/// The agent's network interface.
pub const AGENT_LINK: &str = "lab0";

/// The privileged service, under the lab's folder, like docker.sock.
pub const UNIX_PATH: &str = "docker.sock";
/// The folder, under the lab's folder, that is handed to the run.
pub const VISIBLE_FOLDER: &str = "visible";
/// The foreign service in that folder.
pub const UNIX_VISIBLE: &str = "visible/service.sock";

/// Other services under the lab's folder: a datagram socket, a SEQPACKET socket, a named pipe.
pub const UNIX_DATAGRAM: &str = "journal.sock";
/// See [`UNIX_DATAGRAM`].
pub const UNIX_SEQPACKET: &str = "udev.sock";
/// See [`UNIX_DATAGRAM`].
pub const FIFO: &str = "initctl";
/// The foreign datagram service in the visible folder.
pub const UNIX_DATAGRAM_VISIBLE: &str = "visible/journal.sock";
/// The foreign named pipe in the visible folder.
pub const FIFO_VISIBLE: &str = "visible/initctl";
/// The abstract name of a datagram service.
pub const ABSTRACT_DATAGRAM: &str = "atf-lab/notify";

/// The variable of a victim's environment that nobody else knows, and its length.
pub const NONCE: &str = "ATF_LAB_NONCE";
/// See [`NONCE`].
pub const NONCE_BYTES: usize = 32;

/// The name of what the lab shares with everybody on the host; `lab` is its folder.
pub fn shared_name(lab: &std::path::Path) -> String {
    let parent = lab.parent().and_then(|parent| parent.file_name());
    parent.map_or_else(|| "atf-lab".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// What every attempt carries.
pub const SECRET: &[u8] = b"the ledger's secret\n";
