//! The recorder: takes records from all of ATF's processes, makes them durable in one chain, and
//! proves it with receipts. It judges nothing, and it alone holds the log key.

mod disk;
mod heads;
mod kernel_events;
mod known;
mod pending;
mod receipted;
mod receipts;
mod reporters;
mod settings;
mod shared_log;
mod start;
mod writer;

#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use rustix::net::{Shutdown, shutdown};

use crate::audit::VerifyError;
use crate::identity::IdentityError;
use crate::state::files::FileError;
use crate::wire::{self, Batches, Ids, Places};

pub use known::{mark, public_log_key};
pub use settings::Settings;
use shared_log::{SYNC_EVERY, SharedLog};

/// Why the recorder does not run.
#[derive(Debug, thiserror::Error)]
pub enum RecorderError {
    /// The log is not whole: somebody has to look before anything is added to it.
    #[error(
        "the log does not verify, so nothing is added to it: {0}; keep a copy, then move the log away to begin a new one"
    )]
    Log(#[from] VerifyError),
    /// A key or the head.
    #[error(transparent)]
    File(#[from] FileError),
    /// No key for receipts.
    #[error("receipts: {0}")]
    Receipts(IdentityError),
    /// The log key is not one.
    #[error("the log key {path} is of no use: {error}")]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: IdentityError,
    },
    /// The recorder was stopped, and the end of the log is not kept.
    #[error("the end of the log is not kept: {0}")]
    End(String),
    /// A directory, the socket or a segment.
    #[error("cannot {what} {path}: {error}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// Serves until `until` returns; the end of the log is on the disk then, under a signed head. `kernel_events` is asked
/// again and again; each time it waits up to about a second and gives the denials that the kernel programs reported meanwhile.
///
/// # Errors
/// When the log is not whole at its end, the recorder cannot listen, or the end of the log is not kept.
pub fn serve(
    places: &Places,
    ids: &Ids,
    settings: &Settings,
    kernel_events: Option<
        impl FnMut() -> io::Result<Vec<atf_common::event::Event>> + Send + 'static,
    >,
    until: impl FnOnce() + Send + 'static,
) -> Result<(), RecorderError> {
    let mut log = start::open(places, settings)?;
    log.begin(places);
    let log = Arc::new(SharedLog::start(log, SYNC_EVERY));
    if let Some(source) = kernel_events {
        let log = Arc::clone(&log);
        std::thread::spawn(move || kernel_events::forward(source, &log));
    }
    let path = places.recorder_socket();
    let failed = |what| {
        let path = path.clone();
        move |error| RecorderError::Io { what, path, error }
    };
    let listener = wire::listen(&path).map_err(failed("listen at"))?;
    let ended: Arc<OnceLock<Result<(), String>>> = Arc::default();
    let (end, closes) = (Arc::clone(&ended), Arc::clone(&log.log));
    let door = listener.try_clone().map_err(failed("listen at"))?;
    std::thread::spawn(move || {
        until();
        end.get_or_init(|| shared_log::close(&closes));
        // Whoever accepts below is told that nobody listens any more; there is no other way to have it return.
        shutdown(&door, Shutdown::Both)
    });
    let (admitted, known) = (ids.clone(), ids.clone());
    let group_records_max = settings.group_records_max.max(1);
    let served = wire::serve(
        &listener,
        move |peer| reporters::reporter(&admitted, peer.uid).is_some(),
        move |server| {
            if let Some(reporter) = reporters::reporter(&known, server.peer.uid) {
                reporters::attend(Batches::new(server, group_records_max), reporter, &log);
            }
        },
    );
    match ended.get() {
        Some(ended) => ended.clone().map_err(RecorderError::End),
        None => served.map_err(failed("accept at")),
    }
}
