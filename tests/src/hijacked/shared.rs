//! What two processes may share without a socket: memory, message queues, files, pipes.

use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io;

use super::trial::Trial;
use crate::lab::address;
use crate::sys::ipc;

/// The attempts of this family.
pub(super) fn attempt(id: &str, trial: &mut Trial, lab: &Path) -> Option<io::Result<()>> {
    let name = address::shared_name(lab);
    Some(match id {
        "shared_memory" => trial.step(|| {
            let segment = ipc::Segment::of(ipc::key_of(&name))?;
            segment.write(address::SECRET);
            Ok(())
        }),
        "message_queue" => trial.step(|| ipc::Queue::open(&name)?.send(address::SECRET)),
        "dev_shm" => file(trial, &Path::new("/dev/shm").join(&name)),
        "fifo" => file(trial, &lab.join(address::FIFO)),
        "foreign_fifo" => file(trial, &lab.join(address::FIFO_VISIBLE)),
        _ => return None,
    })
}

fn file(trial: &mut Trial, path: &Path) -> io::Result<()> {
    // A pipe that nobody reads must not hold us.
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = trial.step(|| rustix::fs::open(path, flags, Mode::empty()))?;
    trial.step(|| io::write(&file, address::SECRET)).map(drop)
}
