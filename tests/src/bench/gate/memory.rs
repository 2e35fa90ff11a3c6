//! Whether a decision leaves memory behind: what the process holds after many more of them. The allocator takes some from
//! the kernel now and then, all at once; what each decision leaves is there each time.

use anyhow::{Context, Result};

use super::Bench;
use super::calls::Size;
use crate::bench::report::Row;

/// Rounds of all sizes before the first look; by then pools and arenas have their size.
const WARM_UP: usize = 2_000;

/// How often so many decisions are made: the least growth counts.
const TURNS: usize = 3;

/// KiB that all decisions of a turn may leave: the allocator's own ups and downs.
const GROWTH_KIB_MAX: f64 = 256.0;

/// The least growth of the resident set, in KiB, over as many rounds of all sizes.
pub(super) fn row(bench: &Bench) -> Result<Row> {
    rounds(bench, WARM_UP)?;
    let turn = |_| -> Result<u64> {
        let before = resident_kib()?;
        rounds(bench, bench.rounds)?;
        Ok(resident_kib()?.saturating_sub(before))
    };
    let grown = (0..TURNS).map(turn).collect::<Result<Vec<_>>>()?;
    let grown = grown.into_iter().min().unwrap_or_default();
    Ok(Row::single(
        "memory kept by all decisions",
        "KiB",
        bench.rounds * 3,
        grown as f64,
        GROWTH_KIB_MAX,
    ))
}

fn rounds(bench: &Bench, rounds: usize) -> Result<()> {
    for i in 0..rounds {
        for size in Size::ALL {
            bench.decide(&size.message(i, bench.prompt))?;
        }
    }
    Ok(())
}

/// `VmRSS` of this process.
fn resident_kib() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.context("the kernel tells no VmRSS")?.parse().context("VmRSS is no number")
}
