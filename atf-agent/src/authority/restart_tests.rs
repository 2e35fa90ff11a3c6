//! What a restart, a log that was away and a new subscriber find: the registry, the kernel and the gateway agree again.

use super::*;

#[test]
fn a_restart_brings_the_kernel_and_the_gateway_into_line() {
    let world = World::new();
    let authority = world.start();
    let (kept, gone) = (RunId::random(), RunId::random());
    let (uid, token) = registered(ask(&authority, world.register(kept)));
    registered(ask(&authority, world.register(gone)));
    let stray = CgroupId(7);
    let kept_cgroup = world.cgroup(kept);
    world.map.lock().unwrap().insert(stray.0, Default::default());
    std::fs::remove_dir(world.dir.path().join("cgroup").join(gone.to_string())).unwrap();
    drop(authority);
    world.told();
    world.kinds();

    let authority = world.start();
    // An answer comes after the gateway has been told of all.
    let entries = runs(&authority);
    assert_eq!(world.told(), ["snapshot 1", "named"]);
    assert_eq!(world.kinds(), ["run_ended", "started"]);
    let map = world.map.lock().unwrap().clone();
    assert_eq!(map.keys().copied().collect::<Vec<_>>(), [kept_cgroup.0]);
    assert_eq!((entries.len(), entries[0].run, entries[0].uid), (1, kept, uid));
    // The key is the same: the token from before still verifies.
    let jwks = std::fs::read_to_string(world.places.jwks()).unwrap();
    let settings = Settings::default();
    let verifier = Verifier::from_jwks(&jwks, &settings.issuer, &settings.audience).unwrap();
    assert!(verifier.verify(&token.jwt, clock::now_unix_s()).is_ok());
    assert!(ask(&authority, AuthorityRequest::Renew { run: kept }).is_ok());
}

/// The attack: a cage that is made anew knows of no seal. What was sealed would be live again.
#[test]
fn a_run_that_the_kernel_does_not_know_is_ended() {
    let world = World::new();
    let authority = world.start();
    let run = RunId::random();
    registered(ask(&authority, world.register(run)));
    world.map.lock().unwrap().clear();
    drop(authority);
    world.kinds();

    let authority = world.start();
    assert!(runs(&authority).is_empty());
    assert_eq!(world.kinds(), ["run_ended", "started"]);
    assert!(world.map.lock().unwrap().is_empty());
    assert!(ask(&authority, AuthorityRequest::Renew { run }).is_err());
}

#[test]
fn an_end_that_the_log_missed_is_made_up_for() {
    let world = World::new();
    let authority = world.start();
    let run = RunId::random();
    registered(ask(&authority, world.register(run)));
    world.kinds();
    world.recorder_fails.store(true, Ordering::SeqCst);
    let how = "signal 9".into();
    ask(&authority, AuthorityRequest::End { run, how, refused: None }).unwrap();
    assert!(world.map.lock().unwrap().is_empty(), "an end is never put off");
    assert!(world.kinds().is_empty());
    world.recorder_fails.store(false, Ordering::SeqCst);
    turn(&authority).sweep();
    turn(&authority).sweep();
    assert_eq!(world.kinds(), ["run_ended"]);
}

#[test]
fn a_start_that_the_log_missed_is_made_up_for_before_all_else() {
    let world = World::new();
    world.recorder_fails.store(true, Ordering::SeqCst);
    let authority = world.start();
    turn(&authority).sweep();
    assert!(world.kinds().is_empty());
    world.recorder_fails.store(false, Ordering::SeqCst);
    turn(&authority).sweep();
    turn(&authority).sweep();
    assert_eq!(world.kinds(), ["started"]);
    drop(authority);

    world.recorder_fails.store(true, Ordering::SeqCst);
    let authority = world.start();
    world.recorder_fails.store(false, Ordering::SeqCst);
    registered(ask(&authority, world.register(RunId::random())));
    assert_eq!(world.kinds()[0], "started");
}

#[test]
fn an_authority_leaves_a_living_one_alone() {
    let world = World::new();
    let _authority = world.start();
    let keys = || std::fs::metadata(world.places.jwks()).unwrap().ino();
    let before = keys();
    let second = serve(&world.places, &world.ids, &Settings::default(), world.kernel());
    assert!(matches!(second, Err(AuthorityError::Io { what: "listen at", .. })));
    assert_eq!(keys(), before);
}

#[test]
fn a_new_subscriber_replaces_the_old_one() {
    let world = World::new();
    let authority = world.start();
    registered(ask(&authority, world.register(RunId::random())));
    world.subscribe();
    registered(ask(&authority, world.register(RunId::random())));
    let told = world.told();
    assert_eq!(told, ["snapshot 0", "open", "snapshot 1", "named", "open"]);
    // The socket answers too, and with the asker's own rights.
    let mut peer: Connection<AuthorityRequest, AuthorityReply> =
        Connection::open(&world.places.authority_socket(), Duration::from_secs(5)).unwrap();
    let reply = peer.ask(&AuthorityRequest::Runs).unwrap();
    let is_root = rustix::process::geteuid().is_root();
    assert_eq!(matches!(reply, AuthorityReply::Runs { .. }), is_root);
}

/// One token was signed while the wall clock was a day ahead.
#[test]
fn a_clock_that_was_ahead_stops_no_run_once_none_is_live() {
    let world = World::new();
    let authority = world.start();
    let ahead = clock::now_unix_s() + 86_400;
    let (live, next) = (RunId::random(), RunId::random());
    registered(ask(&authority, world.register(live)));
    turn(&authority).registry.renewed(live, u64::MAX >> 1, ahead).unwrap();
    let _told = (world.kinds(), world.told());
    let refused = ask(&authority, world.register(next)).unwrap_err();
    assert!(refused.contains("set it right"), "a token of tomorrow may be live: {refused}");
    assert!(ask(&authority, AuthorityRequest::Renew { run: live }).is_err());
    assert_eq!(world.kinds(), Vec::<String>::new());
    let how = "exit 0".into();
    ask(&authority, AuthorityRequest::End { run: live, how, refused: None }).unwrap();
    let _told = world.kinds();

    world.recorder_fails.store(true, Ordering::SeqCst);
    assert!(ask(&authority, world.register(next)).is_err(), "nothing holds that is not in the log");
    assert_eq!(turn(&authority).registry.last_iat_unix_s().unwrap(), ahead);
    world.recorder_fails.store(false, Ordering::SeqCst);
    registered(ask(&authority, world.register(next)));
    let found = world.events.lock().unwrap().first().cloned();
    assert!(matches!(found, Some(Event::Finding { name, .. }) if name == "clock.set_back"));
    assert_eq!(world.kinds(), ["finding", "run_registered", "token_minted"]);
    assert!(ask(&authority, AuthorityRequest::Renew { run: next }).is_ok());
}
