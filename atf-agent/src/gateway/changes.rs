//! What the tool servers offer now, followed for those who listen to it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::Gateway;
use crate::call::ToolName;
use crate::wire::Catalogue;

/// Pause after an executor that did not say.
const PAUSE: Duration = Duration::from_secs(1);

/// Least time between two changes that are followed: each has the lists of all who listen made anew, and a server
/// can change what it offers as fast as it can speak.
const STEADY: Duration = Duration::from_millis(200);

/// What they offer, and what of it is withheld.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Offering {
    /// The tools that are not told of.
    pub(super) withheld: Vec<ToolName>,
    /// What there is besides tools.
    pub(super) catalogue: Catalogue,
}

/// The newest of it; none while nobody has asked for it yet.
pub(super) struct Changes {
    now: watch::Sender<Option<Arc<Offering>>>,
    wanted: Notify,
}

impl Default for Changes {
    fn default() -> Self {
        Self { now: watch::channel(None).0, wanted: Notify::new() }
    }
}

impl Changes {
    /// What is offered from now on. Nobody is asked for it until somebody listens.
    pub(super) fn listen(&self) -> watch::Receiver<Option<Arc<Offering>>> {
        let changes = self.now.subscribe();
        self.wanted.notify_one();
        changes
    }
}

/// Follows the executor, through all of its lives, for as long as anybody listens. While it is away, nothing
/// has changed.
pub(super) async fn follow(gateway: Arc<Gateway>) {
    let (changes, mut seen) = (&gateway.changes, 0);
    loop {
        if changes.now.receiver_count() == 0 {
            changes.wanted.notified().await;
            continue;
        }
        match gateway.executor.offering(seen).await {
            Ok((number, offering)) => {
                seen = number;
                changes.now.send_if_modified(|now| {
                    let is_other = now.as_deref() != Some(&offering);
                    if is_other {
                        *now = Some(Arc::new(offering));
                    }
                    is_other
                });
                tokio::time::sleep(STEADY).await;
            }
            Err(error) => {
                tracing::debug!(%error, "what the servers offer is not known");
                seen = 0;
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
