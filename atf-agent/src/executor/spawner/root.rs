//! The spawner's own process: waits for questions and for children that end. It ends with the executor,
//! and the servers with it.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Signal, WaitOptions, pidfd_send_signal, waitpid};

use super::packets::{self, Ask};
use super::{ChildOrders, Confinement, inside};
use crate::sys::clone::{Child, clone_apart};
use crate::sys::signals::Signals;

/// How long the kernel may take to end a killed server.
const END_MAX: Duration = Duration::from_secs(5);

/// Pause between two looks at one that ends.
const END_PAUSE: Duration = Duration::from_millis(2);

/// One server.
struct Slot {
    name: String,
    orders: ChildOrders,
    child: Option<Child>,
}

/// Serves until the executor is gone.
pub(super) fn serve(
    socket: OwnedFd,
    servers: Vec<(String, ChildOrders)>,
    confinement: Confinement,
) -> i32 {
    let mut slots: Vec<Slot> =
        servers.into_iter().map(|(name, orders)| Slot { name, orders, child: None }).collect();
    let done = tend(&socket, &mut slots, &confinement);
    if let Err(error) = &done {
        tracing::error!(%error, "the spawner ends");
    }
    for slot in &mut slots {
        slot.end();
        if let Some(at) = slot.cgroup(&confinement) {
            // One that something of the server's still lives in stays, and says so.
            if let Err(error) = fs::remove_dir(&at)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(%error, cgroup = %at.display(), "a server's cgroup stays");
            }
        }
    }
    if let Some(all) = &confinement.cgroup {
        let _others_use_it = fs::remove_dir(all);
    }
    i32::from(done.is_err())
}

fn tend(socket: &OwnedFd, slots: &mut [Slot], confinement: &Confinement) -> io::Result<()> {
    // The executor is asked to end by these; the spawner notices when it has, and tidies up.
    let signals = Signals::block(&[Signal::CHILD, Signal::TERM, Signal::INT])?;
    // No copy of the executor's other descriptors stays.
    let keep = [socket.as_raw_fd(), signals.as_fd().as_raw_fd()];
    crate::sys::descriptors::close_all_but(&keep)?;
    loop {
        let mut fds = [PollFd::new(socket, PollFlags::IN), PollFd::new(&signals, PollFlags::IN)];
        match poll(&mut fds, None) {
            Err(rustix::io::Errno::INTR) => continue,
            done => done?,
        };
        let (has_question, has_signal) =
            (!fds[0].revents().is_empty(), !fds[1].revents().is_empty());
        if has_signal {
            while signals.next()?.is_some() {}
            for slot in slots.iter_mut() {
                slot.reap();
            }
        }
        if has_question {
            let Some(ask) = packets::asked(socket)? else { return Ok(()) };
            packets::answer(socket, ask, &answer(ask, slots, confinement))?;
        }
    }
}

fn answer(ask: Ask, slots: &mut [Slot], all: &Confinement) -> Result<Vec<OwnedFd>, String> {
    let (Ask::Start(number) | Ask::Stop(number)) = ask;
    let slot = slots.get_mut(number as usize).ok_or("there is no such server")?;
    slot.end();
    match ask {
        Ask::Stop(_) => Ok(Vec::new()),
        Ask::Start(_) => slot.start(all).map_err(|error| error.to_string()),
    }
}

impl Slot {
    fn start(&mut self, confinement: &Confinement) -> io::Result<Vec<OwnedFd>> {
        let cgroup = self.cgroup(confinement).and_then(|at| {
            let made = make(&at, &self.orders);
            made.inspect_err(|error| {
                tracing::warn!(%error, server = self.name, "a tool server has no cgroup of its own");
            })
            .ok()
        });
        let [(their_in, our_in), (our_out, their_out), (our_err, their_err)] =
            [pipe()?, pipe()?, pipe()?];
        let mut theirs = Some([their_in, their_out, their_err]);
        let (orders, hidden) = (&self.orders, &confinement.hidden);
        let cgroup = cgroup.as_ref().map(|cgroup| cgroup.as_fd());
        let child = clone_apart(cgroup, || match theirs.take() {
            Some(pipes) => inside::enter(orders, hidden, pipes),
            None => 0,
        })?;
        self.child = Some(child);
        Ok(vec![our_in, our_out, our_err])
    }

    fn cgroup(&self, confinement: &Confinement) -> Option<PathBuf> {
        confinement.cgroup.as_ref().map(|all| all.join(&self.name))
    }

    /// Kills it, with every process of its namespace, and waits until it is gone.
    fn end(&mut self) {
        let deadline = Instant::now() + END_MAX;
        while let Some(child) = &self.child {
            let _gone_already = pidfd_send_signal(&child.pidfd, Signal::KILL);
            self.reap();
            if Instant::now() >= deadline {
                tracing::error!(server = self.name, "a killed tool server does not end");
                return;
            }
            if self.child.is_some() {
                std::thread::sleep(END_PAUSE);
            }
        }
    }

    /// Notices its end.
    fn reap(&mut self) {
        let Some(child) = &self.child else { return };
        if let Ok(Some((_, status))) = waitpid(Some(child.pid), WaitOptions::NOHANG) {
            tracing::info!(
                server = self.name,
                code = status.exit_status(),
                signal = status.terminating_signal(),
                "a tool server ended"
            );
            self.child = None;
        }
    }
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(pipe_with(PipeFlags::CLOEXEC)?)
}

/// Makes the cgroup of one server, with the limits that the host offers.
fn make(at: &Path, orders: &ChildOrders) -> io::Result<File> {
    fs::create_dir_all(at)?;
    let above = at.parent().unwrap_or(at);
    for (controller, file, value) in [
        ("pids", "pids.max", u64::from(orders.processes_max)),
        ("memory", "memory.max", orders.memory_bytes_max),
    ] {
        let enabled = fs::write(above.join("cgroup.subtree_control"), format!("+{controller}"));
        // When the file is there, the limit can be set, whoever enabled the controller.
        if let Err(error) = fs::write(at.join(file), value.to_string()) {
            let why = enabled.err().unwrap_or(error);
            tracing::warn!(%why, cgroup = %at.display(), file, "a limit is not set");
        }
    }
    File::open(at)
}
