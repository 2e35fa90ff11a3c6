//! Cases of the verdict out of the fuzzer's bytes. Ids and numbers are few, so that they meet.

use atf_common::operation::{NOBODY, Operation};
use atf_common::promise::{Step, keeps, lives, with_network};
use atf_common::records::{Lease, Run};
use atf_common::verdict::Facts;
use libfuzzer_sys::arbitrary::{Arbitrary, Result, Unstructured};

/// The longest life, in steps.
const STEPS_MAX: usize = 200;

/// What is put to the verdict.
#[derive(Debug)]
pub enum Case {
    /// One operation with whatever facts.
    Any(u64, Facts, u64, Operation),
    /// One operation of a live run with this network.
    Live(u64, u64, Operation),
    /// Operations of several runs, one after the other.
    Life(Vec<Step>),
}

impl Case {
    /// Asks the verdict; says whether anything was allowed.
    ///
    /// # Panics
    /// When the promise is not kept.
    pub fn keeps(self) -> bool {
        match self {
            Self::Any(run, facts, now, operation) => keeps(run, &facts, now, operation),
            Self::Live(run, network, operation) => {
                keeps(run, &with_network(network), 10, operation)
            }
            Self::Life(steps) => lives(steps).own > 0,
        }
    }
}

impl<'a> Arbitrary<'a> for Case {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match bytes.int_in_range(0..=2)? {
            0 => Self::Any(id(bytes)?, facts(bytes)?, time(bytes)?, operation(bytes)?),
            1 => Self::Live(id(bytes)?, id(bytes)?, operation(bytes)?),
            _ => {
                let count = bytes.int_in_range(1..=STEPS_MAX)?;
                let mut steps = Vec::with_capacity(count);
                while steps.len() < count && !bytes.is_empty() {
                    steps.push(step(bytes)?);
                }
                Self::Life(steps)
            }
        })
    }
}

fn id(bytes: &mut Unstructured<'_>) -> Result<u64> {
    bytes.choose(&[NOBODY, 1, 2, 3, u64::MAX]).copied()
}

/// Numbers as the kernel has them, and others.
fn number(bytes: &mut Unstructured<'_>) -> Result<u32> {
    if bytes.ratio(7, 8)? { bytes.int_in_range(0..=63) } else { bytes.arbitrary() }
}

/// Close to each other, so that each end is met from both sides, and others.
fn time(bytes: &mut Unstructured<'_>) -> Result<u64> {
    if bytes.ratio(3, 4)? { bytes.int_in_range(0..=4) } else { bytes.arbitrary() }
}

fn maybe<T>(
    bytes: &mut Unstructured<'_>,
    make: fn(&mut Unstructured<'_>) -> Result<T>,
) -> Result<Option<T>> {
    if bytes.ratio(3, 4)? { make(bytes).map(Some) } else { Ok(None) }
}

fn facts(bytes: &mut Unstructured<'_>) -> Result<Facts> {
    let run = |bytes: &mut Unstructured<'_>| {
        let (end_boot_ms, token_boot_ms) = (time(bytes)?, time(bytes)?);
        Ok(Run { end_boot_ms, token_boot_ms, netns_cookie: id(bytes)? })
    };
    Ok(Facts {
        run: maybe(bytes, run)?,
        deny: bytes.ratio(1, 4)?,
        latched_boot_ns: maybe(bytes, |bytes| bytes.int_in_range(0..=1))?,
        lease: maybe(bytes, |bytes| Ok(Lease { until_boot_ms: time(bytes)? }))?,
    })
}

fn operation(bytes: &mut Unstructured<'_>) -> Result<Operation> {
    Ok(match bytes.int_in_range(0..=8)? {
        0 => Operation::Never,
        1 => Operation::Always,
        2 => Operation::Create {
            family: number(bytes)?,
            kind: number(bytes)?,
            protocol: number(bytes)?,
        },
        3 => Operation::CreateInet {
            family: number(bytes)?,
            kind: number(bytes)?,
            protocol: number(bytes)?,
            network: id(bytes)?,
            host: id(bytes)?,
        },
        4 => Operation::Address {
            stamped_for: maybe(bytes, id)?,
            kind: number(bytes)?,
            protocol: number(bytes)?,
            network: id(bytes)?,
            is_loopback: bytes.arbitrary()?,
        },
        5 => Operation::Traffic { stamped_for: maybe(bytes, id)? },
        6 => Operation::Packet { stamped_for: maybe(bytes, id)?, interface: number(bytes)? },
        7 => Operation::Connect { marked_for: maybe(bytes, id)?, owner: maybe(bytes, id)? },
        _ => Operation::Reach { owner: maybe(bytes, id)? },
    })
}

fn step(bytes: &mut Unstructured<'_>) -> Result<Step> {
    let what = bytes.int_in_range(0..=6)?;
    let (who, whom) = (bytes.int_in_range(0..=3)?, bytes.int_in_range(0..=3)?);
    Ok((what, who, bytes.int_in_range(0..=63)?, bytes.int_in_range(0..=63)?, whom))
}
