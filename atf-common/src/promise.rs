//! What the cage promises of the verdict: nothing but the run's own marked gateway, its own sockets and its
//! registered loopback is ever allowed. Stated twice, in other words than the code: for any single operation,
//! and for long lives of several runs in a world with others, where it must hold of what they end up with.
//! For the random tests and the fuzz target `verdict` alone: no build that is shipped has it.

extern crate std;

use std::vec::Vec;

use crate::limits::LEASE_AHEAD_MAX_MS;
use crate::operation::{AF_INET, AF_UNIX, NOBODY, Operation, judge};
use crate::records::{Lease, Run};
use crate::verdict::Facts;

/// What the cage promises, in other words than the code.
#[must_use]
pub fn promised(run: u64, facts: &Facts, now: u64, operation: Operation) -> bool {
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
        Operation::Address { stamped_for, kind, protocol, network: of, is_loopback } => {
            let here = is_loopback && of == network;
            here && network != 0 && (kind, protocol) == (1, 6) && own(stamped_for)
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

/// The verdict on one operation, held against the promise. Says whether it is allowed.
///
/// # Panics
/// When the verdict is not the one that is promised.
pub fn keeps(run: u64, facts: &Facts, now: u64, operation: Operation) -> bool {
    let found = judge(run, facts, now, operation).is_ok();
    let expected = promised(run, facts, now, operation);
    assert_eq!(found, expected, "{operation:?} of the run {run} at {now}, with {facts:?}");
    found
}

/// The facts of a live run at 10 ms, with a loopback of its own in this network.
#[must_use]
pub fn with_network(netns_cookie: u64) -> Facts {
    Facts {
        run: Some(Run { end_boot_ms: 100, token_boot_ms: 100, netns_cookie }),
        deny: false,
        latched_boot_ns: Some(0),
        lease: Some(Lease { until_boot_ms: 100 }),
    }
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
pub struct World {
    sockets: Vec<Socket>,
    /// Who holds which socket, beside its maker.
    held: Vec<(u64, usize)>,
    /// How often a run got through to something of another's.
    pub foreign: u32,
    /// How often a run got through to something of its own.
    pub own: u32,
}

/// What happens next: what (0 to 6), who does it (0 to 3), with which two sockets, and to whom.
pub type Step = (u8, u64, usize, usize, u64);

impl World {
    /// One step. `judge` stands for the kernel program: an operation of a run happens only if it says
    /// so, one of the others always does.
    pub fn step(
        &mut self,
        (what, who, one, two, whom): Step,
        judge: impl Fn(u64, Operation) -> bool,
    ) {
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

/// Runs live such a life under the verdict, and end up with nothing of others.
///
/// # Panics
/// When one got through to something that is not its own.
pub fn lives(life: impl IntoIterator<Item = Step>) -> World {
    let mut caged = World::default();
    for step in life {
        caged.step(step, |run, operation| judge(run, &with_network(run), 10, operation).is_ok());
    }
    assert_eq!(caged.foreign, 0, "{caged:?}");
    caged
}
