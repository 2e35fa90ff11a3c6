//! Freezing runs, and thawing those that we froze: which these are outlives whoever froze them, in a file.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::kernel::Cage;

/// The runs that a watch froze and has not thawed.
pub(super) struct Frozen {
    dirs: Vec<PathBuf>,
    /// Their names, one a line; gone after a reboot, as the runs are.
    file: PathBuf,
}

impl Frozen {
    /// Those that a watch before this one left frozen, as `file` says.
    pub(super) fn left(cage: &Cage, file: PathBuf) -> Self {
        let names = match fs::read(&file) {
            Ok(names) => names,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::error!(file = %file.display(), %error, "what a watch froze is not known");
                }
                Vec::new()
            }
        };
        let names: Vec<&[u8]> = names.split(|byte| *byte == b'\n').collect();
        let is_named = |dir: &PathBuf| names.contains(&name(dir).as_bytes());
        Self { dirs: cage.run_dirs().into_iter().filter(is_named).collect(), file }
    }

    /// Stops every process of every run (cgroup v2, `cgroup.freeze`) that is not frozen already: who froze
    /// one of those has a reason. The agents' cgroup itself is not frozen: the canary of a repair must be
    /// able to move in it. A run that could not be frozen is reported, and the others are frozen still.
    pub(super) fn freeze(&mut self, cage: &Cage) {
        let mut running = cage.run_dirs();
        running.retain(|dir| !is_frozen(dir));
        let before = self.dirs.len();
        for dir in &running {
            if !self.dirs.contains(dir) {
                self.dirs.push(dir.clone());
            }
        }
        // Said before it is done: a watch that dies in between leaves none that the next does not thaw.
        if self.dirs.len() > before {
            self.keep();
        }
        for dir in running {
            // It may have ended meanwhile.
            if let Err(error) = fs::write(switch(&dir), "1") {
                tracing::warn!(dir = %dir.display(), %error, "a run was not frozen");
            }
        }
    }

    /// Lets them go on. One that could not be thawed is tried again the next time, unless it has ended.
    pub(super) fn thaw(&mut self) {
        if self.dirs.is_empty() {
            return;
        }
        self.dirs.retain(|dir| match fs::write(switch(dir), "0") {
            Ok(()) => false,
            Err(error) => {
                tracing::warn!(dir = %dir.display(), %error, "a run was not thawed; it may have ended");
                dir.exists()
            }
        });
        self.keep();
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.dirs.len()
    }

    /// No record keeps a run from being frozen.
    fn keep(&self) {
        let names: Vec<&[u8]> = self.dirs.iter().map(|dir| name(dir).as_bytes()).collect();
        let fresh = self.file.with_extension("new");
        let written =
            fs::write(&fresh, names.join(&b'\n')).and_then(|()| fs::rename(&fresh, &self.file));
        if let Err(error) = written {
            let file = self.file.display();
            tracing::error!(%file, %error, "the next watch will not know which runs are frozen");
        }
    }
}

fn name(dir: &Path) -> &OsStr {
    dir.file_name().unwrap_or_default()
}

fn switch(dir: &Path) -> PathBuf {
    dir.join("cgroup.freeze")
}

fn is_frozen(dir: &Path) -> bool {
    fs::read_to_string(switch(dir)).is_ok_and(|state| state.trim() == "1")
}
