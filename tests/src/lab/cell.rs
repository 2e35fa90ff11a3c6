//! A cage of a test's own: its own cgroups and pins, taken down when it is dropped. What it needs and
//! does not get ends the test.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use atf_agent::call::CgroupId;
use atf_agent::kernel::maps::{Deny, Lease, Runs};
use atf_agent::kernel::{self, Cage, Mode, Posture, Proof, Settings};
use atf_agent::sys::canary::{Attempt, try_in};
use atf_agent::wire::{Ids, Places};
use atf_common::records::Run;

/// Longer than any test.
pub const HOUR_MS: u64 = 3_600_000;

/// Longer than any test, and within what a lease may reach ahead.
pub const LEASE_MS: u64 = 50_000;

/// The posture that this kernel must show. Set where it is known (the VM), so that a kernel that
/// lost its LSM cannot pass by holding less.
const EXPECTED: &str = "ATF_EXPECT_POSTURE";

static NEXT: AtomicU32 = AtomicU32::new(0);

/// How many cages of this process stand.
static LIVE: AtomicU32 = AtomicU32::new(0);

/// The cage, with its maps open.
pub struct Cell {
    /// Where it stands.
    pub cage: Cage,
    /// The owners of its pins.
    pub ids: Ids,
    /// What was proven when it went up.
    pub proof: Proof,
    /// The authority's maps.
    pub runs: Runs,
    /// The gateway's map of seals.
    pub deny: Deny,
    /// The gateway's lease.
    pub lease: Lease,
    outside: PathBuf,
}

/// A cgroup, a run's or not.
#[derive(Debug)]
pub struct Place {
    /// Its directory.
    pub dir: PathBuf,
    /// Its id.
    pub id: CgroupId,
}

impl Cell {
    /// Puts a cage up, with a fresh lease.
    ///
    /// # Panics
    /// Without root, or when the kernel holds less than CORE.
    #[must_use]
    pub fn up() -> Self {
        Self::in_mode(Mode::Enforce)
    }

    /// Puts a cage up that does this with what it denies, with a fresh lease.
    ///
    /// # Panics
    /// As [`Cell::up`].
    #[must_use]
    pub fn in_mode(mode: Mode) -> Self {
        let name =
            format!("atf-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        // One for all cages of this process, so that the self-test is made once.
        let state_dir = state_dir();
        LIVE.fetch_add(1, Ordering::SeqCst);
        fs::create_dir_all(&state_dir).expect("a temporary directory can be made");
        let pin_dir = Path::new("/sys/fs/bpf").join(&name);
        let places = Places { pin_dir, state_dir, ..Places::default() };
        let settings = Settings { cgroup: format!("{name}/agents"), posture: Posture::Core, mode };
        let cage = Cage::locate(&places, &settings).expect("cgroup2 is mounted");
        let ids = Ids::default();
        let proof = kernel::up(&cage, &ids).expect("the cage goes up (this test needs root)");
        if let Ok(expected) = std::env::var(EXPECTED)
            && mode == Mode::Enforce
        {
            assert_eq!(proof.posture.name(), expected);
        }
        let pins = &cage.pin_dir;
        let outside = cage.agents_dir.with_file_name("outside");
        fs::create_dir(&outside).expect("a cgroup outside can be made");
        let cell = Self {
            runs: Runs::open(pins).expect("RUNS opens"),
            deny: Deny::open(pins).expect("DENY opens"),
            lease: Lease::open(pins).expect("LEASE opens"),
            cage,
            ids,
            proof,
            outside,
        };
        cell.renew(LEASE_MS);
        cell
    }

    /// Renews the lease for so many milliseconds.
    ///
    /// # Panics
    /// When the map cannot be written.
    pub fn renew(&self, ttl_ms: u64) {
        let renewed = self.lease.renew(kernel::boot_ms() + ttl_ms);
        renewed.expect("the lease is renewed");
    }

    /// A registered run.
    ///
    /// # Panics
    /// When it cannot be made or admitted.
    #[must_use]
    pub fn run(&self, name: &str) -> Place {
        let place = self.unregistered(name);
        let admitted = self.runs.admit(place.id, lasting(HOUR_MS));
        admitted.expect("the run is admitted");
        place
    }

    /// A registered run with a loopback of its own, in this network.
    ///
    /// # Panics
    /// When it cannot be made or admitted.
    #[must_use]
    pub fn bridged(&self, name: &str, netns_cookie: u64) -> Place {
        let place = self.unregistered(name);
        let admitted = self.runs.admit(place.id, Run { netns_cookie, ..lasting(HOUR_MS) });
        admitted.expect("the run is admitted");
        place
    }

    /// A child of the agents' cgroup that nobody registered.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn unregistered(&self, name: &str) -> Place {
        Place::make(self.cage.agents_dir.join(name))
    }

    /// A cgroup beside the agents': for negative controls.
    ///
    /// # Panics
    /// When it is gone.
    #[must_use]
    pub fn outside(&self) -> Place {
        Place::of(self.outside.clone())
    }

    /// Whether a program of this name is attached.
    #[must_use]
    pub fn has(&self, program: &str) -> bool {
        self.proof.programs.iter().any(|found| found.name == program)
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        kernel::down(&self.cage).expect("the cage comes down");
        let top = self.outside.parent().expect("a test's cgroup has a parent");
        remove_tree(top);
        if LIVE.fetch_sub(1, Ordering::SeqCst) == 1 {
            // Another one may have just begun, and makes the self-test anew.
            let _gone = fs::remove_dir_all(state_dir());
        }
    }
}

impl Place {
    /// Makes it.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn make(dir: PathBuf) -> Self {
        fs::create_dir(&dir).expect("a cgroup can be made");
        Self::of(dir)
    }

    fn of(dir: PathBuf) -> Self {
        let id = CgroupId(fs::metadata(&dir).expect("the cgroup is there").ino());
        Self { dir, id }
    }

    /// A cgroup inside this one.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn nested(&self, name: &str) -> Self {
        Self::make(self.dir.join(name))
    }

    /// The error number of an attempt by a process in this cgroup; 0 for success.
    ///
    /// # Panics
    /// When no process enters the cgroup.
    pub fn tries(&self, attempt: &Attempt) -> i32 {
        self.tries_all(std::slice::from_ref(attempt))[0]
    }

    /// The error numbers of attempts by one process in this cgroup.
    ///
    /// # Panics
    /// When no process enters the cgroup.
    pub fn tries_all(&self, attempts: &[Attempt]) -> Vec<i32> {
        let procs: File = OpenOptions::new()
            .write(true)
            .open(self.dir.join("cgroup.procs"))
            .expect("cgroup.procs opens");
        try_in(&procs, attempts).expect("the process enters the cgroup")
    }
}

/// A run that ends, with its token, after so many milliseconds.
#[must_use]
pub fn lasting(ms: u64) -> Run {
    let end_boot_ms = kernel::boot_ms() + ms;
    Run { end_boot_ms, token_boot_ms: end_boot_ms, netns_cookie: 0 }
}

/// The state of all cages of this process.
fn state_dir() -> PathBuf {
    std::env::temp_dir().join(format!("atf-test-{}", std::process::id()))
}

fn remove_tree(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path());
        }
    }
    if let Err(error) = fs::remove_dir(dir) {
        eprintln!("{}: {error}", dir.display());
    }
}
