//! What is open for one run: how many connections it may have, and the one word that ends them.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// The connections of one run.
pub(super) struct Connections {
    slots: Arc<Semaphore>,
    /// Counts how often they were shut; each connection waits for the next count.
    shut: watch::Sender<u64>,
}

/// One open connection. Dropping it frees its slot.
pub(super) struct Open {
    shut: watch::Receiver<u64>,
    _slot: OwnedSemaphorePermit,
}

impl Connections {
    /// At most `connections_max` at once.
    pub(super) fn new(connections_max: usize) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(connections_max)),
            shut: watch::Sender::new(0),
        }
    }

    /// Waits until the run may have one connection more. `None` when the run is closed.
    pub(super) async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.slots).acquire_owned().await.ok()
    }

    /// A connection that was accepted now: what was shut before does not concern it.
    pub(super) fn open(&self, slot: OwnedSemaphorePermit) -> Open {
        Open {
            shut: self.shut.subscribe(),
            _slot: slot,
        }
    }

    /// Ends every connection that is open now.
    pub(super) fn shut(&self) {
        self.shut.send_modify(|count| *count += 1);
    }

    /// Ends every connection, and every one that would come.
    pub(super) fn close(&self) {
        self.slots.close();
        self.shut();
    }
}

impl Open {
    /// Resolves when the run's connections are shut.
    pub(super) async fn shut(&mut self) {
        // An error says that the run itself is gone: shut as well.
        let _gone = self.shut.changed().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    /// Long enough for a task that is ready, short enough for a test that expects none.
    const SOON: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn shutting_ends_what_is_open_and_not_what_comes() {
        let connections = Connections::new(2);
        let mut first = connections.open(connections.slot().await.unwrap());
        assert!(timeout(SOON, first.shut()).await.is_err(), "still open");
        let slot = connections.slot().await.unwrap();
        connections.shut();
        assert!(timeout(SOON, first.shut()).await.is_ok());
        let mut second = connections.open(slot);
        assert!(timeout(SOON, second.shut()).await.is_err(), "came later");
        assert!(timeout(SOON, connections.slot()).await.is_err(), "full");
        drop(first);
        assert!(timeout(SOON, connections.slot()).await.is_ok());
        connections.close();
        assert!(connections.slot().await.is_none());
    }
}
