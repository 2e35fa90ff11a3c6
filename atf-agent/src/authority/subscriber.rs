//! The gateway, which is told of every change and has to say that the change holds.

use std::time::{Duration, Instant};

use super::error::AuthorityError;
use crate::call::{Approval, RunId};
use crate::wire::{Registry, RegistryAck, Server};

/// How long the gateway may take for one change: it makes a socket or removes one.
const ACK_TIMEOUT: Duration = Duration::from_secs(2);

/// How long it may take for the snapshot and what the runs in it name, all together: thousands of sockets after a
/// restart. Nobody else has a turn meanwhile.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(10);
/// So much longer for each run: an honest gateway needs a tenth.
const SNAPSHOT_EACH: Duration = Duration::from_millis(5);

/// The one subscriber, when there is one.
#[derive(Default)]
pub(super) struct Subscriber {
    gateway: Option<Server>,
    number: u64,
}

impl Subscriber {
    /// Takes `gateway` in place of the one before, once it has taken the snapshot and each of `named`.
    pub(super) fn replace(
        &mut self,
        gateway: Server,
        snapshot: &Registry,
        named: impl ExactSizeIterator<Item = Result<Registry, AuthorityError>>,
    ) -> Result<(), AuthorityError> {
        if let Some(old) = self.gateway.take() {
            old.hang_up();
        }
        self.gateway = Some(gateway);
        let runs = u32::try_from(named.len()).unwrap_or(u32::MAX);
        let deadline = Instant::now() + SNAPSHOT_TIMEOUT + SNAPSHOT_EACH.saturating_mul(runs);
        self.tell_by(snapshot, deadline)?;
        for change in named {
            self.tell_by(&change?, deadline)?;
        }
        Ok(())
    }

    /// Whether a gateway is there to be told.
    pub(super) fn is_connected(&self) -> bool {
        self.gateway.as_ref().is_some_and(Server::is_open)
    }

    /// Tells the gateway of a change and waits until it holds.
    pub(super) fn tell(&mut self, change: &Registry) -> Result<(), AuthorityError> {
        self.tell_by(change, Instant::now() + ACK_TIMEOUT)
    }

    /// Whose seals the gateway's breaker holds back; `None` when it does not say.
    pub(super) fn held_back(&mut self) -> Option<Vec<RunId>> {
        match self.exchange(&Registry::HeldBack, Instant::now() + ACK_TIMEOUT) {
            Ok(RegistryAck::HeldBack { runs }) => Some(runs),
            Ok(RegistryAck::Done | RegistryAck::Failed { .. } | RegistryAck::Approvals { .. }) => {
                None
            }
            Err(error) => {
                tracing::warn!(%error, "the gateway does not say whose seals it holds back");
                None
            }
        }
    }

    /// The calls on which the policy wants a person's word.
    pub(super) fn approvals(&mut self) -> Result<Vec<Approval>, AuthorityError> {
        match self.exchange(&Registry::Approvals, Instant::now() + ACK_TIMEOUT)? {
            RegistryAck::Approvals { approvals } => Ok(approvals),
            RegistryAck::Failed { why } => Err(AuthorityError::Gateway(why.to_string())),
            RegistryAck::Done | RegistryAck::HeldBack { .. } => {
                Err(AuthorityError::Gateway("it answered what it was not asked".to_owned()))
            }
        }
    }

    fn tell_by(&mut self, change: &Registry, deadline: Instant) -> Result<(), AuthorityError> {
        match self.exchange(change, deadline)? {
            RegistryAck::Done => Ok(()),
            RegistryAck::Failed { why } => Err(AuthorityError::Gateway(why.to_string())),
            RegistryAck::HeldBack { .. } | RegistryAck::Approvals { .. } => {
                Err(AuthorityError::Gateway("it answered what it was not asked".to_owned()))
            }
        }
    }

    fn exchange(
        &mut self,
        change: &Registry,
        deadline: Instant,
    ) -> Result<RegistryAck, AuthorityError> {
        let failed = |error: &dyn std::fmt::Display| AuthorityError::Gateway(error.to_string());
        let Some(mut gateway) = self.gateway.take() else {
            return Err(failed(&"it is not connected"));
        };
        self.number += 1;
        let number = self.number;
        let asked = gateway.exchange_by::<RegistryAck>(deadline, number, change);
        match asked {
            Ok(Some((found, ack))) if found == number => {
                self.gateway = Some(gateway);
                Ok(ack)
            }
            // It is out of step: it has to subscribe anew and gets a snapshot then.
            other => {
                gateway.hang_up();
                Err(match other {
                    Ok(_) => failed(&"it hung up or answered something else"),
                    Err(error) => failed(&error),
                })
            }
        }
    }
}
