//! What is the loopback's own: its interface, the brand of its sockets, and its INET addresses, as the hooks of
//! addresses see them: words in the order of the network.

/// The number of the loopback interface in every network (LOOPBACK_IFINDEX, include/net/flow.h).
pub const LOOPBACK_INTERFACE: u32 = 1;

/// The first byte of every address of 127.0.0.0/8.
const NET: u8 = 127;

/// The third word of an IPv4 address in its IPv6 form, `::ffff:a.b.c.d`.
const MAPPED: u32 = 0xffff_u32.to_be();

/// The last word of `::1`.
const ONE: u32 = 1_u32.to_be();

/// What a socket on the loopback of `run` has for its `SO_MARK`: the low half of the run's id. The kernel gives no two
/// cgroups the same one while a socket is left of either (`kernfs_new_node`, fs/kernfs/dir.c), and it is never 0.
#[inline(always)]
pub const fn brand(run: u64) -> u32 {
    run as u32
}

/// `run`, if a socket that was born in it has its brand. What was never branded is nobody's.
#[inline(always)]
pub const fn branded_for(run: u64, found: u32) -> Option<u64> {
    if found != 0 && found == brand(run) { Some(run) } else { None }
}

/// Whether an IPv4 address is in 127.0.0.0/8.
#[inline(always)]
pub const fn is_loopback4(address: u32) -> bool {
    address.to_ne_bytes()[0] == NET
}

/// Whether an IPv6 address is `::1`, or an address of 127.0.0.0/8 in its IPv6 form.
#[inline(always)]
pub const fn is_loopback6(address: [u32; 4]) -> bool {
    let [first, second, third, last] = address;
    if first != 0 || second != 0 {
        return false;
    }
    (third == 0 && last == ONE) || (third == MAPPED && is_loopback4(last))
}

#[cfg(test)]
mod tests {
    extern crate std;

    use core::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    fn words(address: Ipv6Addr) -> [u32; 4] {
        let bytes = address.octets();
        core::array::from_fn(|n| {
            u32::from_ne_bytes(core::array::from_fn(|byte| bytes[4 * n + byte]))
        })
    }

    #[test]
    fn these_are_the_loopbacks_and_these_are_not() {
        for (address, expected) in [
            ("127.0.0.1", true),
            ("127.255.255.254", true),
            ("0.0.0.0", false),
            ("1.0.0.127", false),
            ("126.0.0.1", false),
            ("128.0.0.1", false),
            ("169.254.169.254", false),
        ] {
            let address: Ipv4Addr = address.parse().expect("an address");
            let word = u32::from_ne_bytes(address.octets());
            assert_eq!(is_loopback4(word), expected, "{address}");
            assert_eq!(is_loopback6(words(address.to_ipv6_mapped())), expected, "mapped {address}");
            assert!(!is_loopback6(words(address.to_ipv6_compatible())), "compatible {address}");
        }
        for (address, expected) in [
            ("::1", true),
            ("::", false),
            ("::2", false),
            ("::127.0.0.1", false),
            ("1::1", false),
            ("0:0:1::1", false),
            ("64:ff9b::127.0.0.1", false),
            ("fe80::1", false),
        ] {
            let address: Ipv6Addr = address.parse().expect("an address");
            assert_eq!(is_loopback6(words(address)), expected, "{address}");
        }
    }

    #[test]
    fn a_socket_without_a_brand_or_with_anothers_is_nobodys() {
        let run = 7 << 32 | 5;
        assert_eq!(branded_for(run, brand(run)), Some(run));
        for (run, found) in [(run, 0), (run, 6), (run, 7), (7 << 32, 0), (0, 0), (0, 5)] {
            assert_eq!(branded_for(run, found), None, "{found} in {run}");
        }
    }

    proptest! {
        #[test]
        fn every_address_is_judged_as_the_standard_library_does(four: [u8; 4], six: [u8; 16]) {
            let four = Ipv4Addr::from(four);
            prop_assert_eq!(is_loopback4(u32::from_ne_bytes(four.octets())), four.is_loopback());
            let six = Ipv6Addr::from(six);
            let mapped = six.to_ipv4_mapped().is_some_and(|four| four.is_loopback());
            prop_assert_eq!(is_loopback6(words(six)), six.is_loopback() || mapped);
        }
    }
}
