//! Step 8: the permit is acted upon. Meanwhile the caller is told what the server tells and may tell, and a
//! server is told when its caller has gone.

use std::pin::{Pin, pin};

use super::Gateway;
use super::awaited::Waiting;
use super::deferred::About;
use super::execution::{Acted, Order, Ready};
use super::telling::{Outlet, Teller};
use crate::audit::{Event, Notified};
use crate::gate::{Era, Permit};

/// Acts, whoever waits for it; what was told is told to who reads the outlet. `bytes_max` are what the result
/// may have.
pub(super) async fn act(
    gateway: &Gateway,
    executor: &Ready,
    (permit, order): (&Permit, Order),
    (outlet, era, waiting, about): (&Outlet, Era, &Waiting, &About),
    bytes_max: usize,
) -> (Acted, Option<Notified>) {
    let mut teller = Teller::of(outlet, (permit, about.entry()), bytes_max);
    let acted = {
        let hear = teller.as_mut().map(|teller| |told| teller.tell(told));
        let mut acting = pin!(executor.execute(order, hear));
        // In the handshake revisions one who hangs up wants the call made all the same; to cancel it is said.
        tokio::select! {
            biased;
            acted = &mut acting => acted,
            () = outlet.hung_up(), if era == Era::Stateless => stopped(executor, permit, acting).await,
            () = waiting.cancelled() => stopped(executor, permit, acting).await,
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
