//! What the authority does before it listens: its key, its registry, and the kernel's map brought
//! into line with it. The registry is right; the map is a copy.

use std::collections::HashSet;
use std::path::Path;

use super::clock::boot_ms;
use super::error::AuthorityError;
use super::log::Log;
use super::register::record;
use super::subscriber::Subscriber;
use super::{Authority, KernelSide, Settings, tokens};
use crate::audit::Event;
use crate::call::CgroupId;
use crate::state::{Registered, Registry};
use crate::wire::{Ids, Places};

/// Where the kernel names this boot (random(4)).
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Opens everything and reconciles.
pub(super) fn open(
    places: &Places,
    ids: &Ids,
    settings: &Settings,
    kernel: KernelSide,
) -> Result<Authority, AuthorityError> {
    for dir in [places.state("authority"), places.runtime("authority")] {
        std::fs::create_dir_all(&dir).map_err(failed("make the directory", &dir))?;
    }
    let boot = std::fs::read_to_string(BOOT_ID).map_err(failed("read", Path::new(BOOT_ID)))?;
    let mut authority = Authority {
        registry: Registry::open(&places.state("authority").join("registry.db"))?,
        minter: tokens::minter(places)?,
        subscriber: Subscriber::default(),
        log: Log::new(places.recorder_socket()),
        places: places.clone(),
        ids: ids.clone(),
        settings: settings.clone(),
        kernel,
        boot: boot.trim().to_owned(),
    };
    authority.reconcile()?;
    authority.announce();
    Ok(authority)
}

impl Authority {
    fn reconcile(&mut self) -> Result<(), AuthorityError> {
        let in_kernel: HashSet<CgroupId> =
            (self.kernel.all)().map_err(AuthorityError::Kernel)?.into_iter().collect();
        let live = self.registry.live()?;
        let known: HashSet<CgroupId> = live.iter().map(|run| run.cgroup).collect();
        // First what nobody answers for: it must not live a moment longer than needed.
        for cgroup in in_kernel.difference(&known) {
            tracing::warn!(%cgroup, "the kernel has a run that the registry does not know");
            (self.kernel.remove)(*cgroup).map_err(AuthorityError::Kernel)?;
        }
        for run in live {
            if let Some(how) = self.lost(&run, in_kernel.contains(&run.cgroup)) {
                self.forget(&run, how.as_str().into())?;
            }
        }
        Ok(())
    }

    /// Brings one live run into line; says how it was lost when it cannot be.
    fn lost(&self, run: &Registered, in_kernel: bool) -> Option<String> {
        if run.boot != self.boot {
            return Some("the host was restarted".to_owned());
        }
        if run.end_boot_ms <= boot_ms() {
            return Some("its absolute end has passed".to_owned());
        }
        if !self.kernel.has_cgroup(run.run, run.cgroup) {
            return Some("its cgroup is gone".to_owned());
        }
        // Whether it was sealed the kernel knew alone.
        if !in_kernel {
            return Some("the kernel does not know it: the cage was made anew".to_owned());
        }
        let written = (self.kernel.extend)(run.cgroup, record(run));
        written.err().map(|error| format!("the kernel refused it: {error}"))
    }

    /// Says in the log that the authority started. A recorder that is not there yet is no reason to
    /// stay away: nothing is admitted or renewed without it, and the start is said when it comes.
    fn announce(&mut self) {
        let facts = vec![
            ("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
            ("key".to_owned(), self.minter.kid().to_owned()),
        ];
        self.log.begin(Event::Started { facts });
    }
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> AuthorityError {
    let path = path.to_owned();
    move |error| AuthorityError::Io { what, path, error }
}
