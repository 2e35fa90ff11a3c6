//! The lines that the programs of a build with them write (aya-log), for whoever works on them.

use std::convert::Infallible;
use std::thread::sleep;
use std::time::Duration;

use aya_log::EbpfLogger;
use log::{Log, Metadata, Record};

use super::cage::Cage;
use super::error::KernelError;
use super::proof::prove;

/// Between two looks at the ring, which holds some thousand lines.
const LOOK: Duration = Duration::from_millis(50);

/// Prints the lines for ever. All programs share one ring.
///
/// # Errors
/// When the cage is not proven, or was put up by another build.
pub fn lines(cage: &Cage) -> Result<Infallible, KernelError> {
    let proof = prove(cage)?;
    let program = proof.programs.first().ok_or("no program stands");
    let id = program.map_err(KernelError::object("AYA_LOGS"))?.id;
    let mut ring = EbpfLogger::init_from_id_with_logger(id, Printer)
        .map_err(KernelError::object("AYA_LOGS"))?;
    loop {
        ring.flush();
        sleep(LOOK);
    }
}

struct Printer;

impl Log for Printer {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        tracing::info!(level = %record.level(), "kernel: {}", record.args());
    }

    fn flush(&self) {}
}
