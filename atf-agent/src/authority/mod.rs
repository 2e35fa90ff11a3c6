//! The authority: admits and ends runs, signs and renews their tokens, lifts seals. It is the only
//! writer of the kernel's map of runs, and it never hears from an agent.

mod approvals;
mod clock;
mod delegation;
mod ending;
mod error;
mod kernel_side;
mod log;
mod manifest;
mod policy;
mod register;
mod requests;
mod settings;
mod start;
mod subscriber;
mod tokens;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::identity::Minter;
use crate::state::Registry;
use crate::wire::{self, Ids, Places};

pub use error::AuthorityError;
pub use kernel_side::{KernelFault, KernelSide};
pub use manifest::{Manifest, ManifestError};
pub use settings::Settings;

/// How often ended runs and ends that are not in the log are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Everything that the authority knows. One lock is around all of it: a change is a few
/// milliseconds, and two changes never meet.
struct Authority {
    places: Places,
    ids: Ids,
    settings: Settings,
    kernel: KernelSide,
    registry: Registry,
    minter: Minter,
    subscriber: subscriber::Subscriber,
    log: log::Log,
    /// This boot of the host: the boot clock of another one means nothing.
    boot: String,
}

/// Serves for ever.
///
/// # Errors
/// When the keys, the registry, the kernel's map or the socket are of no use.
pub fn serve(
    places: &Places,
    ids: &Ids,
    settings: &Settings,
    kernel: KernelSide,
) -> Result<(), AuthorityError> {
    let authority = start::open(places, ids, settings, kernel)?;
    let path = places.authority_socket();
    let failed = |what| {
        let path = path.clone();
        move |error| AuthorityError::Io { what, path, error }
    };
    let listener = wire::listen(&path).map_err(failed("listen at"))?;
    let authority = Arc::new(Mutex::new(authority));
    let swept = Arc::clone(&authority);
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(SWEEP_EVERY);
            lock(&swept).sweep();
        }
    });
    let gateway = ids.gateway;
    wire::serve(
        &listener,
        move |peer| peer.uid == 0 || peer.uid == gateway,
        move |server| requests::attend(server, &authority),
    )
    .map_err(failed("accept at"))
}

/// What a thread that panicked left is whole: every change is undone or done by its own function,
/// and what is not is set right from the registry at the next start.
fn lock(authority: &Mutex<Authority>) -> MutexGuard<'_, Authority> {
    authority.lock().unwrap_or_else(PoisonError::into_inner)
}
