//! The cage of the self-test: two cgroups and maps that nothing else knows. No pin; when it is dropped,
//! nothing of it is left.

use std::fs::{self, File, OpenOptions};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use atf_common::mode::Mode;
use atf_common::records::{Config, Lease, Run, State};
use aya::maps::{Array, HashMap, Map, MapData, MapError};

use super::super::Posture;
use super::super::cage::{Cage, cgroup_id};
use super::super::clock::boot_ms;
use super::super::error::KernelError;
use super::super::object::Object;
use super::super::programs::{Kind, PROGRAMS, Program, bit};
use crate::sys::bpf;
use crate::sys::canary::{Attempt, try_in};

/// Far longer than the self-test takes, and within what a lease may reach ahead.
const LIVES_MS: u64 = 50_000;

/// How long the kernel may take to let go of detached programs.
const LET_GO_MAX: Duration = Duration::from_secs(5);
const LET_GO_POLL: Duration = Duration::from_millis(5);

/// One round of attempts, by the programs that are attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// The cgroup hooks alone.
    A,
    /// The BPF LSM alone.
    B,
    /// Both, as they go up.
    Both,
}

impl Pass {
    /// The rounds for a cage of these layers.
    pub(super) fn of(layers: Posture) -> &'static [Self] {
        match layers {
            Posture::Full => &[Self::A, Self::B, Self::Both],
            Posture::Core => &[Self::A],
            Posture::Refuse | Posture::Observe => &[],
        }
    }

    /// Its layers, as a word.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
            Self::Both => "AB",
        }
    }

    /// Whether this layer is attached.
    pub(super) fn has(self, layer: char) -> bool {
        self.name().contains(layer)
    }

    fn takes(self, program: &Program) -> bool {
        match program.kind {
            Kind::Inet | Kind::Unix => self.has('A'),
            Kind::Lsm => self.has('B'),
        }
    }
}

/// The cage.
pub(super) struct TestCage {
    programs: Vec<(&'static Program, OwnedFd)>,
    agents: File,
    dirs: Directories,
}

impl TestCage {
    /// Makes the cgroups, loads the programs, and admits the one run. Nothing is attached yet.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn make(cage: &Cage) -> Result<Self, KernelError> {
        let dirs = Directories::make(&cage.mount)?;
        let mut object = Object::open(None)?;
        let mut programs = Vec::new();
        for program in &PROGRAMS {
            // Which ones have to load is the posture's business; the layers that are tried need theirs.
            if let Ok(fd) = object.load(program) {
                programs.push((program, fd));
            }
        }
        let agents = dirs.agents();
        object.configure(Config {
            agents: cgroup_id(&agents)?.0,
            level: cage.level_of_mount() + 2,
            abi: atf_common::ABI_VERSION,
            programs: programs.iter().fold(0, |all, (program, _)| all | bit(program)),
            mode: Mode::Enforce.number(),
            unused: 0,
        })?;
        admit(&object, cgroup_id(&dirs.run())?.0)?;
        let agents = File::open(&agents).map_err(KernelError::doing("open", &agents))?;
        Ok(Self { programs, agents, dirs })
    }

    /// The outcomes of `attempts` by a process that nothing holds.
    ///
    /// # Errors
    /// When no process can be made.
    pub(super) fn outside(&self, attempts: &[Attempt]) -> Result<Vec<i32>, KernelError> {
        try_at(&self.dirs.outside(), attempts)
    }

    /// The outcomes of `attempts` by a process of the run, with the programs of `pass` attached.
    ///
    /// # Errors
    /// When a program cannot be attached, or no process can be made.
    pub(super) fn within(&self, pass: Pass, attempts: &[Attempt]) -> Result<Vec<i32>, KernelError> {
        let mut links = Vec::new();
        for (program, fd) in self.programs.iter().filter(|(program, _)| pass.takes(program)) {
            let link = bpf::attach(fd.as_fd(), self.agents.as_fd(), program.attach_type);
            links.push(link.map_err(KernelError::doing("attach to", &self.dirs.agents()))?);
        }
        let outcomes = try_at(&self.dirs.run(), attempts);
        drop(links);
        self.wait_for_none();
        outcomes
    }

    /// For the control of the tests.
    #[cfg(test)]
    pub(super) fn lose_programs(&mut self) {
        self.programs.clear();
    }

    /// Until nothing is attached any more, so that the next pass has its own programs alone.
    fn wait_for_none(&self) {
        let until = Instant::now() + LET_GO_MAX;
        let mut kinds: Vec<u32> = PROGRAMS.iter().map(|program| program.attach_type).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let some = |kind: &u32| {
            let found = bpf::programs_on(self.agents.as_fd(), *kind, false);
            found.is_ok_and(|programs| !programs.is_empty())
        };
        while kinds.iter().any(some) && Instant::now() < until {
            sleep(LET_GO_POLL);
        }
    }
}

/// Makes the run of this cgroup live.
fn admit(object: &Object, run: u64) -> Result<(), KernelError> {
    let end_boot_ms = boot_ms() + LIVES_MS;
    let mut runs: HashMap<MapData, u64, Run> = open(object, "RUNS")?;
    let mut states: HashMap<MapData, u64, State> = open(object, "STATES")?;
    let mut lease: Array<MapData, Lease> = open(object, "LEASE")?;
    let live = Run { end_boot_ms, token_boot_ms: end_boot_ms, netns_cookie: 0 };
    runs.insert(run, live, 0).map_err(KernelError::object("RUNS"))?;
    states.insert(run, State::default(), 0).map_err(KernelError::object("STATES"))?;
    let awake = Lease { until_boot_ms: end_boot_ms };
    lease.set(0, awake, 0).map_err(KernelError::object("LEASE"))
}

fn open<M: TryFrom<Map, Error = MapError>>(object: &Object, name: &str) -> Result<M, KernelError> {
    let fd = object.map(name)?.try_clone_to_owned();
    let fd = fd.map_err(KernelError::object(name))?;
    let map = MapData::from_fd(fd).and_then(Map::from_map_data).and_then(M::try_from);
    map.map_err(KernelError::object(name))
}

fn try_at(dir: &Path, attempts: &[Attempt]) -> Result<Vec<i32>, KernelError> {
    let path = dir.join("cgroup.procs");
    let procs = OpenOptions::new().write(true).open(&path);
    let procs = procs.map_err(KernelError::doing("open", &path))?;
    try_in(&procs, attempts).map_err(KernelError::doing("try the matrix in", dir))
}

/// `TOP/agents/run` and `TOP/outside`, gone when this is dropped.
struct Directories {
    top: PathBuf,
}

impl Directories {
    fn make(mount: &Path) -> Result<Self, KernelError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let (process, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let made = Self { top: mount.join(format!("atf-selftest-{process}-{number}")) };
        for dir in made.all().iter().rev() {
            // The directory of a process of the same number, which was killed, will do.
            match fs::create_dir(dir) {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                    return Err(KernelError::doing("make", dir)(error));
                }
                _ => {}
            }
        }
        Ok(made)
    }

    fn agents(&self) -> PathBuf {
        self.top.join("agents")
    }

    fn run(&self) -> PathBuf {
        self.agents().join("run")
    }

    fn outside(&self) -> PathBuf {
        self.top.join("outside")
    }

    /// All, each before the one that it is in.
    fn all(&self) -> [PathBuf; 4] {
        [self.run(), self.agents(), self.outside(), self.top.clone()]
    }
}

impl Drop for Directories {
    fn drop(&mut self) {
        for dir in self.all() {
            if let Err(error) = fs::remove_dir(&dir) {
                tracing::warn!(dir = %dir.display(), %error, "a cgroup of the self-test stays");
            }
        }
    }
}
