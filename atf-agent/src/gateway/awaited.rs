//! The calls of one run that are under way, by their clients' own numbers for them, so that a client can say
//! that it does not wait any more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::sessions::Session;
use crate::gate::Id;

/// Which client a number is of: a session, or all that name none.
type Named = (Option<u64>, Id);

type All = Arc<Mutex<HashMap<Named, Arc<Notify>>>>;

/// The calls of one run.
#[derive(Debug, Default)]
pub(super) struct Awaited(All);

/// One call, until this is dropped.
pub(super) struct Waiting {
    named: Named,
    all: All,
    cancelled: Arc<Notify>,
}

impl Awaited {
    /// A call begins, by number `id` of a client in `session`. Of two by one number the later is known by it.
    pub(super) fn begin(&self, session: Option<&Session>, id: &Id) -> Waiting {
        let named = (session.map(Session::number), id.clone());
        let cancelled = Arc::new(Notify::new());
        lock(&self.0).insert(named.clone(), Arc::clone(&cancelled));
        Waiting { named, all: Arc::clone(&self.0), cancelled }
    }

    /// A call that no client knows by a number.
    pub(super) fn nobodys(&self, id: &Id) -> Waiting {
        let cancelled = Arc::new(Notify::new());
        Waiting { named: (None, id.clone()), all: All::default(), cancelled }
    }

    /// A client in `session` does not wait for number `id` any more.
    pub(super) fn cancel(&self, session: Option<&Session>, id: &Id) {
        if let Some(call) = lock(&self.0).get(&(session.map(Session::number), id.clone())) {
            call.notify_one();
        }
    }
}

impl Waiting {
    /// Waits until its client does not.
    pub(super) async fn cancelled(&self) {
        self.cancelled.notified().await;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut all = lock(&self.all);
        if all.get(&self.named).is_some_and(|call| Arc::ptr_eq(call, &self.cancelled)) {
            all.remove(&self.named);
        }
    }
}

/// The map is whole even when a holder of the lock panicked: it only inserts and removes.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
