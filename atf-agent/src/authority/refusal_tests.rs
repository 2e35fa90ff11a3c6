//! Registrations that are refused, or fail on the way: nothing of them is left.

use super::*;

#[test]
fn what_is_not_as_it_should_be_is_refused_and_leaves_nothing() {
    let world = World::new();
    let authority = world.start();
    world.told();
    let good = || world.register(RunId::random());
    let change = |edit: &dyn Fn(&mut AuthorityRequest)| {
        let mut request = good();
        edit(&mut request);
        request
    };
    for (why, request) in [
        (
            "manifest",
            change(&|r| {
                if let AuthorityRequest::Register { agent, .. } = r {
                    *agent = "nobody".parse().unwrap();
                }
            }),
        ),
        (
            "system prompt",
            change(&|r| {
                if let AuthorityRequest::Register { prompt, .. } = r {
                    *prompt = Digest::of(b"other");
                }
            }),
        ),
        (
            "no cgroup",
            change(&|r| {
                if let AuthorityRequest::Register { cgroup, .. } = r {
                    cgroup.0 += 1;
                }
            }),
        ),
        (
            "parent_user",
            change(&|r| {
                if let AuthorityRequest::Register {
                    mandate: Mandate::Person { user, .. }, ..
                } = r
                {
                    *user = "".into();
                }
            }),
        ),
        (
            "no token",
            change(&|r| {
                if let AuthorityRequest::Register { lifetime_s, .. } = r {
                    *lifetime_s = Some(0);
                }
            }),
        ),
    ] {
        let refused = ask(&authority, request).unwrap_err();
        assert!(refused.contains(why), "{why}: {refused}");
    }
    assert!(turn(&authority).answer(Asker { uid: 1_000, ..ROOT }, good()).is_err());

    let (first, _) = registered(ask(&authority, good()));
    let (second, _) = registered(ask(&authority, good()));
    assert_ne!(first, second);
    let refused = ask(&authority, good()).unwrap_err();
    assert!(refused.contains("2 uids of the pool"), "{refused}");
}

#[test]
fn a_registration_that_fails_on_the_way_is_taken_back() {
    let world = World::new();
    let authority = world.start();
    world.told();
    let good = || world.register(RunId::random());
    for (fails, why, told) in [
        (&world.kernel_fails, "map", &["close"][..]),
        (&world.gateway_fails, "gateway", &["open", "close"]),
        (&world.recorder_fails, "log", &["open", "close"]),
    ] {
        fails.store(true, Ordering::SeqCst);
        let refused = ask(&authority, good()).unwrap_err();
        assert!(refused.contains(why), "{why}: {refused}");
        fails.store(false, Ordering::SeqCst);
        assert_eq!(world.told(), told, "{why}");
        assert!(runs(&authority).is_empty() && world.map.lock().unwrap().is_empty(), "{why}");
    }
    registered(ask(&authority, good()));
}

#[test]
fn a_clock_that_was_set_back_signs_nothing() {
    let world = World::new();
    let authority = world.start();
    let run = RunId::random();
    registered(ask(&authority, world.register(run)));
    let now = clock::now_unix_s();
    turn(&authority).registry.renewed(run, 1, now + 100).unwrap();
    let refused = ask(&authority, AuthorityRequest::Renew { run }).unwrap_err();
    assert!(refused.contains("clock"), "{refused}");
}
