//! Step 8 of a subscription: it is answered when the server has said yes, and goes on. What comes of it is told
//! to the session that wanted it, until that ends, its client or the policy wants it no more, the run's token
//! does not name the resource any more, or the run ends. The server is told when nobody is left.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use serde_json::value::RawValue;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::time::timeout;

use super::Gateway;
use super::clients::OPEN_TIMEOUT;
use super::execution::{Acted, Order, Ready};
use super::line::Sent;
use super::rules::Rules;
use super::runs::LiveRun;
use super::sessions::Session;
use crate::call::{DecisionId, Digest, Reach, Reason, Refusal, ResourceUri, Step, Target};
use crate::gate::{Method, Permit, Received};
use crate::wire::Told;

/// Most subscriptions of one run.
const OF_RUN_MAX: usize = 16;

/// Most subscriptions of all runs: each is a request that the executor has not answered.
pub(super) const OF_ALL_MAX: usize = 768;

/// The subscriptions of one run.
pub(super) struct Subscriptions {
    places: Arc<Semaphore>,
    all: Mutex<Vec<Arc<Held>>>,
}

impl Default for Subscriptions {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(OF_RUN_MAX)), all: Mutex::default() }
    }
}

/// One of them, as long as it lasts.
struct Held {
    session: u64,
    uri: ResourceUri,
    over: Notify,
}

/// One who may subscribe, if the rest of the line lets it.
pub(super) struct Subscriber {
    session: Arc<Session>,
    subscriptions: Arc<Subscriptions>,
    rules: watch::Receiver<Arc<Rules>>,
    places: [OwnedSemaphorePermit; 2],
}

/// What a subscription needs to go on.
struct Kept {
    session: Weak<Session>,
    alive: watch::Receiver<()>,
    rules: watch::Receiver<Arc<Rules>>,
    policy: Digest,
    held: Arc<Held>,
    subscriptions: Arc<Subscriptions>,
    _places: [OwnedSemaphorePermit; 2],
}

/// A place for what `received` subscribes to; none when it does not subscribe.
///
/// # Errors
/// When there is no session to be told, or the run, or all of them, have enough.
pub(super) fn admitted(
    gateway: &Gateway,
    run: &LiveRun,
    sent: &Sent,
    received: &Received,
) -> Result<Option<Subscriber>, Refusal> {
    if received.method() != Method::Subscribe {
        return Ok(None);
    }
    let Some(session) = sent.session.clone() else {
        let detail = "one who subscribes has to be in a session, or nobody could be told";
        return Err(Refusal::new(Step::Receive, Reason::MessageInvalid, detail));
    };
    let place = |of: &Arc<Semaphore>, whose: &str| {
        Arc::clone(of).try_acquire_owned().map_err(|_| {
            let detail = format!("{whose} subscribed to as many resources as may be");
            Refusal::new(Step::Reserve, Reason::CapInFlight, detail)
        })
    };
    let subscriptions = Arc::clone(&run.subscriptions);
    let places =
        [place(&subscriptions.places, "the run")?, place(&gateway.subscriptions, "all runs")?];
    Ok(Some(Subscriber { session, subscriptions, rules: gateway.rules.follow(), places }))
}

impl Subscriptions {
    /// The client of `session` wants to hear of `uri` no more.
    pub(super) fn end(&self, session: &Session, uri: &ResourceUri) {
        self.end_if(|held| held.session == session.number() && held.uri == *uri);
    }

    /// The session is over, whoever still knows it.
    pub(super) fn end_all_of(&self, session: &Session) {
        self.end_if(|held| held.session == session.number());
    }

    /// The run's token names this much now: what it does not is told no more.
    pub(super) fn narrow(&self, reach: &Reach) {
        self.end_if(|held| !reach.covers(&held.uri));
    }

    /// The run has ended.
    pub(super) fn close(&self) {
        self.places.close();
        self.end_if(|_| true);
    }

    /// How many there are, or have not given back their place yet.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        let taken = OF_RUN_MAX.saturating_sub(self.places.available_permits());
        taken.max(lock(&self.all).len())
    }

    fn end_if(&self, is_over: impl Fn(&Held) -> bool) {
        // Not there any more at once: who subscribes again meanwhile asks anew.
        lock(&self.all).retain(|held| {
            let is_over = is_over(held);
            if is_over {
                held.over.notify_one();
            }
            !is_over
        });
    }

    /// Adds one; false when the session has it already.
    fn add(&self, held: &Arc<Held>) -> bool {
        let mut all = lock(&self.all);
        let is_new = !all.iter().any(|one| one.session == held.session && one.uri == held.uri);
        if is_new {
            all.push(Arc::clone(held));
        }
        is_new
    }

    fn remove(&self, held: &Arc<Held>) {
        lock(&self.all).retain(|one| !Arc::ptr_eq(one, held));
    }
}

impl Subscriber {
    /// Has the permit acted upon. What is answered is known when the server has; the rest goes on by itself.
    pub(super) async fn subscribe(
        self,
        executor: Ready,
        (permit, order): (&Permit, Order),
    ) -> Acted {
        let body = permit.body();
        let Target::Subscription(uri) = &body.target else {
            return executor.unheard();
        };
        let session = self.session.number();
        let held = Arc::new(Held { session, uri: uri.clone(), over: Notify::new() });
        if !self.subscriptions.add(&held) {
            return yes();
        }
        let kept = Kept {
            session: Arc::downgrade(&self.session),
            alive: self.session.alive(),
            rules: self.rules,
            policy: body.policy,
            held: Arc::clone(&held),
            subscriptions: self.subscriptions,
            _places: self.places,
        };
        let (say, said) = oneshot::channel();
        let (patience, unheard) = (executor.execute_timeout, executor.unheard());
        tokio::spawn(kept.keep(executor, order, (body.decision, body.target.clone()), say));
        match timeout(patience, said).await {
            Ok(Ok(acted)) => acted,
            Ok(Err(_)) | Err(_) => {
                held.over.notify_one();
                unheard
            }
        }
    }
}

impl Kept {
    /// Tells the session, until it is over.
    async fn keep(
        mut self,
        executor: Ready,
        order: Order,
        (decision, target): (DecisionId, Target),
        first: oneshot::Sender<Acted>,
    ) {
        let (first, session) = (Mutex::new(Some(first)), self.session.clone());
        let answer = |acted| {
            if let Some(first) = lock(&first).take() {
                let _gone = first.send(acted);
            }
        };
        let (held, subscriptions) = (Arc::clone(&self.held), Arc::clone(&self.subscriptions));
        let hear = |told| match told {
            Told::Subscribed => answer(yes()),
            Told::Updated => {
                session.upgrade().inspect(|session| session.updates.add(&held.uri));
            }
            Told::Progress { .. } | Told::Status { .. } | Told::Log { .. } | Told::Asks { .. } => {}
        };
        {
            let mut asking = std::pin::pin!(executor.follow(order, Some(hear)));
            let ended = tokio::select! {
                acted = &mut asking => Some(acted),
                () = self.over() => None,
            };
            match ended {
                Some(acted) => answer(acted),
                None => {
                    executor.cancel(decision, target).await;
                    // What else the executor has to say of it is nobody's.
                    let _unheard = timeout(OPEN_TIMEOUT, asking).await;
                }
            }
        }
        tracing::debug!(uri = %held.uri, "a subscription is over");
        subscriptions.remove(&held);
        session.upgrade().inspect(|session| session.updates.lost());
    }

    /// Waits until nobody may, or wants to, be told any more.
    async fn over(&mut self) {
        let policy = self.policy;
        tokio::select! {
            () = self.held.over.notified() => {}
            // It never says anything, and ends.
            _ended = self.alive.changed() => {}
            _other = self.rules.wait_for(|rules| rules.policy.revision() != policy) => {}
        }
    }
}

/// The server said yes.
fn yes() -> Acted {
    let empty = RawValue::from_string("{}".to_owned());
    empty.map_or_else(|error| super::execution::unknown(&error.to_string()), Acted::Answered)
}

/// What is guarded is whole even when a holder of the lock panicked: it is only set and taken.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fault: one who subscribed again right after was told yes, and then of nothing.
    #[tokio::test]
    async fn who_subscribes_again_asks_anew_while_the_one_before_still_ends() {
        let (subscriptions, session) = (Subscriptions::default(), Session::of_connection());
        let (uri, over) = ("files+file:///a".parse::<ResourceUri>().unwrap(), Notify::new());
        let held = Arc::new(Held { session: session.number(), uri: uri.clone(), over });
        let again =
            || Arc::new(Held { session: session.number(), uri: uri.clone(), over: Notify::new() });
        assert!(subscriptions.add(&held) && !subscriptions.add(&again()), "the session has it");
        subscriptions.end(&Session::of_connection(), &uri);
        assert!(!subscriptions.add(&again()), "another session ends nothing of it");
        subscriptions.end(&session, &uri);
        held.over.notified().await;
        let again = again();
        assert!(subscriptions.add(&again));
        subscriptions.remove(&held);
        assert_eq!(subscriptions.count(), 1, "what is over takes away itself alone");
    }
}
