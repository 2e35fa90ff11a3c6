//! The lease: while the runtime that accepts connections turns, it tells the kernel so. When it
//! stops, the runs stop.

use std::sync::Arc;
use std::time::Duration;

use atf_common::limits::{LEASE_RENEW_MS, LEASE_TTL_MS};
use tokio::time::{MissedTickBehavior, interval};

use super::Gateway;
use super::kernel_side::KernelFault;
use crate::kernel;

/// Renews the lease once.
///
/// # Errors
/// The kernel's.
pub(super) fn renew(gateway: &Gateway) -> Result<(), KernelFault> {
    (gateway.kernel.renew)(kernel::boot_ms() + LEASE_TTL_MS)
}

/// Renews the lease for ever.
pub(super) async fn keep(gateway: Arc<Gateway>) {
    let mut tick = interval(Duration::from_millis(LEASE_RENEW_MS));
    // After a pause one renewal is enough; the ones that were missed say nothing any more.
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Err(error) = renew(&gateway) {
            tracing::error!(%error, "the lease is not renewed: every run will be denied");
        }
    }
}
