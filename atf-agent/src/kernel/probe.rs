//! What this kernel can hold, found by loading the real programs. Nothing is attached to the
//! agents' cgroup, nothing is pinned.

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

/// One thing that the kernel has, or has not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    /// The program's name; or `bpf_lsm`: LSM programs do not only load but are called; or `landlock`.
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
    let found = found.unwrap_or_else(|error| Found::nothing(&error.to_string()));
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
                Err(why) => why,
            };
            found.tell(program.name, why);
        }
        let why = found.why_no_lsm(cage)?;
        found.tell(BPF_LSM, why);
        found.tell(LANDLOCK, why_no_landlock());
        Ok(found)
    }

    fn nothing(why: &str) -> Self {
        let mut found = Self { loaded: Vec::new(), features: Vec::new() };
        for name in PROGRAMS.iter().map(|program| program.name).chain([BPF_LSM]) {
            found.tell(name, why.to_owned());
        }
        found.tell(LANDLOCK, why_no_landlock());
        found
    }

    /// The posture that the features make.
    pub(super) fn posture(&self) -> Posture {
        let lsm = self.has(BPF_LSM);
        programs::posture(|program| self.has(program.name) && (program.kind != Kind::Lsm || lsm))
    }

    /// What stands between this kernel and FULL.
    pub(super) fn lacking(&self) -> String {
        let counts = |feature: &&Feature| !feature.present && feature.name != LANDLOCK;
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

/// Why the launcher cannot hold a run's writes here; empty when it can.
fn why_no_landlock() -> String {
    match landlock::version() {
        Ok(VERSION_MOVES..) => String::new(),
        Ok(0) => "the kernel has none, or `lsm=` does not name it".to_owned(),
        Ok(version) => format!("its version is {version}, and {VERSION_MOVES} is needed"),
        Err(error) => error.to_string(),
    }
}
