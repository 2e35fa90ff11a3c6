//! `atf enforcer watch`: the proof, repeated. A cage that is not proven holds nobody, so the runs
//! are stopped before anything else is done about it.

use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use super::freeze::Frozen;
use super::log;
use crate::kernel::{self, Cage, KernelError, Proof};
use crate::wire::{Ids, Places};

/// Between two proofs. A proof costs the kernel some sixty calls.
const INTERVAL: Duration = Duration::from_secs(1);

/// What one look at the cage saw and did.
#[derive(Debug)]
pub enum Seen {
    /// It stands.
    Proven(Proof),
    /// It did not, and does now. The runs went on.
    Repaired {
        /// What was wrong.
        mismatch: String,
        /// The new proof.
        proof: Proof,
    },
    /// It does not. The runs stay frozen.
    Broken {
        /// What is wrong.
        mismatch: String,
        /// Why the repair failed.
        error: KernelError,
    },
}

/// The watch over one cage.
pub struct Watch<'a> {
    cage: &'a Cage,
    ids: &'a Ids,
    recorder: PathBuf,
    frozen: Frozen,
}

/// Looks each second, for ever, and tells `each` what it saw.
pub fn watch(cage: &Cage, ids: &Ids, places: &Places, mut each: impl FnMut(&Seen)) -> ! {
    let mut watch = Watch::new(cage, ids, places);
    loop {
        each(&watch.look());
        sleep(INTERVAL);
    }
}

impl<'a> Watch<'a> {
    /// A watch that has not looked yet. It thaws what one before it froze, once the cage is proven.
    pub fn new(cage: &'a Cage, ids: &'a Ids, places: &Places) -> Self {
        let frozen = Frozen::left(cage, places.runtime("enforcer").join("frozen"));
        Self { cage, ids, recorder: places.recorder_socket(), frozen }
    }

    /// Looks once: proves the cage or, when that fails, freezes the runs, reports, repairs, and
    /// lets the runs go on if the repair held.
    pub fn look(&mut self) -> Seen {
        let mismatch = match kernel::prove(self.cage) {
            Ok(proof) => {
                self.frozen.thaw();
                return Seen::Proven(proof);
            }
            Err(error) => error.to_string(),
        };
        self.frozen.freeze(self.cage);
        tracing::error!(%mismatch, frozen = self.frozen.len(), "the cage is not proven");
        self.report(&mismatch);
        match kernel::up(self.cage, self.ids) {
            Ok(proof) => {
                self.frozen.thaw();
                Seen::Repaired { mismatch, proof }
            }
            Err(error) => Seen::Broken { mismatch, error },
        }
    }

    /// Tells the recorder. A recorder that is away must not keep the cage from being repaired.
    fn report(&self, mismatch: &str) {
        if let Err(error) = log::record(&self.recorder, "cage.mismatch", mismatch) {
            tracing::error!(%error, "the finding could not be recorded");
        }
    }
}
