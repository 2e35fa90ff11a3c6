//! What a keeper that was killed left behind: found by the next one, and taken down.

use std::fs::{self, File};
use std::path::Path;

use crate::call::RunId;
use crate::wire::{Ids, Places};

use super::RunError;
use super::admission::Authority;
use super::cgroup::Cgroup;
use super::directory;

/// Takes down runs whose keeper is gone. Their processes died with it; their cgroups, directories and
/// registrations did not. What cannot be taken down now is left for the next time.
pub(super) fn sweep(places: &Places, ids: &Ids, agents_dir: &Path, authority: &Authority) {
    let Ok(runs) = fs::read_dir(places.run_dir.join("runs")) else {
        // There has been no run yet.
        return;
    };
    for entry in runs.flatten() {
        let name = entry.file_name();
        let Some(run) = name.to_str().and_then(|name| name.parse::<RunId>().ok()) else {
            continue;
        };
        // A keeper holds the lock for as long as it lives.
        let Ok(lock) = File::open(entry.path()) else {
            continue;
        };
        if lock.try_lock().is_err() {
            continue;
        }
        match take_down(run, &entry.path(), ids, agents_dir, authority) {
            Ok(()) => tracing::warn!(%run, "took down a run whose keeper was killed"),
            Err(why) => tracing::error!(%run, why, "a run whose keeper was killed is left behind"),
        }
    }
}

fn take_down(
    run: RunId,
    path: &Path,
    ids: &Ids,
    agents_dir: &Path,
    authority: &Authority,
) -> Result<(), String> {
    let cgroup = Cgroup::find(agents_dir, run).map_err(|error| error.to_string())?;
    if let Some(problem) = cgroup.as_ref().and_then(Cgroup::kill) {
        return Err(problem);
    }
    match authority.end_once(run, "keeper killed", None) {
        // Refused: it does not know the run any more, or never did.
        Ok(()) | Err(RunError::Refused { .. }) => {}
        Err(error) => return Err(error.to_string()),
    }
    if let Some(problem) = cgroup.as_ref().and_then(Cgroup::remove) {
        return Err(problem);
    }
    directory::remove(path, (ids.gateway, ids.group)).map_err(|error| error.to_string())
}
