//! What this kernel can hold, found by loading the real programs. Nothing is attached to the
//! agents' cgroup, nothing is pinned.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::attach::Loaded;
use super::cage::Cage;
use super::error::KernelError;
use super::matrix::{self, Row};
use super::object::Object;
use super::programs::{self, Kind, PROGRAMS};
use super::selftest::{self, Tested};
use super::{Mode, Posture, canary};
use crate::sys::landlock::{self, VERSION_MOVES};

/// The feature that makes the difference between CORE and FULL: LSM programs load and are called.
pub(super) const BPF_LSM: &str = "bpf_lsm";

/// What the launcher holds a run's writes with; no posture depends on it, one attempt does.
pub(super) const LANDLOCK: &str = "landlock";

/// What bounds a run as a whole, as features: cgroup2's controllers. No posture depends on them, and no attempt.
const CONTROLLERS: [(&str, &str); 2] =
    [("pids", "pids_controller"), ("memory", "memory_controller")];

/// One thing that the kernel has, or has not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    /// The program's name; or `bpf_lsm`: LSM programs do not only load but are called; or `landlock`;
    /// or `pids_controller` and `memory_controller` of cgroup2.
    pub name: String,
    /// Whether it is there.
    pub present: bool,
    /// What the kernel said when it is not; empty when it is.
    pub why: String,
}

/// What `atf doctor` says of the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// What follows from the features, and from the mode that is asked for.
    pub posture: Posture,
    /// The layers that this kernel offers, by the posture that they make when they hold.
    pub layers: Posture,
    /// The self-test of this kernel build; absent when there is nothing to try, or it is not passed.
    pub tested: Option<Tested>,
    /// Why the posture is not proven; empty when it is. It is REFUSE then, for nothing goes up.
    pub unproven: String,
    /// The kernel's release, `uname -r`.
    pub kernel: String,
    /// Everything that was looked for.
    pub features: Vec<Feature>,
    /// The attempts that the cage does not close here.
    pub not_covered: Vec<Row>,
}

/// Loads every program once, and says what that means. The posture is claimed when the self-test was
/// passed on this kernel build, which is made now if it never was.
pub fn probe(cage: &Cage) -> Report {
    let found = Object::open(None).and_then(|mut object| Found::load(cage, &mut object));
    let found = found.unwrap_or_else(|error| Found::nothing(cage, &error.to_string()));
    let layers = found.posture();
    let proven = match layers.under(cage.mode) {
        Posture::Refuse | Posture::Observe => None,
        Posture::Core | Posture::Full => Some(selftest::ensure(cage, layers)),
    };
    let (tested, unproven) = match proven {
        None => (None, String::new()),
        Some(Ok(tested)) => (Some(tested), String::new()),
        Some(Err(error)) => (None, error.to_string()),
    };
    Report {
        posture: if unproven.is_empty() { layers.under(cage.mode) } else { Posture::Refuse },
        layers,
        tested,
        unproven,
        kernel: release(),
        not_covered: match cage.mode {
            Mode::Enforce => matrix::not_covered(&found.features),
            // Programs that let everything through close nothing.
            Mode::Observe => matrix::not_covered(&without_programs(&found.features)),
        },
        features: found.features,
    }
}

/// The features of a host whose programs hold nobody.
fn without_programs(features: &[Feature]) -> Vec<Feature> {
    features.iter().filter(|feature| feature.name == LANDLOCK).cloned().collect()
}

/// The kernel's release.
pub(super) fn release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// What loaded.
pub(super) struct Found {
    pub(super) loaded: Vec<Loaded>,
    pub(super) features: Vec<Feature>,
}

impl Found {
    /// Loads every program of the object.
    ///
    /// # Errors
    /// When it cannot be found out whether LSM programs hold. That is no CORE: a fault of the moment
    /// must not take a layer away.
    pub(super) fn load(cage: &Cage, object: &mut Object) -> Result<Self, KernelError> {
        let mut found = Self { loaded: Vec::new(), features: Vec::new() };
        for program in &PROGRAMS {
            let why = match object.load(program) {
                Ok(fd) => {
                    found.loaded.push(Loaded { program, fd });
                    String::new()
                }
                Err(why) if program.kind == Kind::Lsm => why_refused(why),
                Err(why) => why,
            };
            found.tell(program.name, why);
        }
        let why = found.why_no_lsm(cage)?;
        found.tell(BPF_LSM, why);
        found.tell_of_the_host(cage);
        Ok(found)
    }

    fn nothing(cage: &Cage, why: &str) -> Self {
        let mut found = Self { loaded: Vec::new(), features: Vec::new() };
        for name in PROGRAMS.iter().map(|program| program.name).chain([BPF_LSM]) {
            found.tell(name, why.to_owned());
        }
        found.tell_of_the_host(cage);
        found
    }

    /// What no program is needed for, and the launcher works with.
    fn tell_of_the_host(&mut self, cage: &Cage) {
        self.tell(LANDLOCK, why_no_landlock());
        for (controller, name) in CONTROLLERS {
            self.tell(name, why_no_controller(&cage.agents_dir, controller));
        }
    }

    /// The posture that the features make.
    pub(super) fn posture(&self) -> Posture {
        let lsm = self.has(BPF_LSM);
        programs::posture(|program| self.has(program.name) && (program.kind != Kind::Lsm || lsm))
    }

    /// What stands between this kernel and FULL.
    pub(super) fn lacking(&self) -> String {
        let is_layers =
            |name: &str| name != LANDLOCK && CONTROLLERS.iter().all(|(_, c)| *c != name);
        let counts = |feature: &&Feature| !feature.present && is_layers(&feature.name);
        let lacking = self.features.iter().filter(counts);
        let lacking = lacking.map(|feature| format!("{} ({})", feature.name, feature.why));
        lacking.collect::<Vec<_>>().join(", ")
    }

    fn has(&self, name: &str) -> bool {
        self.features.iter().any(|feature| feature.name == name && feature.present)
    }

    fn tell(&mut self, name: &str, why: String) {
        let present = why.is_empty();
        self.features.push(Feature { name: name.to_owned(), present, why });
    }

    /// Why LSM programs are of no use here; empty when they are.
    fn why_no_lsm(&self, cage: &Cage) -> Result<String, KernelError> {
        let hook = self.loaded.iter().find(|loaded| loaded.program.name == "socket_create");
        match hook {
            Some(hook) => Ok(canary::why_no_lsm(cage, hook)?.unwrap_or_default()),
            None => Ok("LSM programs do not load".to_owned()),
        }
    }
}

/// Why the kernel refuses an LSM program. To root it says that root may not, and means that nobody may.
fn why_refused(why: String) -> String {
    match why.contains("(os error 1)") {
        true => format!("no BPF LSM in this kernel, or it is locked down: {why}"),
        false => why,
    }
}

/// Why the launcher cannot hold a run's writes here; empty when it can.
fn why_no_landlock() -> String {
    match landlock::version() {
        Ok(VERSION_MOVES..) => String::new(),
        Ok(0) => "the kernel has none, or `lsm=` does not name it".to_owned(),
        Ok(version) => format!("its version is {version}, and {VERSION_MOVES} is needed"),
        Err(error) => error.to_string(),
    }
}

/// Why runs are not bounded by this controller of cgroup2; empty when they are.
fn why_no_controller(agents_dir: &Path, controller: &str) -> String {
    // Before there is a cage, what its cgroup would be made in says it.
    let mut above = agents_dir.ancestors().map(|dir| dir.join("cgroup.controllers"));
    match above.find_map(|file| std::fs::read_to_string(file).ok()) {
        Some(offered) if offered.split_whitespace().any(|one| one == controller) => String::new(),
        _ => format!(
            "cgroup2 does not offer it here, so that a run has limits for each process alone: boot with \
             `cgroup_no_v1={controller}`, or have `cgroup.subtree_control` above {} name it",
            agents_dir.display()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_controller_is_offered_by_the_cgroup_or_by_what_it_will_be_made_in() {
        let root = tempfile::tempdir().unwrap();
        let agents_dir = root.path().join("atf/agents");
        let lacks = |controller| !why_no_controller(&agents_dir, controller).is_empty();
        assert!(lacks("pids") && lacks("memory"), "no cgroup2");
        std::fs::write(root.path().join("cgroup.controllers"), "cpu pids\n").unwrap();
        assert_eq!((lacks("pids"), lacks("memory")), (false, true));
        std::fs::create_dir_all(&agents_dir).unwrap();
        std::fs::write(agents_dir.join("cgroup.controllers"), "memory\n").unwrap();
        assert_eq!((lacks("pids"), lacks("memory")), (true, false), "its own word counts");
    }

    #[test]
    fn controllers_stand_between_no_kernel_and_its_posture() {
        let mut found = Found { loaded: Vec::new(), features: Vec::new() };
        for name in [LANDLOCK, CONTROLLERS[0].1, CONTROLLERS[1].1] {
            found.tell(name, "not here".to_owned());
        }
        assert_eq!(found.lacking(), "");
        found.tell("connect4", "not here".to_owned());
        assert_eq!(found.lacking(), "connect4 (not here)", "the control");
    }
}
