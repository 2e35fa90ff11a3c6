//! The canary: a process in a cgroup of its own under the agents' cgroup tries what no unregistered
//! process may do. Attached programs that do not hold it are no cage; those that only observe have to
//! see it.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use atf_common::records::State;
use atf_common::vector::Vector;
use aya::maps::{HashMap, Map, MapData};

use super::Mode;
use super::attach::Loaded;
use super::cage::{CANARY, Cage, cgroup_id};
use super::error::KernelError;
use super::object::Object;
use super::programs::{Kind, Program};
use crate::sys::canary::{Attempt, try_in};

/// Makes the canary try everything that `programs` should stop.
///
/// # Errors
/// When an attempt was not stopped, or was not counted where the run's counters are.
pub(super) fn fly(cage: &Cage, object: &Object, programs: &[&Program]) -> Result<(), KernelError> {
    let scratch = Scratch::make(&cage.agents_dir)?;
    let id = cgroup_id(&scratch.dir)?.0;
    let fd = object.map("STATES")?.try_clone_to_owned();
    let fd = fd.map_err(KernelError::doing("open STATES for", &scratch.dir))?;
    let map = MapData::from_fd(fd).and_then(Map::from_map_data);
    let map = map.map_err(KernelError::object("STATES"))?;
    let mut states: HashMap<MapData, u64, State> =
        map.try_into().map_err(KernelError::object("STATES"))?;
    states.insert(id, State::default(), 0).map_err(KernelError::object("STATES"))?;
    let held = held(&scratch, programs);
    let state = states.get(&id, 0);
    states.remove(&id).map_err(KernelError::object("STATES"))?;
    let mut wrong = held?;
    if cage.mode == Mode::Observe {
        // Programs that enforce may still stand beside these, so that an outcome says nothing.
        wrong.clear();
    }
    // Counters elsewhere mean that the programs take another level for the runs'.
    let hook = if programs.iter().any(|program| program.kind == Kind::Lsm) {
        Vector::SocketCreate
    } else {
        Vector::SockCreate
    };
    let seen = state.map_err(KernelError::object("STATES"))?.vectors[hook as usize];
    let counted = match cage.mode {
        Mode::Enforce => seen.denied,
        Mode::Observe => seen.observed,
    };
    if wrong.is_empty() && counted == 0 {
        wrong.push("its denials were not counted for its cgroup".to_owned());
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(KernelError::Canary { cgroup: scratch.dir.clone(), found: wrong.join(", ") })
}

/// Why LSM programs hold nothing here, if they do not: this one is attached to a scratch cgroup that
/// nothing else holds, and should stop a socket there. A kernel without `bpf` in its list of LSMs
/// loads and attaches such a program, and never calls it.
///
/// # Errors
/// When it cannot be tried: that says nothing of the kernel.
pub(super) fn why_no_lsm(cage: &Cage, program: &Loaded) -> Result<Option<String>, KernelError> {
    let scratch = Scratch::make(&cage.mount)?;
    let dir = File::open(&scratch.dir).map_err(KernelError::doing("open", &scratch.dir))?;
    let attach_type = program.program.attach_type;
    let link = crate::sys::bpf::attach(program.fd.as_fd(), dir.as_fd(), attach_type);
    let _link = match link {
        Ok(link) => link,
        Err(error) => return Ok(Some(format!("LSM programs cannot be attached: {error}"))),
    };
    let held = scratch.try_all(&[vsock()])? == [libc::EPERM];
    Ok((!held).then(|| "LSM programs are never called; boot with bpf in lsm=".to_owned()))
}

const TCP4: &str = "a TCP socket";
const TCP6: &str = "a TCP socket of IPv6";
const UDP4: &str = "a UDP socket";
const UNIX_CONNECTION: &str = "a connection to a unix socket";
const UNIX: &str = "a unix socket";
const VSOCK: &str = "a vsock socket";

/// What was tried and had the wrong outcome.
fn held(scratch: &Scratch, programs: &[&Program]) -> Result<Vec<String>, KernelError> {
    let (stream, datagram) = (libc::SOCK_STREAM, libc::SOCK_DGRAM);
    let mut attempts = vec![
        (TCP4, Attempt::socket(libc::AF_INET, stream, 0)),
        (TCP6, Attempt::socket(libc::AF_INET6, stream, 0)),
        (UDP4, Attempt::socket(libc::AF_INET, datagram, 0)),
    ];
    if programs.iter().any(|program| program.kind == Kind::Unix) {
        attempts.push((UNIX_CONNECTION, Attempt::connect_unix(b"\0atf-canary")));
    }
    if programs.iter().any(|program| program.kind == Kind::Lsm) {
        attempts.push((UNIX, Attempt::socket(libc::AF_UNIX, stream, 0)));
        attempts.push((VSOCK, vsock()));
    }
    let (names, tried): (Vec<&str>, Vec<Attempt>) = attempts.into_iter().unzip();
    let outcomes = scratch.try_all(&tried)?;
    let wrong = names.iter().zip(outcomes).filter(|(name, errno)| {
        // A kernel without IPv6 has no such socket to refuse.
        let absent = **name == TCP6 && *errno == libc::EAFNOSUPPORT;
        *errno != libc::EPERM && !absent
    });
    Ok(wrong.map(|(name, errno)| format!("{name} (errno {errno})")).collect())
}

fn vsock() -> Attempt {
    Attempt::socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0)
}

/// A cgroup that is removed when it is dropped.
struct Scratch {
    dir: PathBuf,
}

impl Scratch {
    /// Makes one that nobody else has: a shared one is gone as soon as the first is done with it.
    fn make(parent: &Path) -> Result<Self, KernelError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let dir = parent.join(format!("{CANARY}{}-{number}", std::process::id()));
            match fs::create_dir(&dir) {
                Ok(()) => return Ok(Self { dir }),
                // Left by a process of the same number that was killed.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(KernelError::doing("make", &dir)(error)),
            }
        }
    }

    fn try_all(&self, attempts: &[Attempt]) -> Result<Vec<i32>, KernelError> {
        let path = self.dir.join("cgroup.procs");
        let procs = OpenOptions::new().write(true).open(&path);
        let procs = procs.map_err(KernelError::doing("open", &path))?;
        try_in(&procs, attempts).map_err(KernelError::doing("send a canary into", &self.dir))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir(&self.dir) {
            tracing::warn!(dir = %self.dir.display(), %error, "the canary's cgroup stays");
        }
    }
}
