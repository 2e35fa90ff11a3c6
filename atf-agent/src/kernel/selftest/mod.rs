//! The self-test: before a posture is claimed on a kernel build that this host has not seen, the rows
//! of the matrix that are one socket operation are tried on it, against a cage of their own: other
//! cgroups, other maps, a network that has nothing else. Nobody's run, pin or address is touched.

mod cage;
mod kept;
mod rows;
mod targets;

use std::io;
use std::path::Path;
use std::thread;

use serde::{Deserialize, Serialize};

use super::Posture;
use super::cage::Cage;
use super::error::KernelError;
use super::matrix;
use crate::sys::canary::Attempt;
use crate::sys::network;
use cage::{Pass, TestCage};
use targets::Targets;

pub use kept::Build;

/// Rows that have to be closed in each pass of layer A: were they vacuous too, nothing was shown.
const NEEDED_A: [&str; 2] = ["tcp4", "udp4"];
/// The same for layer B.
const NEEDED_B: [&str; 3] = ["tcp4", "udp4", "unix_abstract"];

/// A self-test that came to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tested {
    /// What it holds for.
    pub build: Build,
    /// The layers that it tried, by the posture that they make.
    pub layers: Posture,
    /// Each row in each pass.
    pub tried: Vec<Tried>,
    /// Connections and datagrams that arrived from the run.
    pub arrived: u64,
    /// The error number of what a live run may do, in each pass; 0 when it could.
    pub allowed: Vec<i32>,
}

/// One row in one pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tried {
    /// The row's name in the matrix.
    pub row: String,
    /// The layers that were attached: `A`, `B`, `AB`.
    pub layers: String,
    /// What came of it.
    pub verdict: Verdict,
}

/// What a row came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It works outside of the cage, and is refused within.
    Closed,
    /// It works nowhere here, which shows nothing.
    Vacuous,
    /// It works within, or fails there in another way than by a refusal.
    Escaped,
}

impl Verdict {
    /// By the error numbers outside of the cage and within.
    fn of(without: i32, within: i32) -> Self {
        match (without, within) {
            (0, libc::EPERM) => Self::Closed,
            (0, _) | (_, 0) => Self::Escaped,
            (_, _) => Self::Vacuous,
        }
    }
}

impl Tested {
    /// How many rows came to this, in all passes.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.tried.iter().filter(|tried| tried.verdict == verdict).count()
    }

    /// Why it is not passed, if it is not.
    pub(super) fn why_not(&self) -> Option<String> {
        let escaped = self.tried.iter().filter(|tried| tried.verdict == Verdict::Escaped);
        let mut wrong: Vec<String> =
            escaped.map(|tried| format!("{}@{} is not closed", tried.row, tried.layers)).collect();
        if self.arrived > 0 {
            wrong.push(format!("{} connections or datagrams arrived", self.arrived));
        }
        if self.allowed.len() != Pass::of(self.layers).len() || self.allowed.iter().any(|e| *e != 0)
        {
            wrong.push(format!("a live run could not reach itself: {:?}", self.allowed));
        }
        for pass in Pass::of(self.layers) {
            let needed: &[&str] = if pass.has('B') { &NEEDED_B } else { &NEEDED_A };
            for row in needed {
                let closed = |tried: &&Tried| {
                    tried.row == *row
                        && tried.layers == pass.name()
                        && tried.verdict == Verdict::Closed
                };
                if self.tried.iter().find(closed).is_none() {
                    wrong.push(format!("{row}@{} could not be shown", pass.name()));
                }
            }
        }
        (!wrong.is_empty()).then(|| wrong.join(", "))
    }
}

/// The passed self-test of this kernel build and this object, at least of these layers: the one that is
/// kept, or else one that is made now.
///
/// # Errors
/// When it cannot be made, or is not passed.
pub(super) fn ensure(cage: &Cage, layers: Posture) -> Result<Tested, KernelError> {
    let build = Build::here();
    if let Some(kept) = kept::read(&cage.state_dir, &build).filter(|kept| kept.layers >= layers) {
        return Ok(kept);
    }
    let tested = make(cage, build, layers)?;
    if let Some(why) = tested.why_not() {
        return Err(KernelError::SelfTest { why });
    }
    if let Err(error) = kept::write(&cage.state_dir, &tested) {
        // It is made again the next time, which costs a second.
        if error.kind() == io::ErrorKind::NotFound {
            tracing::info!(
                "the self-test is made again the next time: nothing is installed here yet"
            );
            return Ok(tested);
        }
        tracing::warn!(dir = %cage.state_dir.display(), %error, "the self-test is not kept");
    }
    Ok(tested)
}

fn make(cage: &Cage, build: Build, layers: Posture) -> Result<Tested, KernelError> {
    // A thread has a network of its own, and so have the processes that it starts.
    let made = thread::scope(|scope| scope.spawn(|| within(cage, build, layers)).join());
    made.unwrap_or_else(|_| Err(KernelError::SelfTest { why: "it died".to_owned() }))
}

fn within(cage: &Cage, build: Build, layers: Posture) -> Result<Tested, KernelError> {
    network::own_loopback().map_err(in_network("make a network for the self-test in place of"))?;
    try_all(&TestCage::make(cage)?, build, layers)
}

/// Every row in every pass, against `test`.
fn try_all(test: &TestCage, build: Build, layers: Posture) -> Result<Tested, KernelError> {
    let targets = Targets::open().map_err(in_network("open the self-test's targets in"))?;
    let trials = rows::trials(&targets).map_err(in_network("address the targets in"))?;
    let mut attempts: Vec<Attempt> = trials.iter().map(|trial| trial.attempt.clone()).collect();
    // What a live run may do: were this refused too, the run would be held for another reason.
    attempts.push(Attempt::meet_own(libc::SOCK_STREAM));
    let without = test.outside(&attempts)?;
    let take = || targets.take().map_err(in_network("ask the self-test's targets in"));
    take()?;
    let matrix = matrix::rows();
    let mut tested = Tested { build, layers, tried: Vec::new(), arrived: 0, allowed: Vec::new() };
    for pass in Pass::of(layers) {
        let within = test.within(*pass, &attempts)?;
        let (inet, unix) = take()?;
        // Which unix socket a run reaches is layer B's to say.
        tested.arrived += inet + if pass.has('B') { unix } else { 0 };
        tested.allowed.extend(within.last());
        for ((trial, without), within) in trials.iter().zip(&without).zip(&within) {
            let closes =
                |control: &String| control.chars().next().is_some_and(|layer| pass.has(layer));
            let row = matrix.iter().find(|row| row.id == trial.id);
            if row.is_some_and(|row| row.closed_by.iter().any(closes)) {
                tested.tried.push(Tried {
                    row: trial.id.to_owned(),
                    layers: pass.name().to_owned(),
                    verdict: Verdict::of(*without, *within),
                });
            }
        }
    }
    Ok(tested)
}

/// For `map_err`: what was being done in the self-test's network.
fn in_network(what: &'static str) -> impl FnOnce(io::Error) -> KernelError {
    KernelError::doing(what, Path::new("/proc/thread-self/ns/net"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::kernel::Settings;
    use crate::wire::Places;

    /// One that is passed.
    pub(in crate::kernel) fn passed() -> Tested {
        let closed = |row: &str, layers: &str| Tried {
            row: row.to_owned(),
            layers: layers.to_owned(),
            verdict: Verdict::Closed,
        };
        let mut tried: Vec<Tried> = NEEDED_A.iter().map(|row| closed(row, "A")).collect();
        tried.extend(NEEDED_B.iter().map(|row| closed(row, "B")));
        tried.extend(NEEDED_B.iter().map(|row| closed(row, "AB")));
        Tested {
            build: Build::here(),
            layers: Posture::Full,
            tried,
            arrived: 0,
            allowed: vec![0; 3],
        }
    }

    #[test]
    fn a_row_is_closed_only_when_it_works_without_and_is_refused_within() {
        for (without, within, verdict) in [
            (0, libc::EPERM, Verdict::Closed),
            (0, 0, Verdict::Escaped),
            (0, libc::ETIMEDOUT, Verdict::Escaped),
            (0, libc::EAFNOSUPPORT, Verdict::Escaped),
            (libc::EAFNOSUPPORT, 0, Verdict::Escaped),
            (libc::EAFNOSUPPORT, libc::EAFNOSUPPORT, Verdict::Vacuous),
            (libc::EAFNOSUPPORT, libc::EPERM, Verdict::Vacuous),
        ] {
            assert_eq!(Verdict::of(without, within), verdict, "{without} and {within}");
        }
    }

    #[test]
    fn each_thing_that_is_wrong_alone_fails_the_self_test() {
        type Break = fn(&mut Tested);
        let rows: [(&str, Break); 7] = [
            ("an escape", |tested| tested.tried[1].verdict = Verdict::Escaped),
            ("a needed row is vacuous", |tested| tested.tried[0].verdict = Verdict::Vacuous),
            ("a needed row is missing", |tested| tested.tried.truncate(1)),
            ("something arrived", |tested| tested.arrived = 1),
            ("a live run is refused too", |tested| tested.allowed[2] = libc::EPERM),
            ("a pass is missing", |tested| tested.allowed.truncate(2)),
            ("nothing was tried", |tested| tested.tried.clear()),
        ];
        assert_eq!(passed().why_not(), None, "control");
        for (name, wrong) in rows {
            let mut tested = passed();
            wrong(&mut tested);
            assert!(tested.why_not().is_some(), "{name}");
        }
    }

    /// The self-test of this kernel, with the programs as they are, or without any.
    fn on_this_kernel(with_programs: bool) -> Tested {
        let cage = Cage::locate(&Places::default(), &Settings::default()).unwrap();
        let made = thread::spawn(move || {
            network::own_loopback().expect("these tests need root");
            let mut test = TestCage::make(&cage).unwrap();
            if !with_programs {
                test.lose_programs();
            }
            try_all(&test, Build::here(), Posture::Core).unwrap()
        });
        made.join().unwrap()
    }

    #[test]
    fn the_programs_pass_on_this_kernel() {
        let tested = on_this_kernel(true);
        assert_eq!(tested.why_not(), None, "{tested:?}");
        assert!(tested.count(Verdict::Closed) >= 15, "{tested:?}");
    }

    /// The control of the one above.
    #[test]
    fn a_cage_without_programs_does_not_pass() {
        let tested = on_this_kernel(false);
        assert_eq!(tested.count(Verdict::Closed), 0, "{tested:?}");
        assert!(tested.count(Verdict::Escaped) >= 15, "{tested:?}");
        assert!(tested.arrived >= 5, "{tested:?}");
        let why = tested.why_not().expect("not passed");
        assert!(why.contains("tcp4@A is not closed") && why.contains("arrived"), "{why}");
    }
}
