//! Step 6, its end: the permit. A permit is what a passed gate and a reservation make together;
//! there is no other way to one.

use super::policy::Judged;
use crate::call::{DecisionId, Digest, Reason, Refusal, Step};
use crate::identity::{MacKey, TOKEN_LEEWAY_S};
use crate::state::{Approved, Reservation};
use crate::wire::{PermitBody, SentPermit};

/// Seconds for which a permit is valid: time to record it and to carry it over, not more.
pub const PERMIT_TTL_S: u64 = 10;

/// What the gateway adds to a judged call.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// The decision.
    pub decision: DecisionId,
    /// The nonce of the executor's life: its public key.
    pub nonce: Digest,
    /// The wall clock, seconds since the epoch.
    pub now_unix_s: u64,
}

/// Leave to make one call, once. It holds the reservation until the call is settled.
#[must_use = "a permit holds a reservation that has to be settled"]
#[derive(Debug)]
pub struct Permit {
    judged: Judged,
    reservation: Reservation,
    body: PermitBody,
    json: String,
}

impl Permit {
    /// The permit for a call that the policy allows and whose amount is reserved.
    ///
    /// # Errors
    /// When the reservation is another run's or of another amount, or the policy wants a person's word and
    /// `approved` is none, or another call's.
    pub fn issue(
        judged: Judged,
        reservation: Reservation,
        approved: Option<&Approved>,
        terms: Terms,
    ) -> Result<Self, Refusal> {
        let refuse = |detail: String| Refusal::new(Step::Reserve, Reason::CapExceeded, detail);
        let call = judged.call();
        let caller = call.caller();
        let cents = judged.obligations().reserve_cents;
        if reservation.run() != caller.run || reservation.cents() != cents {
            return Err(refuse(format!(
                "{} cents of run {} are reserved, {cents} of run {} are needed",
                reservation.cents(),
                reservation.run(),
                caller.run
            )));
        }
        let is_of_it = |approved: &&Approved| approved.is_of(judged.call_digest(), judged.policy());
        if judged.obligations().require_approval && approved.filter(is_of_it).is_none() {
            let detail = "nobody's word on this call was taken";
            return Err(Refusal::new(Step::Approve, Reason::ApprovalNeeded, detail));
        }
        let token_end = call.claims().exp.saturating_add(TOKEN_LEEWAY_S);
        let body = PermitBody {
            decision: terms.decision,
            run: caller.run,
            cgroup: caller.cgroup,
            token: call.token(),
            target: call.target(),
            pin: call.pin(),
            arguments: call.arguments_digest(),
            policy: judged.policy(),
            nonce: terms.nonce,
            expires_unix_s: terms.now_unix_s.saturating_add(PERMIT_TTL_S).min(token_end),
            exchange: judged.exchange().cloned(),
            waived: judged.waived().is_some(),
            may_tell: judged.may_tell(),
            defers: call.may_defer(),
            began: call
                .begun()
                .map(|begun| begun.decision)
                .or_else(|| call.continues().map(|continues| continues.decision)),
        };
        let json = serde_json::to_string(&body).map_err(|error| refuse(error.to_string()))?;
        Ok(Self { judged, reservation, body, json })
    }

    /// The call that it permits.
    pub fn judged(&self) -> &Judged {
        &self.judged
    }

    /// What it says.
    pub fn body(&self) -> &PermitBody {
        &self.body
    }

    /// Its body, byte for byte as it is sent.
    pub fn text(&self) -> &str {
        &self.json
    }

    /// The digest of its body, by which log and receipt name it.
    pub fn digest(&self) -> Digest {
        Digest::of(self.json.as_bytes())
    }

    /// The permit as it travels to the executor with which `key` is.
    pub fn sent(&self, key: &MacKey) -> SentPermit {
        SentPermit { body: self.json.clone(), code: key.code(self.json.as_bytes()) }
    }

    /// How many bytes its result may have, where at most `bytes_max` may: a cap may leave fewer.
    pub fn result_bytes_max(&self, bytes_max: usize) -> usize {
        let reserved = self.reservation.bytes().and_then(|bytes| usize::try_from(bytes).ok());
        reserved.map_or(bytes_max, |reserved| reserved.min(bytes_max))
    }

    /// The reservation, to be settled by what became of the call. The permit is spent.
    pub fn into_reservation(self) -> Reservation {
        self.reservation
    }
}
