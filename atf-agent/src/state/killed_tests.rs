//! A process that is killed in the middle of reservations: none is lost, none counted twice.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use super::tests::boot;
use super::*;
use crate::call::Digest;

/// The test that starts itself as its child.
const THIS: &str = "state::caps::killed::a_kill_in_the_middle_loses_no_call_and_counts_none_twice";

/// Tells the child where its file is.
const CHILD_FILE: &str = "ATF_TEST_CAPS";

/// Threads of the child: as many reservations can be under way when it is killed.
const THREADS: u64 = 4;

const CAP: u64 = 9_000;

fn demand(cents: u64) -> Demand {
    let name = Digest::of(b"x");
    let rows = Share { party: Party::User, measure: Measure::Rows, name, cap: CAP, amount: 1 };
    let calls = Pace { party: Party::Run, name, most: CAP, held: Held::ForMs(86_400_000) };
    Demand {
        cents,
        per_run_cents: CAP,
        shares: vec![rows],
        paces: vec![calls],
        day: 1,
        now_boot_ms: 2_000,
    }
}

fn run() -> RunId {
    "00000000000000000000000000000001".parse().unwrap()
}

/// The child: reserves until it is killed, and says each that it got.
fn reserve_until_killed(path: &Path) {
    let caps = Caps::open(path, &boot()).unwrap();
    std::thread::scope(|threads| {
        for thread in 0..THREADS {
            let caps = &caps;
            threads.spawn(move || {
                // Money waits for the disk, the rest for the kernel alone.
                while let Ok(reservation) = caps.reserve(run(), &demand(thread % 2)) {
                    reservation.commit(0);
                    // One write, which the pipe takes whole.
                    std::io::stdout()
                        .write_all(format!("got {}\n", thread % 2).as_bytes())
                        .unwrap();
                }
            });
        }
    });
}

/// What the file has taken: turns, rows and cents.
fn taken(path: &Path) -> [u64; 3] {
    let caps = Caps::open(path, &boot()).unwrap();
    let spent = caps.spent(run());
    let of = |demand: Demand| {
        let left: Vec<_> = std::iter::from_fn(|| caps.reserve(run(), &demand).ok()).collect();
        let taken = CAP - left.len() as u64;
        left.into_iter().for_each(Reservation::refund);
        taken
    };
    let turns = of(Demand { shares: Vec::new(), ..demand(0) });
    let rows = of(Demand { paces: Vec::new(), ..demand(0) });
    [turns, rows, spent]
}

#[test]
fn a_kill_in_the_middle_loses_no_call_and_counts_none_twice() {
    if let Ok(path) = std::env::var(CHILD_FILE) {
        return reserve_until_killed(Path::new(&path));
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("caps.db");
    // Turns, rows and cents that were said to be taken, or found to be.
    let mut said = [0; 3];
    for killed_after in [40, 150, 400] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", THIS, "--nocapture", "--quiet"])
            .env(CHILD_FILE, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut count = |line: &str| {
            if let Some(rest) = line.strip_prefix("got ") {
                let cents = rest.parse::<u64>().unwrap();
                said = [said[0] + 1, said[1] + 1, said[2] + cents];
            }
        };
        for line in lines.by_ref().take(killed_after) {
            count(&line.unwrap());
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it had said before it died.
        lines.map_while(Result::ok).for_each(|line| count(&line));
        let found = taken(&path);
        // What was kept and not said: the calls that were under way.
        let unsaid = |(said, found): (&u64, &u64)| (*said..=*said + THREADS).contains(found);
        assert!(said.iter().zip(&found).all(unsaid), "{found:?} are kept, {said:?} were said");
        said = found;
    }
    assert!(said[0] > 500 && said[2] > 10, "the control: {said:?}");
}
