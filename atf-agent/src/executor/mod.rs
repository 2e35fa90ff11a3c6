//! The executor: holds the credentials and acts on permits. It believes neither the gateway nor
//! root: every permit is checked here again, against the keys of those who had to agree.

mod answer;
mod checks;
mod error;
mod kernel_side;
mod ledger;
mod members;
mod outcome;
mod published;
mod requests;
mod seed;
mod servers;
mod settings;
mod spawner;
mod trust;
mod used;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::identity::AgreementKey;
use crate::wire::{self, Ids, Places};

pub use error::{ExecutorError, Mistrust};
pub use kernel_side::{Agents, KernelFault, KernelSide};
pub use seed::seed;
pub use servers::{Answer, Offered, Prepared, Server, ServersError, offers, read as read_servers};
pub use settings::Settings;
pub use trust::Parties;

/// Serves for ever.
///
/// # Errors
/// When the ledger is of no use or the executor cannot listen.
pub fn serve(
    places: &Places,
    ids: &Ids,
    settings: &Settings,
    parties: &Parties,
    kernel: KernelSide,
    servers: Prepared,
) -> Result<(), ExecutorError> {
    let path = places.executor_socket();
    let failed = |what| {
        let path = path.clone();
        move |error| ExecutorError::Io { what, path, error }
    };
    for dir in [places.state("executor"), places.runtime("executor")] {
        std::fs::create_dir_all(&dir).map_err(failed("make the directory of"))?;
    }
    let executor = Arc::new(open(places, settings, parties, kernel, servers)?);
    let listener = wire::listen(&path).map_err(failed("listen at"))?;
    let gateway = ids.gateway;
    wire::serve(
        &listener,
        move |peer| peer.uid == gateway,
        move |server| requests::attend(server, &executor),
    )
    .map_err(failed("accept at"))
}

/// What every connection shares.
struct Executor {
    checks: checks::Checks,
    ledger: ledger::Ledger,
    servers: servers::Servers,
}

fn open(
    places: &Places,
    settings: &Settings,
    parties: &Parties,
    kernel: KernelSide,
    servers: Prepared,
) -> Result<Executor, ExecutorError> {
    // A new key at each start: permits for the executor before this one are void.
    let own = AgreementKey::generate().map_err(|_| ExecutorError::Random)?;
    let nonce = own.public().into();
    let path = places.state("executor").join(&settings.ledger);
    let trust = Arc::new(trust::Trust::new(places, parties, own));
    let watch = servers::Watch::new(Arc::clone(&trust), places.recorder_socket());
    let watch = watch.map_err(ExecutorError::Servers)?;
    Ok(Executor {
        ledger: ledger::Ledger::open(&path, settings)?,
        servers: servers::Servers::start(servers, watch).map_err(ExecutorError::Servers)?,
        checks: checks::Checks {
            nonce,
            require_durable: settings.require_durable,
            trust,
            kernel,
            used: used::Used::default(),
            fragments: crate::gate::Fragments::default(),
        },
    })
}
