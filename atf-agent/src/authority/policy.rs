//! A policy that an operator put in the place of another one: in the log, then with the gateway, which says
//! whether it judges by it.

use super::Authority;
use super::error::AuthorityError;
use crate::audit::Event;
use crate::call::{Approver, Digest, Untrusted};
use crate::wire::{AuthorityReply, Registry};

impl Authority {
    /// Has the gateway read the policy's directory, in which `revision` has to be.
    pub(super) fn publish(
        &mut self,
        version: u32,
        revision: Digest,
        by: Approver,
    ) -> Result<AuthorityReply, AuthorityError> {
        self.log.record(vec![Event::PolicyPublished { version, revision, by }])?;
        if let Err(error) = self.subscriber.tell(&Registry::Reload { revision }) {
            // The record before says that it was to be: this one, that it is not.
            let detail = Untrusted::new(format!("version {version}, revision {revision}: {error}"));
            let name = "policy.not_taken".to_owned();
            self.log.record(vec![Event::Finding { name, run: None, detail }])?;
            return Err(error);
        }
        Ok(AuthorityReply::Done)
    }
}
