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
        signer: Option<Untrusted>,
        by: Approver,
    ) -> Result<AuthorityReply, AuthorityError> {
        self.log.record(vec![Event::PolicyPublished { version, revision, signer, by }])?;
        if let Err(error) = self.subscriber.tell(&Registry::Reload { revision }) {
            // The record before says that it was to be: this one, that it is not.
            let detail = Untrusted::new(format!("version {version}, revision {revision}: {error}"));
            let name = "policy.not_taken".to_owned();
            self.log.record(vec![Event::Finding { name, run: None, detail }])?;
            return Err(error);
        }
        Ok(AuthorityReply::Done)
    }

    /// Notes that a policy was refused; nothing has changed.
    pub(super) fn not_published(
        &mut self,
        what: &Untrusted,
        by: &Approver,
    ) -> Result<AuthorityReply, AuthorityError> {
        let login = by.login_uid.map(|uid| format!(", logged in as uid {uid}")).unwrap_or_default();
        let (what, name, uid) = (what.raw(), by.name.raw(), by.uid);
        let detail = Untrusted::new(format!("{what}; wanted by {name} (uid {uid}{login})"));
        let name = "policy.not_taken".to_owned();
        self.log.record(vec![Event::Finding { name, run: None, detail }])?;
        Ok(AuthorityReply::Done)
    }
}
