use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

const NONE: (&[Share], u32) = (&[], 0);

/// This boot, which has just begun.
pub(super) fn boot() -> Boot {
    Boot { id: "this".to_owned(), now_ms: 1_000 }
}

fn opened(path: &Path) -> Caps {
    Caps::open(path, &boot()).unwrap()
}

/// Reserves money: `cents` of `cap`, and of each share, on a day.
fn reserve(
    caps: &Caps,
    run: RunId,
    (cents, cap): (u64, u64),
    (shares, day): (&[Share], u32),
) -> Result<Reservation, CapError> {
    let shares = shares.iter().map(|share| Share { amount: cents, ..*share });
    let shares = if cents == 0 { Vec::new() } else { shares.collect() };
    let demand = Demand { cents, per_run_cents: cap, shares, day, ..Demand::default() };
    caps.reserve(run, &demand)
}

#[test]
fn exactly_as_many_calls_pass_as_the_cap_holds() {
    let (caps, run) = (Caps::default(), RunId::random());
    let passed = AtomicU64::new(0);
    std::thread::scope(|threads| {
        for thread in 0..8 {
            let (caps, passed) = (&caps, &passed);
            threads.spawn(move || {
                for call in 0..125 {
                    let Ok(reservation) = reserve(caps, run, (7, 700), NONE) else {
                        continue;
                    };
                    passed.fetch_add(1, Ordering::Relaxed);
                    match (thread + call) % 2 {
                        0 => reservation.commit(0),
                        _ => drop(reservation),
                    }
                }
            });
        }
    });
    assert_eq!((passed.into_inner(), caps.spent(run)), (100, 700));
}

fn shared(party: Party, name: &[u8], cap: u64) -> Share {
    let name = crate::call::Digest::of(name);
    Share { party, measure: Measure::Cents, name, cap, amount: 0 }
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
                    let shared = (&shares[..], 7);
                    match reserve(caps, RunId::random(), (7, 1_000), shared) {
                        Err(_) => {}
                        Ok(reservation) if (thread + call) % 3 == 0 => reservation.refund(),
                        Ok(reservation) => {
                            passed.fetch_add(1, Ordering::Relaxed);
                            reservation.commit(0);
                        }
                    }
                }
            });
        }
    });
    // A refund may come after the last call that it would have let through.
    assert!(passed.into_inner() <= 100);
    let rest = |shares: &[Share]| {
        let shared = (shares, 7);
        (0..200).filter(|_| reserve(&caps, RunId::random(), (7, 7), shared).is_ok()).count()
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
        let shared = (&shares[..], day);
        let reserved = reserve(caps, RunId::random(), (cents, 100), shared);
        reserved.map(|reserved| reserved.commit(0)).map_err(|error| error.to_string())
    };
    let none =
        |whose: &str, cap: u64| Err(format!("1 cents are wanted, 0 of {whose} {cap} are left"));
    {
        let caps = opened(&path);
        assert_eq!(spend(&caps, 5, 10), Ok(()));
        assert_eq!(spend(&caps, 5, 1), none("the agent's day's", 10));
        assert_eq!(spend(&caps, 6, 10), Ok(()), "the control: the next day");
        assert_eq!(spend(&caps, 5, 1), none("the agent's day's", 10), "a clock set back");
    }
    // Killed, and the clock set back besides.
    let caps = opened(&path);
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
    reserve(&opened(&path), run, (60, 100), NONE).unwrap().commit(0);
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch(
        "DROP TABLE totals; DROP TABLE turns; DROP TABLE boot; PRAGMA user_version = 1",
    )
    .unwrap();
    drop(db);
    let caps = opened(&path);
    assert_eq!(caps.spent(run), 60);
    let shares = [shared(Party::User, b"alice", 10)];
    let shared = (&shares[..], 1);
    reserve(&caps, run, (10, 100), shared).unwrap().refund();
    reserve(&caps, run, (10, 100), shared).unwrap().commit(0);
    drop(caps);
    let caps = opened(&path);
    assert!(reserve(&caps, RunId::random(), (1, 100), shared).is_err());
}

#[test]
fn only_a_refund_gives_back() {
    let (caps, run, other) = (Caps::default(), RunId::random(), RunId::random());
    let of_run = |cents| reserve(&caps, run, (cents, 100), NONE);
    of_run(40).unwrap().commit(0);
    of_run(40).unwrap().refund();
    drop(of_run(40).unwrap());
    assert_eq!(caps.spent(run), 80);
    assert!(of_run(21).is_err());
    assert!(of_run(u64::MAX).is_err());
    assert_eq!(caps.spent(run), 80, "a refusal takes nothing");
    assert!(reserve(&caps, other, (100, 100), NONE).is_ok(), "runs do not share");
    assert!(of_run(20).is_ok(), "to the last cent");
    assert!(of_run(0).is_ok(), "nothing is always left");
}

#[test]
fn a_settlement_after_the_end_of_the_run_changes_nothing() {
    let (caps, run) = (Caps::default(), RunId::random());
    let reservation = reserve(&caps, run, (5, 10), NONE).unwrap();
    caps.forget(run).unwrap();
    reservation.commit(0);
    assert_eq!(caps.spent(run), 0);
}

#[test]
fn a_cap_that_shrinks_refuses_and_does_not_wrap() {
    let (caps, run) = (Caps::default(), RunId::random());
    reserve(&caps, run, (u64::MAX, u64::MAX), NONE).unwrap().commit(0);
    assert!(reserve(&caps, run, (1, u64::MAX), NONE).is_err());
    assert!(reserve(&caps, run, (1, 10), NONE).is_err());
}

/// The attack: spend all, have the gateway killed, spend again.
#[test]
fn a_kill_gives_no_run_its_cap_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("caps.db");
    let [run, refunded, ended, free] = [(); 4].map(|()| RunId::random());
    {
        let caps = opened(&path);
        reserve(&caps, run, (60, 100), NONE).unwrap().commit(0);
        drop(reserve(&caps, run, (40, 100), NONE).unwrap());
        reserve(&caps, refunded, (70, 100), NONE).unwrap().commit(0);
        reserve(&caps, refunded, (30, 100), NONE).unwrap().refund();
        reserve(&caps, ended, (100, 100), NONE).unwrap().commit(0);
        caps.forget(ended).unwrap();
        caps.refused(run).unwrap();
        caps.refused(run).unwrap();
    }
    let caps = opened(&path);
    let passed = Err("1 cents are wanted, 0 of the run's 100 are left".to_owned());
    let reserve = |run, cents| {
        reserve(&caps, run, (cents, 100), NONE).map(drop).map_err(|error| error.to_string())
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
    let caps = opened(&path);
    assert_eq!((caps.spent(run), caps.refusals(run), caps.spent(refunded)), (0, 0, 100));
}

#[test]
fn what_cannot_be_kept_is_not_reserved() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("caps.db");
    let (caps, run) = (opened(&path), RunId::random());
    reserve(&caps, run, (1, 10), NONE).unwrap().commit(0);
    rusqlite::Connection::open(&path).unwrap().execute_batch("DROP TABLE counts").unwrap();
    assert!(matches!(reserve(&caps, run, (1, 10), NONE), Err(CapError::Counts(_))));
    assert_eq!(caps.spent(run), 1, "nothing is taken");
    assert!(reserve(&caps, run, (0, 10), NONE).is_ok(), "a call without cents needs no disk");
}
