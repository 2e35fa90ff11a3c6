use std::sync::atomic::{AtomicU64, Ordering};

use super::super::Party;
use super::*;

const NONE: Shared<'_> = Shared { shares: &[], day: 0 };

#[test]
fn exactly_as_many_calls_pass_as_the_cap_holds() {
    let (caps, run) = (Caps::default(), RunId::random());
    let passed = AtomicU64::new(0);
    std::thread::scope(|threads| {
        for thread in 0..8 {
            let (caps, passed) = (&caps, &passed);
            threads.spawn(move || {
                for call in 0..125 {
                    let Ok(reservation) = caps.reserve(run, 7, 700, NONE) else {
                        continue;
                    };
                    passed.fetch_add(1, Ordering::Relaxed);
                    match (thread + call) % 2 {
                        0 => reservation.commit(),
                        _ => drop(reservation),
                    }
                }
            });
        }
    });
    assert_eq!((passed.into_inner(), caps.spent(run)), (100, 700));
}

fn shared(party: Party, name: &[u8], cap: u64) -> Share {
    Share { party, name: crate::call::Digest::of(name), cap }
}

/// The attack: many runs for one user, or of one task, at once.
#[test]
fn exactly_as_many_calls_pass_as_the_shared_caps_hold() {
    let caps = Caps::default();
    let shares = [shared(Party::User, b"alice", 700), shared(Party::Task, b"t", 1_400)];
    let passed = AtomicU64::new(0);
    std::thread::scope(|threads| {
        for thread in 0..8 {
            let (caps, passed, shares) = (&caps, &passed, &shares);
            threads.spawn(move || {
                for call in 0..125 {
                    let shared = Shared { shares, day: 7 };
                    match caps.reserve(RunId::random(), 7, 1_000, shared) {
                        Err(_) => {}
                        Ok(reservation) if (thread + call) % 3 == 0 => reservation.refund(),
                        Ok(reservation) => {
                            passed.fetch_add(1, Ordering::Relaxed);
                            reservation.commit();
                        }
                    }
                }
            });
        }
    });
    // A refund may come after the last call that it would have let through.
    assert!(passed.into_inner() <= 100);
    let rest = |shares: &[Share]| {
        let shared = Shared { shares, day: 7 };
        (0..200).filter(|_| caps.reserve(RunId::random(), 7, 7, shared).is_ok()).count()
    };
    rest(&shares);
    assert_eq!(rest(&shares), 0, "the user's is spent to the last");
    assert_eq!(rest(&shares[1..]), 100, "what refused took nothing of the task's");
    assert_eq!(rest(&[shared(Party::User, b"bob", 70)]), 10, "the control: another user");
}

#[test]
fn a_day_ends_once_and_does_not_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("caps.db");
    let shares = [shared(Party::Agent, b"clerk", 10), shared(Party::Task, b"t", 25)];
    let spend = |caps: &Caps, day, cents| {
        let shared = Shared { shares: &shares, day };
        let reserved = caps.reserve(RunId::random(), cents, 100, shared);
        reserved.map(Reservation::commit).map_err(|error| error.to_string())
    };
    let none =
        |whose: &str, cap: u64| Err(format!("1 cents are wanted, 0 of {whose} {cap} are left"));
    {
        let caps = Caps::open(&path).unwrap();
        assert_eq!(spend(&caps, 5, 10), Ok(()));
        assert_eq!(spend(&caps, 5, 1), none("the agent's day's", 10));
        assert_eq!(spend(&caps, 6, 10), Ok(()), "the control: the next day");
        assert_eq!(spend(&caps, 5, 1), none("the agent's day's", 10), "a clock set back");
    }
    // Killed, and the clock set back besides.
    let caps = Caps::open(&path).unwrap();
    for day in [5, 6, 0] {
        assert_eq!(spend(&caps, day, 1), none("the agent's day's", 10), "{day}");
    }
    assert_eq!(spend(&caps, 7, 5), Ok(()), "the control");
    assert_eq!(spend(&caps, 7, 1), none("the task's", 25), "a task's days add up");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    assert!(!text(std::fs::read(&path).unwrap()).contains("clerk"), "no name is kept");
}

#[test]
fn a_file_of_the_version_before_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("caps.db");
    let run = RunId::random();
    Caps::open(&path).unwrap().reserve(run, 60, 100, NONE).unwrap().commit();
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch("DROP TABLE totals; PRAGMA user_version = 1").unwrap();
    drop(db);
    let caps = Caps::open(&path).unwrap();
    assert_eq!(caps.spent(run), 60);
    let shares = [shared(Party::User, b"alice", 10)];
    let shared = Shared { shares: &shares, day: 1 };
    caps.reserve(run, 10, 100, shared).unwrap().refund();
    caps.reserve(run, 10, 100, shared).unwrap().commit();
    drop(caps);
    let caps = Caps::open(&path).unwrap();
    assert!(caps.reserve(RunId::random(), 1, 100, shared).is_err());
}

#[test]
fn only_a_refund_gives_back() {
    let (caps, run, other) = (Caps::default(), RunId::random(), RunId::random());
    let reserve = |cents| caps.reserve(run, cents, 100, NONE);
    reserve(40).unwrap().commit();
    reserve(40).unwrap().refund();
    drop(reserve(40).unwrap());
    assert_eq!(caps.spent(run), 80);
    assert!(reserve(21).is_err());
    assert!(reserve(u64::MAX).is_err());
    assert_eq!(caps.spent(run), 80, "a refusal takes nothing");
    assert!(caps.reserve(other, 100, 100, NONE).is_ok(), "runs do not share");
    assert!(reserve(20).is_ok(), "to the last cent");
    assert!(reserve(0).is_ok(), "nothing is always left");
}

#[test]
fn a_settlement_after_the_end_of_the_run_changes_nothing() {
    let (caps, run) = (Caps::default(), RunId::random());
    let reservation = caps.reserve(run, 5, 10, NONE).unwrap();
    caps.forget(run).unwrap();
    reservation.commit();
    assert_eq!(caps.spent(run), 0);
}

#[test]
fn a_cap_that_shrinks_refuses_and_does_not_wrap() {
    let (caps, run) = (Caps::default(), RunId::random());
    caps.reserve(run, u64::MAX, u64::MAX, NONE).unwrap().commit();
    assert!(caps.reserve(run, 1, u64::MAX, NONE).is_err());
    assert!(caps.reserve(run, 1, 10, NONE).is_err());
}

/// The attack: spend all, have the gateway killed, spend again.
#[test]
fn a_kill_gives_no_run_its_cap_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("caps.db");
    let [run, refunded, ended, free] = [(); 4].map(|()| RunId::random());
    {
        let caps = Caps::open(&path).unwrap();
        caps.reserve(run, 60, 100, NONE).unwrap().commit();
        drop(caps.reserve(run, 40, 100, NONE).unwrap());
        caps.reserve(refunded, 70, 100, NONE).unwrap().commit();
        caps.reserve(refunded, 30, 100, NONE).unwrap().refund();
        caps.reserve(ended, 100, 100, NONE).unwrap().commit();
        caps.forget(ended).unwrap();
        caps.refused(run).unwrap();
        caps.refused(run).unwrap();
    }
    let caps = Caps::open(&path).unwrap();
    let passed = Err("1 cents are wanted, 0 of the run's 100 are left".to_owned());
    let reserve = |run, cents| {
        caps.reserve(run, cents, 100, NONE).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(reserve(run, 1), passed);
    assert_eq!((caps.spent(run), caps.refusals(run)), (100, 2));
    assert_eq!(reserve(refunded, 30), Ok(()), "the control: what was refunded is free");
    assert_eq!(reserve(refunded, 1), passed);
    assert_eq!(reserve(free, 100), Ok(()), "the control: another run");
    assert_eq!(caps.spent(ended), 0);
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&path).unwrap());
    assert_eq!(mode & 0o777, 0o600);

    caps.forget_all_but(|live| live == refunded).unwrap();
    caps.released(run).unwrap();
    drop(caps);
    let caps = Caps::open(&path).unwrap();
    assert_eq!((caps.spent(run), caps.refusals(run), caps.spent(refunded)), (0, 0, 100));
}

#[test]
fn what_cannot_be_kept_is_not_reserved() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("caps.db");
    let (caps, run) = (Caps::open(&path).unwrap(), RunId::random());
    caps.reserve(run, 1, 10, NONE).unwrap().commit();
    rusqlite::Connection::open(&path).unwrap().execute_batch("DROP TABLE counts").unwrap();
    assert!(matches!(caps.reserve(run, 1, 10, NONE), Err(CapError::Counts(_))));
    assert_eq!(caps.spent(run), 1, "nothing is taken");
    assert!(caps.reserve(run, 0, 10, NONE).is_ok(), "a call without cents needs no disk");
}
