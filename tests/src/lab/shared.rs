//! What the lab shares with everybody on the host without a socket: memory, a queue, a file, a pipe.

use std::fs::{self, File, Permissions};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};

use super::{Oracle, address};
use crate::sys::ipc::{Queue, Segment, key_of};

/// Everybody may read and write.
const FOR_ALL: u32 = 0o666;

/// How often memory and files are looked at.
const TURN: Duration = Duration::from_millis(5);

/// The file in `/dev/shm`, which goes with its value.
#[derive(Debug)]
pub(super) struct Shared {
    file: PathBuf,
    queue: String,
    key: i32,
}

impl Shared {
    /// Makes everything; `lab` is the lab's folder.
    pub(super) fn new(oracle: &mut Oracle, lab: &Path) -> io::Result<Self> {
        let name = address::shared_name(lab);
        let shared = Self {
            file: Path::new("/dev/shm").join(&name),
            queue: name.clone(),
            key: key_of(&name),
        };
        match Segment::make(shared.key) {
            Ok(segment) => watch(oracle, "shared_memory", move || segment.take()),
            Err(error) => oracle.miss("shared_memory", error.into()),
        }
        match Queue::make(&name) {
            Ok(queue) => listen(oracle, queue),
            Err(error) => oracle.miss("message_queue", error.into()),
        }
        match everybodys_file(&shared.file) {
            Ok(()) => {
                let path = shared.file.clone();
                watch(oracle, "dev_shm", move || take_file(&path));
            }
            Err(error) => oracle.miss("dev_shm", error),
        }
        pipe(oracle, "fifo", &lab.join(address::FIFO))?;
        pipe(oracle, "foreign_fifo", &lab.join(address::FIFO_VISIBLE))?;
        Ok(shared)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // What is gone already needs no removal.
        drop(fs::remove_file(&self.file));
        Queue::remove(&self.queue);
        Segment::remove(self.key);
    }
}

/// Counts what `take` finds, each turn.
fn watch(oracle: &mut Oracle, name: &'static str, take: impl Fn() -> usize + Send + 'static) {
    let canary = oracle.add(name);
    thread::spawn(move || {
        loop {
            thread::sleep(TURN);
            if let length @ 1.. = take() {
                canary.arrived(length);
            }
        }
    });
}

fn listen(oracle: &mut Oracle, queue: Queue) {
    let canary = oracle.add("message_queue");
    thread::spawn(move || {
        while let Ok(length) = queue.receive() {
            canary.arrived(length);
        }
    });
}

fn everybodys_file(path: &Path) -> io::Result<()> {
    fs::write(path, "")?;
    fs::set_permissions(path, Permissions::from_mode(FOR_ALL))
}

fn take_file(path: &Path) -> usize {
    let length = fs::metadata(path).map_or(0, |file| file.len() as usize);
    if length > 0 {
        drop(File::create(path));
    }
    length
}

/// A pipe that we hold open for both, so that it never ends.
fn pipe(oracle: &mut Oracle, name: &'static str, path: &Path) -> io::Result<()> {
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(FOR_ALL), 0)?;
    fs::set_permissions(path, Permissions::from_mode(FOR_ALL))?;
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    let mut pipe = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let canary = oracle.add(name);
    thread::spawn(move || {
        let mut bytes = [0; 256];
        while let Ok(length @ 1..) = pipe.read(&mut bytes) {
            canary.arrived(length);
        }
    });
    Ok(())
}
