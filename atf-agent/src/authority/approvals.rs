//! A person's word on a call: in the log first, then with the gateway, which waits for it.

use std::io;

use super::Authority;
use super::error::AuthorityError;
use crate::audit::Event;
use crate::call::{Approver, DecisionId, Standing, Untrusted};
use crate::sys::logins::login_name;
use crate::wire::{AuthorityReply, Registry};

impl Authority {
    /// The calls that wait for a word, or have one that is not used yet.
    pub(super) fn approvals(&mut self) -> Result<AuthorityReply, AuthorityError> {
        Ok(AuthorityReply::Approvals { approvals: self.subscriber.approvals()? })
    }

    /// Says yes or no to the call that waits as `decision`. There is no yes where it is `unknown` whether the
    /// approver logged in: it may be the person for whom the run acts.
    pub(super) fn approve(
        &mut self,
        decision: DecisionId,
        granted: bool,
        approver: Approver,
        unknown: Option<io::ErrorKind>,
    ) -> Result<AuthorityReply, AuthorityError> {
        let all = self.subscriber.approvals()?;
        let waits = |found: &&crate::call::Approval| {
            found.decision == decision && found.standing == Standing::Pending
        };
        let found = all.iter().find(waits).ok_or(AuthorityError::NotPending { decision })?;
        let login = approver.login_uid.and_then(login_name);
        let may = match unknown {
            Some(why) => Err(AuthorityError::Login { name: approver.name.clone(), why }),
            None => found
                .of
                .may_be_granted_by(&approver, login.as_deref())
                .map_err(|why| AuthorityError::MayNotGrant { why }),
        };
        if granted && let Err(why) = may {
            let detail = Untrusted::new(format!("decision {decision}: {why}"));
            let (name, run) = ("approval.refused".to_owned(), Some(found.of.run));
            self.log.record(vec![Event::Finding { name, run, detail }])?;
            return Err(why);
        }
        // In the log before it holds: a word that nobody can be shown to have given is none.
        self.log.record(vec![Event::Answered {
            decision,
            run: found.of.run,
            target: found.of.target.clone(),
            call: found.of.call,
            policy: found.of.policy,
            granted,
            approver: approver.clone(),
        }])?;
        self.subscriber.tell(&Registry::Answer { decision, granted, approver })?;
        Ok(AuthorityReply::Done)
    }
}
