//! Whether the maps that a process holds are those that the programs have. Pins that were removed are made anew by
//! whoever repairs the cage, with new maps behind them; who holds the old ones speaks to no program any more.

use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::open_fd;
use crate::kernel::error::KernelError;
use crate::sys::bpf::{self, Access};

/// Between two looks at the pins.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Maps by their names and ids.
#[derive(Debug)]
pub struct Held {
    pin_dir: PathBuf,
    maps: Vec<(&'static str, u32)>,
}

impl Held {
    /// The maps `names` that are pinned under `pin_dir` now. To be asked before they are opened, so that no change falls
    /// between the two; each has to be one that this process may read.
    ///
    /// # Errors
    /// When one is not pinned, or not to be read.
    pub fn of(pin_dir: &Path, names: &[&'static str]) -> Result<Self, KernelError> {
        let maps = names.iter().map(|name| Ok((*name, id(pin_dir, name)?)));
        Ok(Self { pin_dir: pin_dir.to_owned(), maps: maps.collect::<Result<_, KernelError>>()? })
    }

    /// Those in whose places others are pinned. One whose place is empty is none: the watch is about to fill it.
    pub fn replaced(&self) -> Vec<&'static str> {
        let is_other = |name: &str, held: u32| id(&self.pin_dir, name).is_ok_and(|id| id != held);
        let others = self.maps.iter().filter(|(name, held)| is_other(name, *held));
        others.map(|(name, _)| *name).collect()
    }

    /// Ends this process, with `status`, when one of its maps is replaced: whoever keeps it starts it again, and it
    /// holds the new ones.
    pub fn end_with_them(self, status: u8) {
        thread::spawn(move || {
            loop {
                thread::sleep(LOOK_EVERY);
                let replaced = self.replaced();
                if !replaced.is_empty() {
                    let maps = replaced.join(", ");
                    tracing::error!(
                        maps,
                        "the cage was made anew: this process ends, to begin with the new maps"
                    );
                    std::process::exit(status.into());
                }
            }
        });
    }
}

pub(super) fn id(pin_dir: &Path, name: &str) -> Result<u32, KernelError> {
    let fd = open_fd(pin_dir, name, Access::Read)?;
    bpf::map_id(fd.as_fd()).map_err(KernelError::doing("ask for the id of", &pin_dir.join(name)))
}
