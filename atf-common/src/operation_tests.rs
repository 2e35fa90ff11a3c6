//! The promise of the verdict ([`crate::promise`]), held against random operations and random lives. The
//! fuzz target `verdict` looks for what these do not find.

extern crate std;

use std::vec::Vec;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;

use super::*;
use crate::promise::{Step, World, keeps, lives, with_network};
use crate::records::{Lease, Run};

/// Few ids, so that they meet; nobody's and the greatest among them.
fn id() -> impl Strategy<Value = u64> {
    prop_oneof![Just(NOBODY), 1_u64..4, Just(u64::MAX)]
}

/// Numbers as the kernel has them, and others.
fn number() -> impl Strategy<Value = u32> {
    prop_oneof![0_u32..64, any::<u32>()]
}

fn operation() -> impl Strategy<Value = Operation> {
    let maybe = || proptest::option::of(id());
    prop_oneof![
        Just(Operation::Never),
        Just(Operation::Always),
        (number(), number(), number()).prop_map(|(family, kind, protocol)| Operation::Create {
            family,
            kind,
            protocol
        }),
        (number(), number(), number(), id(), id()).prop_map(
            |(family, kind, protocol, network, host)| Operation::CreateInet {
                family,
                kind,
                protocol,
                network,
                host
            }
        ),
        // Of those that could be allowed, more than chance would give.
        (Just(2_u32), Just(1_u32), Just(6_u32), id(), id()).prop_map(
            |(family, kind, protocol, network, host)| Operation::CreateInet {
                family,
                kind,
                protocol,
                network,
                host
            }
        ),
        (maybe(), 0_u32..4, 5_u32..8, id(), any::<bool>()).prop_map(
            |(stamped_for, kind, protocol, network, is_loopback)| Operation::Address {
                stamped_for,
                kind,
                protocol,
                network,
                is_loopback
            }
        ),
        maybe().prop_map(|stamped_for| Operation::Traffic { stamped_for }),
        (maybe(), 0_u32..4)
            .prop_map(|(stamped_for, interface)| Operation::Packet { stamped_for, interface }),
        (maybe(), maybe()).prop_map(|(marked_for, owner)| Operation::Connect { marked_for, owner }),
        maybe().prop_map(|owner| Operation::Reach { owner }),
    ]
}

fn facts() -> impl Strategy<Value = (Facts, u64)> {
    // Close to each other, so that each end is met from both sides.
    let time = || prop_oneof![0_u64..5, any::<u64>()];
    let run = proptest::option::of((time(), time(), id()));
    let latched = proptest::option::of(0_u64..2);
    (run, any::<bool>(), latched, proptest::option::of(time()), time()).prop_map(
        |(run, deny, latched_boot_ns, lease, now)| {
            let run = run.map(|(end_boot_ms, token_boot_ms, netns_cookie)| Run {
                end_boot_ms,
                token_boot_ms,
                netns_cookie,
            });
            let lease = lease.map(|until_boot_ms| Lease { until_boot_ms });
            (Facts { run, deny, latched_boot_ns, lease }, now)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn nothing_is_allowed_but_what_is_promised(
        run in id(),
        (facts, now) in facts(),
        operation in operation(),
    ) {
        keeps(run, &facts, now, operation);
    }

    #[test]
    fn a_live_run_is_allowed_what_is_promised(
        run in id(),
        network in id(),
        operation in operation(),
    ) {
        keeps(run, &with_network(network), 10, operation);
    }
}

/// Every family that a `sa_family_t` of today names, with room; every type; every IP protocol.
fn all_sockets() -> impl Iterator<Item = (u32, u32, u32)> {
    (0..256).flat_map(|family| {
        (0..16).flat_map(move |kind| (0..512).map(move |protocol| (family, kind, protocol)))
    })
}

#[test]
fn of_all_sockets_there_are_five_kinds_that_a_run_may_make() {
    let may = |&(family, kind, protocol): &(u32, u32, u32)| {
        allowed(1, NO_NETWORK, Operation::Create { family, kind, protocol }).is_ok()
    };
    let allowed_ones: Vec<_> = all_sockets().filter(may).collect();
    // Of unix sockets, the protocol means nothing; of netlink, the type.
    assert_eq!(allowed_ones.iter().filter(|(family, ..)| *family == AF_UNIX).count(), 3 * 512);
    let rest: Vec<_> = allowed_ones.iter().filter(|(family, ..)| *family != AF_UNIX).collect();
    assert_eq!(rest.len(), 16);
    assert!(rest.iter().all(|(family, _, protocol)| (*family, *protocol) == (AF_NETLINK, 0)));
    assert!((0..=u32::from(u16::MAX)).filter(|family| is_local(*family)).eq([1, 16]));
}

#[test]
fn a_loopback_of_its_own_adds_streams_of_tcp_and_no_other_socket() {
    let with = |own: u64, operation| allowed(1, own, operation).is_ok();
    let create = |(family, kind, protocol)| Operation::Create { family, kind, protocol };
    let more: Vec<_> = all_sockets()
        .filter(|socket| with(7, create(*socket)) && !with(NO_NETWORK, create(*socket)))
        .collect();
    assert_eq!(more, [(2, 1, 0), (2, 1, 6), (10, 1, 0), (10, 1, 6)]);
    // The hook that knows the network sees the protocol that the kernel has chosen.
    let here = |(family, kind, protocol), network, host| {
        with(7, Operation::CreateInet { family, kind, protocol, network, host })
    };
    let made: Vec<_> = all_sockets().filter(|socket| here(*socket, 7, 1)).collect();
    assert_eq!(made, [(2, 1, 6), (10, 1, 6)]);
    for (name, network, host) in
        [("another network", 8, 1), ("none", NO_NETWORK, 1), ("the host's", 7, 7)]
    {
        assert_eq!(
            all_sockets().filter(|socket| here(*socket, network, host)).count(),
            0,
            "{name}"
        );
    }
    let nowhere =
        Operation::CreateInet { family: 2, kind: 1, protocol: 6, network: NO_NETWORK, host: 1 };
    assert!(!with(NO_NETWORK, nowhere), "no cookie is nobody's network");
}

fn life() -> impl Strategy<Value = Vec<Step>> {
    let step = (0_u8..7, 0_u64..4, 0_usize..64, 0_usize..64, 0_u64..4);
    proptest::collection::vec(step, 1..200)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn however_long_they_live_runs_end_up_with_nothing_of_others(life in life()) {
        let _caged = lives(life);
    }
}

/// The control: the model shows what it would show, if the verdict let it.
#[test]
fn the_same_world_without_a_verdict_is_full_of_what_is_not_theirs() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut foreign, mut own) = (0, 0);
    for _ in 0..50 {
        let life = life().new_tree(&mut runner).expect("a life").current();
        let mut free = World::default();
        for step in &life {
            free.step(*step, |_, _| true);
        }
        foreign += free.foreign;
        own += lives(life).own;
    }
    assert!(foreign > 100, "{foreign}");
    assert!(own > 100, "{own}: the verdict allows nothing at all");
}
