//! The property of the verdict: nothing but the run's own marked gateway, its own sockets and its
//! registered loopback is ever allowed. Stated twice: for any single operation, and for long random lives of several runs in a
//! world with others, where it must hold of what they end up with.

extern crate std;

use std::vec::Vec;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;

use super::*;
use crate::limits::LEASE_AHEAD_MAX_MS;
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
        (maybe(), 0_u32..4, 5_u32..8, any::<bool>()).prop_map(
            |(stamped_for, kind, protocol, is_loopback)| Operation::Address {
                stamped_for,
                kind,
                protocol,
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

/// What the cage promises, in other words than the code.
fn promised(run: u64, facts: &Facts, now: u64, operation: Operation) -> bool {
    let registered = facts.run.is_some_and(|run| run.end_boot_ms.min(run.token_boot_ms) > now);
    let unsealed = !facts.deny && facts.latched_boot_ns == Some(0);
    let awake = facts.lease.is_some_and(|lease| {
        (1..=LEASE_AHEAD_MAX_MS).contains(&lease.until_boot_ms.saturating_sub(now))
    });
    let own = |other: Option<u64>| run != NOBODY && other == Some(run);
    let network = facts.run.map_or(0, |run| run.netns_cookie);
    let inet = |family: u32| [2, 10].contains(&family) && network != 0;
    let harmless = match operation {
        Operation::Never => false,
        Operation::Always => true,
        Operation::Create { family: 1, kind, .. } => [1, 2, 5].contains(&kind),
        Operation::Create { family: 16, protocol, .. } => protocol == 0,
        Operation::Create { family, kind, protocol } => {
            inet(family) && kind == 1 && [0, 6].contains(&protocol)
        }
        Operation::CreateInet { family, kind, protocol, network: of, host } => {
            inet(family) && (kind, protocol) == (1, 6) && of == network && of != host
        }
        Operation::Address { stamped_for, kind, protocol, is_loopback } => {
            is_loopback && network != 0 && (kind, protocol) == (1, 6) && own(stamped_for)
        }
        Operation::Traffic { stamped_for } => network != 0 && own(stamped_for),
        Operation::Packet { stamped_for, interface } => {
            interface == 1 && network != 0 && own(stamped_for)
        }
        Operation::Connect { marked_for, owner } => own(marked_for) || own(owner),
        Operation::Reach { owner } => own(owner),
    };
    run != NOBODY && registered && unsealed && awake && harmless
}

/// The facts of a live run, with a loopback of its own in this network.
fn with_network(netns_cookie: u64) -> Facts {
    Facts {
        run: Some(Run { end_boot_ms: 100, token_boot_ms: 100, netns_cookie }),
        deny: false,
        latched_boot_ns: Some(0),
        lease: Some(Lease { until_boot_ms: 100 }),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn nothing_is_allowed_but_what_is_promised(
        run in id(),
        (facts, now) in facts(),
        operation in operation(),
    ) {
        let found = judge(run, &facts, now, operation).is_ok();
        prop_assert_eq!(found, promised(run, &facts, now, operation));
    }

    #[test]
    fn a_live_run_is_allowed_what_is_promised(
        run in id(),
        network in id(),
        operation in operation(),
    ) {
        let facts = with_network(network);
        let found = judge(run, &facts, 10, operation).is_ok();
        prop_assert_eq!(found, promised(run, &facts, 10, operation));
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

/// A socket of the world: whom the kernel programs know it by, and what only the model knows.
#[derive(Debug, Clone, Copy)]
struct Socket {
    owner: Option<u64>,
    marked_for: Option<u64>,
    /// The run that it is stamped for, as a socket of INET.
    stamped_for: Option<u64>,
    /// The truth: who made it. [`NOBODY`] is anybody outside of the cage.
    maker: u64,
    /// The truth: in which network. Unix sockets are in none.
    network: Option<u64>,
}

/// The network of the host in the model; the run `n` has network `n`.
const HOST: u64 = 9;

/// Runs 1 to 3, others, and what came of them.
#[derive(Debug, Default)]
struct World {
    sockets: Vec<Socket>,
    /// Who holds which socket, beside its maker.
    held: Vec<(u64, usize)>,
    /// How often a run got through to something of another's, and how often to its own.
    foreign: u32,
    own: u32,
}

/// What happens next: who does what with which two sockets.
type Step = (u8, u64, usize, usize, u64);

impl World {
    /// One step. `judge` stands for the kernel program: an operation of a run happens only if it says
    /// so, one of the others always does.
    fn step(&mut self, (what, who, one, two, whom): Step, judge: impl Fn(u64, Operation) -> bool) {
        let caged = who != NOBODY;
        if what == 0 || self.sockets.is_empty() {
            let create = Operation::Create { family: AF_UNIX, kind: 1, protocol: 0 };
            if !caged || judge(who, create) {
                self.add(who, None);
            }
            return;
        }
        if what == 5 {
            return self.make_inet(who, whom, one, judge);
        }
        let (one, two) = (one % self.sockets.len(), two % self.sockets.len());
        let target = self.sockets[two];
        match what {
            // The gateway, which is outside, makes a listener for a run.
            1 => self.add(NOBODY, Some(whom)),
            // A connection: it needs no hold of the listener.
            2 => {
                let (marked_for, owner) = (target.marked_for, target.owner);
                if caged && judge(who, Operation::Connect { marked_for, owner }) {
                    self.reached(who, target);
                    if target.marked_for != Some(who) {
                        self.add(who, None);
                    }
                }
            }
            // Bytes through a socket of INET that it holds, to wherever that is connected.
            6 => {
                let holds = target.maker == who || self.held.contains(&(who, two));
                let through = Operation::Traffic { stamped_for: target.stamped_for };
                if caged && holds && target.network.is_some() && judge(who, through) {
                    self.reached(who, target);
                }
            }
            // A datagram.
            3 => {
                if caged && judge(who, Operation::Reach { owner: target.owner }) {
                    self.reached(who, target);
                }
            }
            // A descriptor is handed over by whoever holds it.
            _ => {
                let given = self.sockets[one];
                let holds = given.maker == who || self.held.contains(&(who, one));
                let receives = Operation::Reach { owner: given.owner };
                if holds && (whom == NOBODY || judge(whom, receives)) {
                    self.held.push((whom, one));
                    if whom != NOBODY {
                        self.reached(whom, given);
                    }
                }
            }
        }
    }

    fn add(&mut self, maker: u64, marked_for: Option<u64>) {
        let owner = (maker != NOBODY).then_some(maker);
        self.sockets.push(Socket { owner, marked_for, stamped_for: None, maker, network: None });
    }

    /// A socket of INET, in any network: in the model nothing else keeps a run in its own. Somebody
    /// outside makes one in whatever network, a run's too.
    fn make_inet(
        &mut self,
        who: u64,
        network: u64,
        protocol: usize,
        judge: impl Fn(u64, Operation) -> bool,
    ) {
        let protocol = if protocol.is_multiple_of(2) { 6 } else { 17 };
        let network = if network == NOBODY { HOST } else { network };
        let create =
            Operation::CreateInet { family: AF_INET, kind: 1, protocol, network, host: HOST };
        if who == NOBODY || judge(who, create) {
            let run = (who != NOBODY).then_some(who);
            self.sockets.push(Socket {
                owner: run,
                marked_for: None,
                stamped_for: run,
                maker: who,
                network: Some(network),
            });
        }
    }

    fn reached(&mut self, run: u64, socket: Socket) {
        let own_network = socket.network.is_none_or(|network| network == run);
        if (socket.maker == run && own_network) || socket.marked_for == Some(run) {
            self.own += 1;
        } else {
            self.foreign += 1;
        }
    }
}

fn life() -> impl Strategy<Value = Vec<Step>> {
    let step = (0_u8..7, 0_u64..4, 0_usize..64, 0_usize..64, 0_u64..4);
    proptest::collection::vec(step, 1..200)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn however_long_they_live_runs_end_up_with_nothing_of_others(life in life()) {
        let mut caged = World::default();
        for step in life {
            caged.step(step, |run, operation| {
                judge(run, &with_network(run), 10, operation).is_ok()
            });
        }
        prop_assert_eq!(caged.foreign, 0, "{:?}", caged);
    }
}

/// The control: the model shows what it would show, if the verdict let it.
#[test]
fn the_same_world_without_a_verdict_is_full_of_what_is_not_theirs() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut foreign, mut own) = (0, 0);
    for _ in 0..50 {
        let life = life().new_tree(&mut runner).expect("a life").current();
        let (mut caged, mut free) = (World::default(), World::default());
        for step in life {
            caged
                .step(step, |run, operation| judge(run, &with_network(run), 10, operation).is_ok());
            free.step(step, |_, _| true);
        }
        foreign += free.foreign;
        own += caged.own;
    }
    assert!(foreign > 100, "{foreign}");
    assert!(own > 100, "{own}: the verdict allows nothing at all");
}
