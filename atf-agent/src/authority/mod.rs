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
mod set_back;
mod settings;
mod start;
mod subscriber;
mod tokens;
mod turns;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use crate::identity::Minter;
use crate::state::Registry;
use crate::wire::{self, Ids, Places};

use turns::{InTurn, Turn};

pub use error::AuthorityError;
pub use kernel_side::{KernelFault, KernelSide};
pub use manifest::{Manifest, ManifestError};
pub use settings::Settings;

/// How often ended runs and ends that are not in the log are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Everything that the authority knows. One request at a time has it, in turn: a change is a few
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
    let path = places.authority_socket();
    let failed = |what| {
        let path = path.clone();
        move |error| AuthorityError::Io { what, path, error }
    };
    // Before it touches the kernel's map, the registry or the keys of one that lives.
    wire::unattended(&path).map_err(failed("listen at"))?;
    let authority = start::open(places, ids, settings, kernel)?;
    let listener = wire::listen(&path).map_err(failed("listen at"))?;
    let (authority, subscribers) = (Arc::new(InTurn::new(authority)), InTurn::new(()));
    let swept = Arc::clone(&authority);
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(SWEEP_EVERY);
            turn(&swept).sweep();
        }
    });
    let gateway = ids.gateway;
    wire::serve(
        &listener,
        move |peer| peer.uid == 0 || peer.uid == gateway,
        move |server| requests::attend(server, &authority, &subscribers),
    )
    .map_err(failed("accept at"))
}

/// A turn that nobody is told to wait for.
fn turn(authority: &InTurn<Authority>) -> Turn<'_, Authority> {
    authority.take(SWEEP_EVERY, || ())
}
