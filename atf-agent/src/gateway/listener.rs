//! Two listening sockets for each run, one a door, in a directory that this run alone sees. What one run
//! floods is its own backlog.

use std::fs;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{Mode, chmod};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with,
};
use tokio::net::UnixListener;

use super::Gateway;
use super::caller;
use super::connections::Open;
use super::kernel_side::KernelFault;
use super::runs::LiveRun;
use super::{http, lines};
use crate::audit::Event;
use crate::call::Untrusted;
use crate::kernel;
use crate::wire::Stream;

/// Connections of one run that the kernel keeps waiting while the run's slots are full.
const BACKLOG_MAX: i32 = 64;

/// Pause after an `accept` that failed: descriptors may be short, and trying at once frees none.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The ways in which a run may speak to the gateway.
#[derive(Debug, Clone, Copy)]
enum Door {
    Http,
    Lines,
}

impl Door {
    const ALL: [Self; 2] = [Self::Http, Self::Lines];

    fn path(self, gateway: &Gateway, run: &LiveRun) -> PathBuf {
        match self {
            Self::Http => gateway.places.run_socket(run.entry.run),
            Self::Lines => gateway.places.run_lines(run.entry.run),
        }
    }
}

/// Why a run has no listener.
#[derive(Debug, thiserror::Error)]
pub(super) enum ListenError {
    /// Something that is not a socket stands at the path.
    #[error("expected a socket or nothing at {path}, found another file; remove it")]
    Foreign {
        /// The path.
        path: String,
    },
    /// The socket cannot be made.
    #[error("cannot listen at {path}: {error}; the launcher makes its directory for the gateway")]
    Socket {
        /// The path.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// The kernel does not take the mark, so the run could not connect.
    #[error("cannot mark the run's socket in the kernel: {0}")]
    Mark(KernelFault),
}

/// Listens for `run` from now on, at each door. Needs a running tokio runtime.
///
/// # Errors
/// When a socket cannot be made or marked; nothing listens then.
pub(super) fn open(gateway: &Arc<Gateway>, run: &Arc<LiveRun>) -> Result<(), ListenError> {
    Door::ALL.into_iter().try_for_each(|door| listen_at(gateway, run, door)).inspect_err(|_| {
        run.stop_listening();
    })
}

fn listen_at(gateway: &Arc<Gateway>, run: &Arc<LiveRun>, door: Door) -> Result<(), ListenError> {
    let path = door.path(gateway, run);
    let failed = |error: io::Error| ListenError::Socket { path: path.display().to_string(), error };
    remove_stale(&path)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
        .map_err(|error| failed(error.into()))?;
    // Marked before it can be reached: there is no moment in which it listens unmarked.
    (gateway.kernel.mark)(socket.as_fd(), run.entry.cgroup).map_err(ListenError::Mark)?;
    SocketAddrUnix::new(&path)
        .and_then(|address| bind(&socket, &address))
        // The run has another uid; that it alone sees the directory is what guards the socket.
        .and_then(|()| chmod(&path, Mode::from_raw_mode(0o666)))
        .and_then(|()| listen(&socket, BACKLOG_MAX))
        .map_err(|error| failed(error.into()))?;
    let listener = UnixListener::from_std(socket.into()).map_err(failed)?;
    let task = tokio::spawn(accept(Arc::clone(gateway), Arc::clone(run), listener, door));
    run.listens(task.abort_handle());
    Ok(())
}

/// Takes the socket files of a run that has ended away. The launcher removes the directory anyway.
pub(super) fn remove(gateway: &Gateway, run: &LiveRun) {
    for door in Door::ALL {
        if let Err(error) = remove_stale(&door.path(gateway, run)) {
            tracing::debug!(%error, ?door, "a socket of an ended run stays");
        }
    }
}

fn remove_stale(path: &Path) -> Result<(), ListenError> {
    let shown = || path.display().to_string();
    match fs::symlink_metadata(path) {
        Ok(meta) if !meta.file_type().is_socket() => Err(ListenError::Foreign { path: shown() }),
        Ok(_) => {
            fs::remove_file(path).map_err(|error| ListenError::Socket { path: shown(), error })
        }
        Err(_) => Ok(()),
    }
}

/// A connection is taken first and then waits for its slot: the other door must not lack the one that
/// this door would hold while nobody comes.
async fn accept(gateway: Arc<Gateway>, run: Arc<LiveRun>, listener: UnixListener, door: Door) {
    loop {
        let accepted = listener.accept().await.and_then(|(stream, _)| stream.into_std());
        let stream = match accepted.and_then(Stream::of) {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(run = %run.entry.run, %error, "no connection accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(slot) = run.connections.slot().await else {
            return;
        };
        let Some(open) = run.connections.open(slot, stream) else {
            return;
        };
        let (gateway, run) = (Arc::clone(&gateway), Arc::clone(&run));
        tokio::spawn(async move {
            match caller::prove(open.as_fd(), &run.entry, &gateway.kernel, &gateway.agents) {
                Ok(caller) => match door {
                    Door::Http => http::serve(gateway, run, caller, open).await,
                    Door::Lines => lines::serve(gateway, run, caller, open).await,
                },
                Err(error) => stranger(&gateway, &run, open, &error).await,
            }
        });
    }
}

/// Closes a connection without a proven caller, and says so to the log.
async fn stranger(gateway: &Gateway, run: &LiveRun, open: Open, error: &caller::CallerError) {
    drop(open);
    let Some(suppressed) = run.strangers.count(kernel::boot_ms()) else {
        return;
    };
    tracing::warn!(run = %run.entry.run, %error, suppressed, "connection without a proven caller");
    let finding = Event::Finding {
        name: "caller.disagree".to_owned(),
        run: Some(run.entry.run),
        detail: Untrusted::new(format!("{error}; {suppressed} more before it")),
    };
    gateway.recorder.note(finding).await;
}
