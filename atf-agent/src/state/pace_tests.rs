//! The caps that are not of money, by the clock and under a thousand calls at once.

use std::sync::Barrier;

use proptest::prelude::*;

use super::tests::boot;
use super::*;
use crate::call::Digest;

/// Calls that come at the same moment.
const AT_ONCE: usize = 1_000;

fn calls(party: Party, most: u64, span_s: u64) -> Pace {
    let name = Digest::of(b"calls");
    Pace { party, name, most, held: Held::ForMs(span_s * 1_000) }
}

fn in_flight(party: Party, most: u64) -> Pace {
    Pace { party, name: Digest::of(b"in flight"), most, held: Held::UntilDone }
}

fn read(party: Party, measure: Measure, cap: u64, amount: u64) -> Share {
    Share { party, measure, name: Digest::of(measure.to_string().as_bytes()), cap, amount }
}

fn at(now_boot_ms: u64, paces: &[Pace]) -> Demand {
    Demand { paces: paces.to_vec(), now_boot_ms, ..Demand::default() }
}

fn reading(shares: &[Share], day: u32) -> Demand {
    Demand { shares: shares.to_vec(), day, now_boot_ms: 2_000, ..Demand::default() }
}

/// What the caps of one property test leave, by plain counting.
#[derive(Debug, Clone, Copy)]
struct Left {
    calls: u64,
    in_flight: u64,
    rows: u64,
}

impl Left {
    fn calls_of(self, rows: u64) -> u64 {
        self.calls.min(self.in_flight).min(self.rows / rows)
    }
}

/// A thousand threads ask at once; what they got, held until all have asked.
fn all_at_once(caps: &Caps, run: RunId, demand: &Demand) -> Vec<Reservation> {
    let (start, done) = (Barrier::new(AT_ONCE), Mutex::new(Vec::new()));
    std::thread::scope(|threads| {
        for _ in 0..AT_ONCE {
            let thread = std::thread::Builder::new().stack_size(256 << 10);
            let ask = || {
                start.wait();
                if let Ok(reservation) = caps.reserve(run, demand) {
                    lock(&done).push(reservation);
                }
            };
            thread.spawn_scoped(threads, ask).unwrap();
        }
    });
    done.into_inner().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, failure_persistence: None, ..Default::default() })]

    #[test]
    fn exactly_as_many_of_a_thousand_calls_at_once_pass_as_the_caps_leave(
        calls_most in 1u64..1_200,
        in_flight_most in 1u64..1_200,
        rows_cap in 0u64..12_000,
        rows in 1u64..12,
        fates in prop::collection::vec(0u8..3, AT_ONCE),
        party in prop::sample::select(Party::ALL.to_vec()),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("caps.db");
        let (caps, run) = (Caps::open(&path, &boot()).unwrap(), RunId::random());
        let demand = Demand {
            paces: vec![calls(party, calls_most, 60), in_flight(party, in_flight_most)],
            ..reading(&[read(party, Measure::Rows, rows_cap, rows)], 9)
        };
        let mut left = Left { calls: calls_most, in_flight: in_flight_most, rows: rows_cap };
        let got = all_at_once(&caps, run, &demand);
        prop_assert_eq!(got.len() as u64, left.calls_of(rows).min(AT_ONCE as u64));
        for (reservation, fate) in got.into_iter().zip(&fates) {
            if *fate == 0 {
                reservation.refund();
                continue;
            }
            (left.calls, left.rows) = (left.calls - 1, left.rows - rows);
            if *fate == 1 {
                reservation.commit(0);
            } else {
                left.in_flight -= 1;
                drop(reservation);
            }
        }
        let again = all_at_once(&caps, run, &demand);
        prop_assert_eq!(again.len() as u64, left.calls_of(rows).min(AT_ONCE as u64));
        let (taken, spent) = (again.len() as u64, left);
        again.into_iter().for_each(Reservation::refund);
        // As after a kill: the file is all that there is, and it says the same.
        drop(caps);
        let caps = Caps::open(&path, &boot()).unwrap();
        let anew = all_at_once(&caps, run, &demand);
        prop_assert_eq!((anew.len() as u64, taken), (taken, spent.calls_of(rows).min(1_000)));
        anew.into_iter().for_each(|reservation| reservation.commit(0));
    }
}

/// The attack: all calls of one span at its end, and all of the next at its beginning.
#[test]
fn no_span_of_time_has_more_calls_than_it_may() {
    let (caps, run) = (Caps::default(), RunId::random());
    let paces = [calls(Party::Run, 3, 10)];
    let mut passed = Vec::new();
    for now in (0..60_000).step_by(250) {
        for _ in 0..5 {
            if let Ok(reservation) = caps.reserve(run, &at(now, &paces)) {
                reservation.commit(0);
                passed.push(now);
            }
        }
    }
    for (nth, began) in passed.iter().enumerate() {
        let within = passed[nth..].iter().take_while(|now| **now < began + 10_000).count();
        assert!(within <= 3, "{within} calls in the span that begins at {began}");
    }
    assert_eq!(passed.len(), 18, "the control: each span is used up");
    let other = RunId::random();
    assert!(caps.reserve(other, &at(59_000, &paces)).is_ok(), "the control: another run");
}

#[test]
fn a_caller_learns_when_there_is_a_turn() {
    let (caps, run) = (Caps::default(), RunId::random());
    let paces = [calls(Party::User, 2, 10), in_flight(Party::User, 2)];
    let first = caps.reserve(run, &at(1_000, &paces)).unwrap();
    let second = caps.reserve(run, &at(4_000, &paces)).unwrap();
    let refused = |now| match caps.reserve(run, &at(now, &paces)) {
        Err(CapError::NoTurn { pace, retry_ms }) => (pace.held, retry_ms),
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(5_000), (paces[0].held, Some(6_000)));
    assert_eq!(refused(500), (paces[0].held, Some(6_000)), "a clock that goes back");
    assert_eq!(refused(12_000), (paces[1].held, None), "under way, and nobody knows how long");
    first.commit(0);
    let third = caps.reserve(run, &at(12_000, &paces)).unwrap();
    second.refund();
    drop(third);
    caps.reserve(run, &at(14_000, &paces)).unwrap().commit(0);
}

#[test]
fn a_call_that_nobody_heard_of_is_under_way_for_a_while() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("caps.db");
    let (run, paces) = (RunId::random(), [in_flight(Party::Agent, 2)]);
    let caps = Caps::open(&path, &boot()).unwrap();
    // One whose outcome is unknown, and one that is under way when the gateway is killed.
    drop(caps.reserve(run, &at(1_000, &paces)).unwrap());
    std::mem::forget(caps.reserve(run, &at(1_000, &paces)).unwrap());
    assert!(caps.reserve(run, &at(2_000, &paces)).is_err());
    assert!(caps.reserve(run, &at(91_000, &paces)).is_ok(), "the one that nobody heard of");
    drop(caps);
    let killed_at = Boot { now_ms: 200_000, ..boot() };
    let caps = Caps::open(&path, &killed_at).unwrap();
    let now = |after: u64| at(200_000 + after, &paces);
    let held = caps.reserve(run, &now(0)).unwrap();
    assert!(caps.reserve(run, &now(89_999)).is_err());
    assert!(caps.reserve(run, &now(90_000)).is_ok());
    held.refund();
}

/// A call that goes on after its answer has spent what it took, and is under way until it is over.
#[test]
fn a_call_that_goes_on_holds_its_turn_and_has_spent_its_money() {
    let dir = tempfile::tempdir().unwrap();
    let caps = Caps::open(&dir.path().join("caps.db"), &boot()).unwrap();
    let run = RunId::random();
    let paces = [in_flight(Party::User, 1), calls(Party::User, 9, 10)];
    let share = read(Party::User, Measure::Bytes, 100, 60);
    let demand =
        |now| Demand { cents: 7, per_run_cents: 100, shares: vec![share], ..at(now, &paces) };
    let goes_on = caps.reserve(run, &demand(1_000)).unwrap().goes_on(10).expect("a turn");
    assert_eq!(caps.spent(run), 7);
    assert!(caps.reserve(run, &demand(500_000)).is_err(), "for however long");
    drop(goes_on);
    caps.reserve(run, &demand(500_000)).expect("the bytes are given back too").refund();
    assert_eq!(caps.spent(run), 7, "nothing of it comes back");
    let no_turn = caps.reserve(run, &at(500_001, &paces[1..])).unwrap();
    assert!(no_turn.goes_on(0).is_none(), "the control");
}

#[test]
fn turns_outlive_a_reboot_by_no_less_than_their_span() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("caps.db");
    let (run, paces) = (RunId::random(), [calls(Party::User, 1, 100)]);
    let take = |caps: &Caps, now| caps.reserve(run, &at(now, &paces)).map(|r| r.commit(0)).is_ok();
    assert!(take(&Caps::open(&path, &boot()).unwrap(), 500_000));
    assert!(!take(&Caps::open(&path, &boot()).unwrap(), 599_999), "the same boot");
    // Nobody knows how long the host was off: its own clock begins anew.
    let rebooted = Boot { id: "the next".to_owned(), now_ms: 5_000 };
    let caps = Caps::open(&path, &rebooted).unwrap();
    assert!(!take(&caps, 99_999));
    assert!(take(&caps, 100_000), "the control");
    drop(caps);
    let caps = Caps::open(&path, &Boot { now_ms: 150_000, ..rebooted }).unwrap();
    assert!(!take(&caps, 199_999), "began in this boot");
    assert!(take(&caps, 200_000));
}

/// The attack: OFFSET 0, 1000, 2000 ... until all is read.
#[test]
fn rows_and_bytes_are_counted_over_all_calls() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("caps.db");
    let (caps, run) = (Caps::open(&path, &boot()).unwrap(), RunId::random());
    let rows = [read(Party::Run, Measure::Rows, 2_500, 1_000)];
    let pages = (0..9).filter(|_| {
        let page = caps.reserve(run, &reading(&rows, 1));
        page.map(|page| page.commit(0)).is_ok()
    });
    assert_eq!(pages.count(), 2);
    let error = caps.reserve(run, &reading(&rows, 2)).unwrap_err();
    assert_eq!(error.to_string(), "1000 rows are wanted, 500 of the run's 2500 are left");
    let rest = [Share { amount: 500, ..rows[0] }];
    caps.reserve(run, &reading(&rest, 2)).unwrap().commit(0);

    // Of bytes a call gets what is left, and gives back what its result did not have.
    let bytes = [
        read(Party::Run, Measure::Bytes, 1_000, 600),
        Share { cap: 700, ..read(Party::User, Measure::Bytes, 0, 600) },
    ];
    let first = caps.reserve(run, &reading(&bytes, 1)).unwrap();
    let second = caps.reserve(run, &reading(&bytes, 1)).unwrap();
    assert_eq!((first.bytes(), second.bytes()), (Some(600), Some(100)), "the user's is tighter");
    assert!(caps.reserve(run, &reading(&bytes, 1)).is_err(), "to the last byte");
    first.commit(50);
    second.refund();
    drop(caps);
    let caps = Caps::open(&path, &boot()).unwrap();
    let third = caps.reserve(run, &reading(&bytes, 1)).unwrap();
    assert_eq!(third.bytes(), Some(600), "what was given back is kept");
    third.commit(600);
    assert_eq!(caps.reserve(run, &reading(&bytes, 1)).unwrap().bytes(), Some(50));
    let tomorrow = caps.reserve(run, &reading(&bytes, 3)).unwrap();
    assert_eq!(tomorrow.bytes(), Some(300), "the user's day is a new one, the run is the same");
    tomorrow.refund();
    caps.forget(run).unwrap();
    drop(caps);
    let caps = Caps::open(&path, &boot()).unwrap();
    assert!(
        caps.reserve(run, &reading(&rows, 2)).is_ok(),
        "it has ended; its id is not used again"
    );
}

#[test]
fn what_is_not_kept_takes_no_turn() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("caps.db");
    let (caps, run) = (Caps::open(&path, &boot()).unwrap(), RunId::random());
    let demand = Demand {
        paces: vec![calls(Party::Run, 2, 60)],
        ..reading(&[read(Party::Run, Measure::Rows, 2, 1)], 1)
    };
    caps.reserve(run, &demand).unwrap().commit(0);
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("ALTER TABLE turns RENAME TO gone").unwrap();
    for _ in 0..3 {
        assert!(matches!(caps.reserve(run, &demand), Err(CapError::Counts(_))));
    }
    other.execute_batch("ALTER TABLE gone RENAME TO turns").unwrap();
    assert!(caps.reserve(run, &demand).is_ok(), "the failed ones took nothing");
    assert!(caps.reserve(run, &demand).is_err(), "the control: now it is full");
}
