//! What a person decides, of a call or of the policy: it is in the log before it holds.

use super::*;

/// The attack: a word that nobody can be shown to have given, and one on a call that does not wait.
#[test]
fn a_persons_word_is_in_the_log_before_it_holds() {
    let world = World::new();
    let authority = world.start();
    let _start = (world.kinds(), world.told());
    let answer = |decision: char, granted| {
        let decision = decision.to_string().repeat(32).parse().unwrap();
        ask(&authority, AuthorityRequest::Approve { decision, granted, name: "bob".into() })
    };
    for waits_not in ['b', 'c'] {
        assert!(answer(waits_not, true).is_err(), "{waits_not}");
    }
    world.recorder_fails.store(true, Ordering::SeqCst);
    assert!(answer('a', true).is_err());
    assert_eq!((world.kinds(), world.told()), (vec![], vec![]), "nothing was told");
    world.recorder_fails.store(false, Ordering::SeqCst);
    assert!(matches!(answer('a', true), Ok(AuthorityReply::Done)));
    assert!(matches!(answer('a', false), Ok(AuthorityReply::Done)));
    let a = "a".repeat(32);
    let told = |granted| format!("answer {a} {granted} Some(1000)");
    assert_eq!(world.told(), [told(true), told(false)]);
    let events = world.events.lock().unwrap();
    let Event::Answered { granted, approver, call, .. } = &events[0] else {
        panic!("{events:?}");
    };
    assert_eq!((*granted, *call), (true, Digest::of(b"call")));
    assert_eq!((approver.uid, approver.login_uid, approver.name.raw()), (0, Some(1_000), "bob"));
}

/// The attack: the person for whom the run acts says yes to its call.
#[test]
fn nobody_grants_his_own_and_the_log_has_who_tried() {
    let world = World::new();
    let authority = world.start();
    let _start = (world.kinds(), world.told());
    let answer = |granted| {
        let decision = "a".repeat(32).parse().unwrap();
        ask(&authority, AuthorityRequest::Approve { decision, granted, name: "alice".into() })
    };
    let refused = answer(true).unwrap_err();
    assert!(refused.contains("nobody grants his own"), "{refused}");
    assert_eq!((world.kinds(), world.told()), (vec!["finding".to_owned()], vec![]));
    assert!(matches!(answer(false), Ok(AuthorityReply::Done)), "the control: he may refuse it");
}

/// The attack: `/proc` is closed to the authority, so that the login of the person for whom the run acts looks like none.
#[test]
fn a_login_that_cannot_be_read_grants_nothing() {
    let world = World::new();
    let authority = world.start();
    let _start = (world.kinds(), world.told());
    let answer = |login, granted| {
        let decision = "a".repeat(32).parse().unwrap();
        let request = AuthorityRequest::Approve { decision, granted, name: "ops".into() };
        ask_as(&authority, Asker { uid: 0, login }, request)
    };
    let unreadable = Err(std::io::ErrorKind::NotFound);
    let refused = answer(unreadable, true).unwrap_err();
    assert!(refused.contains("cannot be read"), "{refused}");
    assert_eq!((world.kinds(), world.told()), (vec!["finding".to_owned()], vec![]));
    assert!(matches!(answer(unreadable, false), Ok(AuthorityReply::Done)), "a no is anybody's");
    assert!(
        matches!(answer(Ok(None), true), Ok(AuthorityReply::Done)),
        "control: nobody logged in"
    );
}

/// The attack: a policy of which nobody hears, and one that the gateway refuses and the log praises.
#[test]
fn another_policy_is_in_the_log_before_the_gateway_judges_by_it() {
    let world = World::new();
    let authority = world.start();
    let _start = (world.kinds(), world.told());
    let revision = Digest::of(b"policy");
    let publish = || {
        let signer = Some("ci".into());
        ask(
            &authority,
            AuthorityRequest::Publish { version: 2, revision, signer, name: "alice".into() },
        )
    };
    world.recorder_fails.store(true, Ordering::SeqCst);
    assert!(publish().is_err());
    assert!(world.told().is_empty());
    world.recorder_fails.store(false, Ordering::SeqCst);
    assert!(matches!(publish(), Ok(AuthorityReply::Done)));
    assert_eq!(world.told(), [format!("reload {revision}")]);
    assert_eq!(world.kinds(), ["policy_published"]);
    world.gateway_fails.store(true, Ordering::SeqCst);
    assert!(publish().is_err());
    assert_eq!(world.kinds(), ["policy_published", "finding"]);
    let _told = world.told();
    let refused = AuthorityRequest::NotPublished { what: "unsigned".into(), name: "alice".into() };
    assert!(matches!(ask(&authority, refused), Ok(AuthorityReply::Done)));
    assert_eq!((world.kinds(), world.told()), (vec!["finding".to_owned()], vec![]));
}
