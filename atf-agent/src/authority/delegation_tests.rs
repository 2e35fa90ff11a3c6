//! The attacks of a run below another: to have more than the run above it, or to outlive it.

use super::*;
use crate::call::{Chain, Narrowing};
use crate::identity::Claims;

const CHIEF: &str = "tools = [\"ledger.query\", \"ledger.adjust\"]\nresources = [\"f+file:///a\", \"f+file:///b\"]\n\
    [narrow.\"ledger.adjust\"]\nrequired = [\"reason\"]\n[task_words]\n\"ledger.adjust\" = [\"refund\"]\n";
const HELPER: &str = "tools = [\"ledger.adjust\", \"ledger.other\", \"ledger.query\"]\n\
    resources = [\"f+file:///b\", \"f+file:///c\"]\n[narrow.\"ledger.adjust\".properties.reason]\nmaxLength = 9\n";

fn world() -> World {
    let mut world = World::new();
    world.ids.pool_size = 8;
    for (agent, text) in [("chief", CHIEF), ("helper", HELPER)] {
        world.manifest(agent, text);
    }
    world
}

impl World {
    fn manifest(&self, agent: &str, text: &str) {
        std::fs::write(self.places.agents_dir.join(format!("{agent}.toml")), text).unwrap();
    }

    /// A run of the chief for a task with this text.
    fn chief(&self, authority: &InTurn<Authority>, task: &str) -> RunId {
        let run = RunId::random();
        let named = crate::gate::name(&[task, ""]);
        let mandate = Mandate::Person { user: "alice".into(), task: "T-1".into(), named };
        registered(ask(authority, self.of("chief", run, mandate)));
        run
    }

    /// A request for a run of the helper below another.
    fn below(&self, run: RunId, parent: RunId) -> AuthorityRequest {
        self.of("helper", run, Mandate::Run { parent })
    }

    fn of(&self, name: &str, id: RunId, mandate: Mandate) -> AuthorityRequest {
        AuthorityRequest::Register {
            run: id,
            cgroup: self.cgroup(id),
            agent: name.parse().unwrap(),
            mandate,
            prompt: Digest::of(b"prompt"),
            lifetime_s: Some(3_600),
            network: None,
        }
    }

    fn claims(&self, token: &Token) -> Claims {
        let settings = Settings::default();
        let jwks = std::fs::read_to_string(self.places.jwks()).unwrap();
        let verifier = Verifier::from_jwks(&jwks, &settings.issuer, &settings.audience).unwrap();
        verifier.verify(&token.jwt, clock::now_unix_s()).unwrap()
    }
}

fn renewed(authority: &InTurn<Authority>, run: RunId) -> Result<Token, String> {
    match ask(authority, AuthorityRequest::Renew { run })? {
        AuthorityReply::Renewed { token } => Ok(token),
        other => panic!("expected a token, found {other:?}"),
    }
}

fn names(claims: &Claims) -> Vec<&str> {
    claims.entitlements.allowed_tools.iter().map(|tool| tool.as_str()).collect()
}

#[test]
fn a_run_below_another_has_what_both_have_for_the_same_person_and_task() {
    let world = world();
    let authority = world.start();
    let chief = world.chief(&authority, "refund it");
    let run = RunId::random();
    let (_, token) = registered(ask(&authority, world.below(run, chief)));
    let claims = world.claims(&token);
    assert_eq!(names(&claims), ["ledger.adjust", "ledger.query"]);
    assert_eq!(claims.entitlements.reach.resources.len(), 1);
    let adjust = "ledger.adjust".parse().unwrap();
    assert_eq!(claims.entitlements.narrowing.of(&adjust).len(), 2, "both fragments hold");
    assert_eq!((claims.context.parent_user.raw(), claims.context.task_id.raw()), ("alice", "T-1"));
    let above: Vec<_> = claims.act.iter().map(|d| (d.agent.as_str(), d.run)).collect();
    assert_eq!(above, [("chief", chief)]);
    assert_eq!(world.claims(&renewed(&authority, chief).unwrap()).act, Chain::default());
    let events = world.events.lock().unwrap().clone();
    let chain = |event: &Event| match event {
        Event::RunRegistered { run: found, chain, .. } if *found == run => Some(chain.clone()),
        _ => None,
    };
    assert_eq!(events.iter().find_map(chain), Some(claims.act), "the log tells who handed it on");
}

/// The attack: a run that has read an injection starts a helper that may do what it may not.
#[test]
fn a_task_that_says_nothing_of_a_tool_has_none_below_it_either() {
    let world = world();
    let authority = world.start();
    let chief = world.chief(&authority, "what is the balance?");
    let (_, token) = registered(ask(&authority, world.below(RunId::random(), chief)));
    assert_eq!(names(&world.claims(&token)), ["ledger.query"]);
}

#[test]
fn what_the_run_above_loses_the_one_below_loses_at_its_next_token() {
    let world = world();
    let authority = world.start();
    let chief = world.chief(&authority, "refund it");
    let run = RunId::random();
    registered(ask(&authority, world.below(run, chief)));
    world.manifest(
        "chief",
        "tools = [\"ledger.query\"]\n[narrow.\"ledger.query\"]\nrequired = [\"sql\"]\n",
    );
    let claims = world.claims(&renewed(&authority, run).unwrap());
    assert_eq!(names(&claims), ["ledger.query"]);
    assert_ne!(claims.entitlements.narrowing, Narrowing::default());
    assert!(claims.entitlements.reach.is_empty());
    assert_eq!(claims.act.parent(), Some(chief), "the chain stays");
}

#[test]
fn below_a_sealed_run_nothing_is_signed() {
    let world = world();
    let authority = world.start();
    let chief = world.chief(&authority, "refund it");
    let run = RunId::random();
    registered(ask(&authority, world.below(run, chief)));
    assert!(renewed(&authority, run).is_ok(), "the control");
    let cgroup = world.cgroup(chief).0;
    let latch = |at| world.map.lock().unwrap().get_mut(&cgroup).unwrap().1.latched_boot_ns = at;
    latch(5);
    for refused in [
        renewed(&authority, run).map(drop),
        ask(&authority, world.below(RunId::random(), chief)).map(drop),
    ] {
        assert!(refused.unwrap_err().contains("sealed"));
    }
    latch(0);
    assert!(renewed(&authority, run).is_ok(), "after a release");
}

#[test]
fn a_run_does_not_outlive_the_ones_above_it() {
    let world = world();
    let authority = world.start();
    let chief = world.chief(&authority, "refund it");
    let (run, deeper) = (RunId::random(), RunId::random());
    registered(ask(&authority, world.below(run, chief)));
    registered(ask(&authority, world.of("helper", deeper, Mandate::Run { parent: run })));
    let other = world.chief(&authority, "refund it");
    let end = |of: RunId| {
        runs(&authority).into_iter().find(|entry| entry.run == of).map(|entry| entry.end_boot_ms)
    };
    assert!(end(run) <= end(chief) && end(deeper) <= end(run) && end(run).is_some());
    world.kinds();
    ask(&authority, AuthorityRequest::End { run: chief, how: "exit 0".into(), refused: None })
        .unwrap();
    let left: Vec<RunId> = runs(&authority).iter().map(|entry| entry.run).collect();
    assert_eq!(left, [other]);
    assert_eq!(world.map.lock().unwrap().len(), 1, "the kernel lets none of them through");
    assert_eq!(world.kinds(), ["run_ended"; 3]);
    assert!(renewed(&authority, deeper).is_err());
    assert!(ask(&authority, world.below(RunId::random(), chief)).is_err(), "below an ended run");
}

/// The attack: the authority is killed between the end of a run and that of the one below it.
#[test]
fn a_run_that_lost_the_one_above_it_is_ended_by_the_sweep() {
    let world = world();
    let authority = world.start();
    let chief = world.chief(&authority, "refund it");
    let run = RunId::random();
    registered(ask(&authority, world.below(run, chief)));
    turn(&authority).sweep();
    assert_eq!(runs(&authority).len(), 2, "the control");
    let ended = crate::state::Ended { run: chief, how: "exit 0".into(), kernel: Vec::new() };
    turn(&authority).registry.end(&ended, 1).unwrap();
    turn(&authority).sweep();
    assert!(runs(&authority).is_empty());
    assert!(!world.map.lock().unwrap().contains_key(&world.cgroup(run).0));
}

#[test]
fn a_chain_ends_at_its_bound() {
    let world = world();
    let authority = world.start();
    let mut parent = world.chief(&authority, "refund it");
    for _ in 0..crate::call::DELEGATIONS_MAX {
        let run = RunId::random();
        registered(ask(&authority, world.below(run, parent)));
        parent = run;
    }
    let refused = ask(&authority, world.below(RunId::random(), parent)).unwrap_err();
    assert!(refused.contains("handed on"), "{refused}");
}
