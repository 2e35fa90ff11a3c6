//! The spawner: a small process that stays root while the executor gives it up, and starts the tool
//! servers for it. It is asked for servers by their numbers and for nothing else.

mod inside;
mod packets;
mod root;
#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use crate::sys::clone::fork;
use packets::Ask;

/// How long the spawner may take to start or end a server; a busy host takes a fraction of it.
const ANSWER_MAX: Duration = Duration::from_secs(15);

/// What a server's process is.
#[derive(Clone)]
pub(super) struct ChildOrders {
    /// The program, an absolute path.
    pub(super) program: PathBuf,
    /// Its arguments.
    pub(super) arguments: Vec<String>,
    /// Where it starts.
    pub(super) directory: PathBuf,
    /// Its variables: credentials.
    pub(super) environment: Vec<(String, String)>,
    /// Its uid, and its gid.
    pub(super) uid: u32,
    /// Whether it has a `/tmp` of its own.
    pub(super) private_tmp: bool,
    /// Most processes and threads.
    pub(super) processes_max: u32,
    /// Most bytes of memory, where it has a cgroup.
    pub(super) memory_bytes_max: u64,
}

/// What all servers share.
pub(super) struct Confinement {
    /// Directories that no server sees.
    pub(super) hidden: Vec<PathBuf>,
    /// Where their cgroups are made.
    pub(super) cgroup: Option<PathBuf>,
}

/// The executor's ends of a server's standard input, output and error.
pub(super) struct Pipes(pub(super) [OwnedFd; 3]);

/// The executor's end.
pub(super) struct Spawner {
    socket: Mutex<OwnedFd>,
}

impl Spawner {
    /// Forks it. Call it before the first thread is started.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(super) fn fork(
        servers: Vec<(String, ChildOrders)>,
        confinement: Confinement,
    ) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        let mut inside = Some((theirs, servers, confinement));
        fork(|| match inside.take() {
            Some((theirs, servers, confinement)) => root::serve(theirs, servers, confinement),
            None => 0,
        })?;
        for side in [Timeout::Recv, Timeout::Send] {
            set_socket_timeout(ours.as_fd(), side, Some(ANSWER_MAX))?;
        }
        Ok(Self { socket: Mutex::new(ours) })
    }

    /// Starts server `number` anew: its standard input, output and error.
    ///
    /// # Errors
    /// When it cannot be started, or the spawner is gone.
    pub(super) fn start(&self, number: u32) -> io::Result<[OwnedFd; 3]> {
        let pipes = self.ask(Ask::Start(number))?;
        pipes.try_into().map_err(|_| io::Error::other("the spawner gave no three pipes"))
    }

    /// Ends server `number`, with all of its processes.
    ///
    /// # Errors
    /// When the spawner is gone.
    pub(super) fn stop(&self, number: u32) -> io::Result<()> {
        self.ask(Ask::Stop(number)).map(drop)
    }

    fn ask(&self, ask: Ask) -> io::Result<Vec<OwnedFd>> {
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        packets::ask(&*socket, ask)?;
        packets::answered(&*socket, ask)
    }
}
