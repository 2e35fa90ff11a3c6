//! Links, addresses and routes of the calling thread's namespace.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType, netdevice};

use super::netlink::Message;

const NEW_LINK: u16 = 16;
const NEW_ADDRESS: u16 = 20;
const NEW_ROUTE: u16 = 24;

const LINK_NAME: u16 = 3;
const LINK_INFO: u16 = 18;
const LINK_NAMESPACE: u16 = 28;
const INFO_KIND: u16 = 1;
const INFO_DATA: u16 = 2;
const VETH_PEER: u16 = 1;

const ADDRESS: u16 = 1;
const ADDRESS_LOCAL: u16 = 2;
const ADDRESS_FLAGS: u16 = 8;
/// No duplicate address detection: the lab is nobody else's, and detection takes a second.
const NO_DETECTION: u32 = 0x02;

const ROUTE_TO: u16 = 1;
const ROUTE_LINK: u16 = 4;

/// Makes a pair of links: `name` here, `peer` in the other namespace.
pub fn make_pair(name: &str, peer: &str, other: BorrowedFd<'_>) -> io::Result<()> {
    let other = other.as_raw_fd().to_ne_bytes();
    Message::new(NEW_LINK, &about(0, 0))
        .attribute(LINK_NAME, &terminated(name))
        .nest(LINK_INFO, |info| {
            info.attribute(INFO_KIND, b"veth").nest(INFO_DATA, |data| {
                data.nest(VETH_PEER, |veth| {
                    veth.raw(&about(0, 0))
                        .attribute(LINK_NAME, &terminated(peer))
                        .attribute(LINK_NAMESPACE, &other)
                })
            })
        })
        .send()
}

/// Sets a link up.
pub fn up(name: &str) -> io::Result<()> {
    const UP: u32 = 1;
    change_link(name, UP)
}

/// Gives a link an address.
pub fn add_address(name: &str, address: IpAddr, prefix_bits: u8) -> io::Result<()> {
    let (family, bytes) = split(address);
    let mut fixed = vec![family, prefix_bits, 0, 0];
    fixed.extend(index(name)?.to_ne_bytes());
    Message::new(NEW_ADDRESS, &fixed)
        .attribute(ADDRESS_LOCAL, &bytes)
        .attribute(ADDRESS, &bytes)
        .attribute(ADDRESS_FLAGS, &NO_DETECTION.to_ne_bytes())
        .send()
}

/// Makes one address reachable over a link.
pub(super) fn add_route(name: &str, to: IpAddr) -> io::Result<()> {
    const MAIN_TABLE: u8 = 254;
    const BY_BOOT: u8 = 3;
    const SCOPE_LINK: u8 = 253;
    const UNICAST: u8 = 1;
    let (family, bytes) = split(to);
    let bits = bytes.len() as u8 * 8;
    let fixed = [family, bits, 0, 0, MAIN_TABLE, BY_BOOT, SCOPE_LINK, UNICAST, 0, 0, 0, 0];
    Message::new(NEW_ROUTE, &fixed)
        .attribute(ROUTE_TO, &bytes)
        .attribute(ROUTE_LINK, &index(name)?.to_ne_bytes())
        .send()
}

/// The number of a link.
pub fn index(name: &str) -> io::Result<u32> {
    let (family, kind) = (AddressFamily::UNIX, SocketType::DGRAM);
    let any = rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
    Ok(netdevice::name_to_index(&any, name)?)
}

fn change_link(name: &str, flags: u32) -> io::Result<()> {
    Message::new(NEW_LINK, &about(index(name)?, flags)).send()
}

/// `struct ifinfomsg`: which link, and which flags to set.
fn about(index: u32, flags: u32) -> [u8; 16] {
    let mut fixed = [0; 16];
    fixed[4..8].copy_from_slice(&index.to_ne_bytes());
    fixed[8..12].copy_from_slice(&flags.to_ne_bytes());
    fixed[12..16].copy_from_slice(&flags.to_ne_bytes());
    fixed
}

fn split(address: IpAddr) -> (u8, Vec<u8>) {
    match address {
        IpAddr::V4(v4) => (libc::AF_INET as u8, v4.octets().to_vec()),
        IpAddr::V6(v6) => (libc::AF_INET6 as u8, v6.octets().to_vec()),
    }
}

fn terminated(name: &str) -> Vec<u8> {
    [name.as_bytes(), &[0]].concat()
}
