//! `cargo xtask bench AREA`: what ATF costs, each figure beside a baseline of the same run. A figure
//! without its baseline says more of the machine than of ATF, so ratios are what to compare.

mod cage;
mod call;
mod direct;
mod extent;
mod gate;
mod gateway;
mod report;
mod seal;

use std::path::PathBuf;

use anyhow::Result;

pub use cage::{cage, work as work_in_cage};
pub use extent::Extent;
pub use gateway::gateway;
pub use gateway::{Peer, Peers};
pub use report::{Report, Row};

/// What to measure with.
#[derive(Debug, Clone)]
pub struct Options {
    /// The product's binary.
    pub atf: PathBuf,
    /// The demo's binary.
    pub demo: PathBuf,
    /// The test agent's binary.
    pub hijacked: PathBuf,
    /// The policies.
    pub policies: PathBuf,
    /// The Python packages of other deciders, a folder each, which the area `gate` is measured beside.
    pub peers: Option<PathBuf>,
    /// Whom the area `gateway` is measured beside.
    pub beside: Peers,
    /// What the names of the loads of the area `gateway` must contain to be measured.
    pub only: Option<String>,
    /// How much is measured.
    pub extent: Extent,
}

/// The area `line`: the gate alone, the whole call, the seal.
///
/// # Errors
/// When something cannot be set up (root?) or a call that must succeed does not.
pub fn line(options: &Options) -> Result<Report> {
    let mut rows = gate::rows(options)?;
    rows.extend(call::rows(options)?);
    rows.extend(seal::rows(options)?);
    Ok(Report { area: "line".to_owned(), rows })
}

/// The area `gate`: the decision in process, as a whole and step by step.
///
/// # Errors
/// When the policies cannot be read, or a call that must be allowed is not.
pub fn gate(options: &Options) -> Result<Report> {
    Ok(Report { area: "gate".to_owned(), rows: gate::steps(options)? })
}
