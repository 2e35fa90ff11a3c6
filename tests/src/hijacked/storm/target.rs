//! Where a storm goes: every canary of the lab that a socket can reach, sockets of the attacker's own,
//! and addresses that are wrong.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::lab::address;
use crate::random::Random;

/// Names of the attacker's own, by path and without one: few, so that they meet.
const OWN: usize = 4;

/// Addresses as the kernel takes them.
pub(super) struct Targets {
    inet: Vec<Vec<u8>>,
    unix: Vec<Vec<u8>>,
    own: Vec<Vec<u8>>,
}

impl Targets {
    /// Those of the lab, and some in the folder `own`.
    pub(super) fn new(lab: &Path, own: &Path) -> Self {
        let v4 = [
            address::TCP4,
            address::DNS,
            address::METADATA,
            address::LOOPBACK,
            address::RESOLVER,
            address::UDP_LITE,
            address::SCTP,
            address::SCTP_MESSAGE,
            address::BROADCAST,
            address::MULTICAST,
            address::INBOUND,
        ];
        let v6 = [address::TCP6, address::TCP4_MAPPED, address::LOOPBACK6];
        let mut inet: Vec<Vec<u8>> = v4.into_iter().map(|to| inet_address(to.into())).collect();
        inet.extend(v6.into_iter().map(|to| inet_address(to.into())));
        inet.push(inet_address((Ipv4Addr::UNSPECIFIED, 0).into()));
        inet.push(inet_address((Ipv6Addr::UNSPECIFIED, 0).into()));
        inet.push(inet_address(address::INHERITED));
        // The end of a connection (AF_UNSPEC), and the kernel's end of a netlink socket.
        inet.push(vec![0; 16]);
        inet.push([libc::AF_NETLINK as u8].into_iter().chain([0; 11]).collect());
        let paths = [
            address::UNIX_PATH,
            address::UNIX_VISIBLE,
            address::UNIX_DATAGRAM,
            address::UNIX_DATAGRAM_VISIBLE,
            address::UNIX_SEQPACKET,
        ];
        let mut unix: Vec<Vec<u8>> = paths.map(|path| by_path(&lab.join(path))).to_vec();
        unix.push(by_name(address::ABSTRACT_NAME));
        unix.push(by_name(address::ABSTRACT_DATAGRAM));
        let own = (0..OWN)
            .flat_map(|n| [by_path(&own.join(format!("own-{n}"))), by_name(&format!("own-{n}"))]);
        Self { inet, unix, own: own.collect() }
    }

    /// An address to reach; mostly one that a socket of this family can have.
    pub(super) fn reach(&self, family: i32, random: &mut Random) -> Vec<u8> {
        match (is_unix(family, random), random.once_in(3)) {
            (false, _) => self.inet(random),
            (true, false) => random.one_of(&self.unix).clone(),
            (true, true) => random.one_of(&self.own).clone(),
        }
    }

    /// An address to take: of the unix ones, those of the attacker's own alone.
    pub(super) fn take(&self, family: i32, random: &mut Random) -> Vec<u8> {
        match is_unix(family, random) {
            false => self.inet(random),
            true => random.one_of(&self.own).clone(),
        }
    }

    /// One of the INET addresses, now and then with a byte changed or the end missing.
    fn inet(&self, random: &mut Random) -> Vec<u8> {
        let mut chosen = random.one_of(&self.inet).clone();
        if random.once_in(16) {
            let at = random.below(chosen.len() as u64) as usize;
            if random.once_in(2) {
                chosen.truncate(at);
            } else {
                // A family of another kind of address would read the rest as a path.
                let at = at.max(2).min(chosen.len() - 1);
                chosen[at] ^= 1 << random.below(8);
            }
        }
        chosen
    }
}

/// Whether to take a unix address: as the family has it, but for one time in eight.
fn is_unix(family: i32, random: &mut Random) -> bool {
    (family == libc::AF_UNIX) != random.once_in(8)
}

fn inet_address(to: SocketAddr) -> Vec<u8> {
    let port = to.port().to_be_bytes();
    match to.ip() {
        IpAddr::V4(ip) => {
            let family = (libc::AF_INET as u16).to_ne_bytes();
            [&family[..], &port, &ip.octets(), &[0; 8]].concat()
        }
        IpAddr::V6(ip) => {
            let family = (libc::AF_INET6 as u16).to_ne_bytes();
            [&family[..], &port, &[0; 4], &ip.octets(), &[0; 4]].concat()
        }
    }
}

fn by_path(path: &Path) -> Vec<u8> {
    let family = (libc::AF_UNIX as u16).to_ne_bytes();
    [&family[..], path.as_os_str().as_bytes(), &[0]].concat()
}

fn by_name(name: &str) -> Vec<u8> {
    let family = (libc::AF_UNIX as u16).to_ne_bytes();
    [&family[..], &[0], name.as_bytes()].concat()
}
