//! The area `cage`: what the kernel programs cost. A worker in a run and one outside of the cage do
//! the same in turns, so that what else this machine does falls on both.
//!
//! A run makes no INET socket but on a loopback of its own: the other rows of TCP and UDP are of a process beside
//! the cage, with the cage up and without any.

mod apart;
mod beside;
mod bridged;
mod creation;
mod inside;
mod operation;
mod seal;
mod worker;

use anyhow::Result;

use super::report::Row;
use super::{Options, Report};
pub use worker::work;

/// The area `cage`.
///
/// # Errors
/// When something cannot be set up (root?), or is allowed or refused that should not be.
pub fn cage(options: &Options) -> Result<Report> {
    let mut rows: Vec<Row> = inside::rows(options.extent)?;
    rows.extend(bridged::rows(options.extent)?);
    rows.extend(beside::rows(options.extent)?);
    rows.push(seal::row(options.extent)?);
    rows.extend(creation::rows(options)?);
    Ok(Report { area: "cage".to_owned(), rows })
}
