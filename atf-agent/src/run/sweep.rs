//! What a keeper that was killed left behind: found by the next one, and taken down.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::call::RunId;
use crate::kernel::boot_ms;
use crate::wire::{Ids, Places};

use super::RunError;
use super::admission::Authority;
use super::cgroup::Cgroup;
use super::directory;

/// After a look, nobody looks for so many times as long as it took. Each launcher looks at all runs, so that of
/// thousands that start at once most of the work would be that.
const REST_TIMES: u64 = 10;

/// Longest rest, in milliseconds. What is longer was written in another boot.
const REST_MAX_MS: u64 = 10_000;

/// Takes down runs whose keeper is gone. Their processes died with it; their cgroups, directories and
/// registrations did not. What cannot be taken down now is left for the next time.
pub(super) fn sweep(places: &Places, ids: &Ids, agents_dir: &Path, authority: &Authority) {
    let Ok(runs) = fs::read_dir(places.run_dir.join("runs")) else {
        // There has been no run yet.
        return;
    };
    let Some(look) = Look::begin(&places.run_dir) else {
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
    look.end();
}

/// One launcher's look at all runs, which no other one takes meanwhile.
struct Look {
    /// Locked; says until when nobody looks, by the boot clock.
    rest: File,
    began_boot_ms: u64,
}

impl Look {
    /// None while another launcher looks, and for a while after it has.
    fn begin(run_dir: &Path) -> Option<Self> {
        let began_boot_ms = boot_ms();
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut rest = options.open(run_dir.join("swept")).ok()?;
        rest.try_lock().ok()?;
        let mut text = String::new();
        rest.read_to_string(&mut text).ok()?;
        let until_boot_ms: u64 = text.trim().parse().unwrap_or_default();
        let left_ms = until_boot_ms.saturating_sub(began_boot_ms);
        (left_ms == 0 || left_ms > REST_MAX_MS).then_some(Self { rest, began_boot_ms })
    }

    fn end(mut self) {
        let now_boot_ms = boot_ms();
        let rest_ms = (now_boot_ms - self.began_boot_ms) * REST_TIMES;
        let until_boot_ms = now_boot_ms + rest_ms.min(REST_MAX_MS);
        let written = self.rest.set_len(0).and_then(|()| self.rest.rewind());
        if let Err(error) = written.and_then(|()| writeln!(self.rest, "{until_boot_ms}")) {
            tracing::warn!(%error, "the next launcher looks for dead keepers at once");
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
        Ok(_) | Err(RunError::Refused { .. }) => {}
        Err(error) => return Err(error.to_string()),
    }
    if let Some(problem) = cgroup.as_ref().and_then(Cgroup::remove) {
        return Err(problem);
    }
    directory::remove(path, (ids.gateway, ids.group)).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The control is the first look, and the one after a rest that is over.
    #[test]
    fn one_looks_at_a_time_and_rests_for_as_long_as_it_costs() {
        let dir = tempfile::tempdir().unwrap();
        let begin = || Look::begin(dir.path());
        let looks = begin().unwrap();
        assert!(begin().is_none(), "another one looks");
        drop(looks);
        let now = boot_ms();
        for (until, expected) in [
            (now + REST_MAX_MS / 2, false),
            (now, true),
            (now + REST_MAX_MS + 60_000, true),
            (0, true),
        ] {
            fs::write(dir.path().join("swept"), format!("{until}\n")).unwrap();
            assert_eq!(begin().is_some(), expected, "{now} {until}");
        }
        let mut long = begin().unwrap();
        long.began_boot_ms -= 500;
        long.end();
        assert!(begin().is_none(), "it rests");
        let text = fs::read_to_string(dir.path().join("swept")).unwrap();
        assert!(text.trim().parse::<u64>().unwrap() >= now + 500 * REST_TIMES, "{text}");
    }
}
