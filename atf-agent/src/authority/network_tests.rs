//! Whose loopback a run gets: its own and no other, in the kernel's map for as long as it lives.

use std::num::NonZeroU64;

use super::*;
use crate::sys::network;

impl World {
    fn bridged(&self, run: RunId, cookie: NonZeroU64) -> AuthorityRequest {
        let mut request = self.register(run);
        if let AuthorityRequest::Register { network, .. } = &mut request {
            *network = Some(cookie);
        }
        request
    }

    fn in_the_map(&self, run: RunId) -> u64 {
        let cgroup = self.cgroup(run).0;
        self.map.lock().unwrap()[&cgroup].0.netns_cookie
    }
}

#[test]
fn a_network_stays_with_its_run_through_renewals_and_restarts() {
    let world = World::new();
    let authority = world.start();
    let (with, without) = (RunId::random(), RunId::random());
    let cookie = NonZeroU64::new(u64::MAX).unwrap();
    registered(ask(&authority, world.bridged(with, cookie)));
    registered(ask(&authority, world.register(without)));
    let as_it_should = || (world.in_the_map(with), world.in_the_map(without)) == (u64::MAX, 0);
    assert!(as_it_should(), "registered");
    for run in [with, without] {
        ask(&authority, AuthorityRequest::Renew { run }).unwrap();
    }
    assert!(as_it_should(), "renewed");
    drop(authority);
    world.map.lock().unwrap().values_mut().for_each(|(run, _)| *run = Default::default());
    assert!(!as_it_should(), "the control");
    let authority = world.start();
    assert_eq!(runs(&authority).len(), 2);
    assert!(as_it_should(), "after a restart");
}

#[test]
fn a_network_in_which_others_are_is_refused() {
    let world = World::new();
    let authority = world.start();
    let own = network::cookie().unwrap();
    let free = own.checked_add(1_000_000).unwrap();
    let bridged = |cookie| ask(&authority, world.bridged(RunId::random(), cookie));
    let refused = bridged(own).unwrap_err();
    assert!(refused.contains("not the run's alone"), "the authority's own: {refused}");
    let run = RunId::random();
    registered(ask(&authority, world.bridged(run, free)));
    let refused = bridged(free).unwrap_err();
    assert!(refused.contains("not the run's alone"), "a live run's: {refused}");
    let end = AuthorityRequest::End { run, how: "exit 0".into(), refused: None };
    ask(&authority, end).unwrap();
    registered(bridged(free));
    assert_eq!(runs(&authority).len(), 1, "what was refused left nothing");
}
