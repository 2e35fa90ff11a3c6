//! Step 8: the permit is acted upon. Meanwhile the caller is told what the server tells and may tell, and a
//! server is told when its caller has gone.

use std::pin::{Pin, pin};

use tokio::sync::mpsc::unbounded_channel;

use super::Gateway;
use super::asking::Asker;
use super::awaited::Waiting;
use super::deferred::About;
use super::execution::{Acted, Order, Ready};
use super::line::Sent;
use super::runs::LiveRun;
use super::telling::Teller;
use crate::audit::{Event, Notified};
use crate::gate::{Era, Permit};

/// Acts, whoever waits for it; what was told is told to who reads the outlet. `bytes_max` are what the result
/// may have.
pub(super) async fn act(
    gateway: &Gateway,
    executor: &Ready,
    (permit, order): (&Permit, Order),
    (run, sent, era): (&LiveRun, &Sent, Era),
    (waiting, about): (&Waiting, &About),
    bytes_max: usize,
) -> (Acted, Option<Notified>) {
    let decision = permit.body().decision;
    let (outlet, (unasked, mut unasked_all)) = (&sent.outlet, unbounded_channel());
    outlet.acted_upon();
    let asker = Asker::of(run, sent, permit, unasked);
    let mut teller = Teller::of(outlet, (permit, about.entry()), asker, bytes_max);
    let acted = {
        let hear = teller.as_mut().map(|teller| |told| teller.tell(told));
        let mut acting = pin!(executor.execute(order, hear));
        // In the handshake revisions one who hangs up wants the call made all the same; to cancel it is said.
        loop {
            tokio::select! {
                biased;
                acted = &mut acting => break acted,
                Some(question) = unasked_all.recv() => {
                    executor.unanswered(decision, permit.body().target.clone(), question).await;
                }
                () = outlet.hung_up(), if era == Era::Stateless => {
                    break stopped(executor, permit, acting).await;
                }
                () = waiting.cancelled() => break stopped(executor, permit, acting).await,
            }
        }
    };
    let (told, hidden) = teller.map(Teller::ends).unwrap_or_default();
    if let Some(hidden) = hidden {
        let detail = format!("{}: {hidden}", permit.body().target).into();
        let (name, run) = ("notice.hidden_text".to_owned(), Some(permit.body().run));
        gateway.recorder.note(Event::Finding { name, run, detail }).await;
    }
    (acted, told)
}

/// Nobody waits any more: the server is told, and the call goes on to its end.
async fn stopped(
    executor: &Ready,
    permit: &Permit,
    acting: Pin<&mut impl Future<Output = Acted>>,
) -> Acted {
    executor.cancel(permit.body().decision, permit.body().target.clone()).await;
    acting.await
}
