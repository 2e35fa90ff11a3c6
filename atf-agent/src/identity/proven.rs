//! The tokens whose signature a key set has already proven. Only the RSA check is remembered: it takes
//! longer than the rest of a decision, and its answer for the same bytes and keys never changes. Form,
//! header, claims and time are looked at on every call.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use atf_common::limits::RUNS_MAX;

use crate::call::Digest;

/// Most tokens that are remembered, 64 bytes each: every live run has one, and two while it is renewed.
/// Only what carries a good signature gets in, so that nobody but the authority can push others out.
const PROVEN_MAX: usize = 2 * RUNS_MAX as usize;

/// Digests of whole compact tokens, signature included. It belongs to one verifier and so to one key
/// set: another set makes another verifier, which has proven nothing.
#[derive(Default)]
pub(super) struct Proven(Mutex<Known>);

#[derive(Default)]
struct Known {
    tokens: HashSet<Digest>,
    /// The same, oldest first.
    order: VecDeque<Digest>,
}

impl Proven {
    /// Whether the signature of this token was good.
    pub(super) fn knows(&self, token: &Digest) -> bool {
        self.known().tokens.contains(token)
    }

    /// Remembers that it was; the oldest is forgotten when there are too many.
    pub(super) fn learn(&self, token: Digest) {
        let mut known = self.known();
        if !known.tokens.insert(token) {
            return;
        }
        known.order.push_back(token);
        if known.order.len() > PROVEN_MAX
            && let Some(oldest) = known.order.pop_front()
        {
            known.tokens.remove(&oldest);
        }
    }

    /// A panic between two statements leaves a token that is proven again, or one that stays a little
    /// longer: both are harmless.
    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::forge::{self, Draft, NOW};
    use super::super::{IdentityError, Minter, Verifier};
    use super::*;

    #[test]
    fn it_remembers_the_newest_and_no_more() {
        let proven = Proven::default();
        let token = |n: usize| Digest::of(&n.to_le_bytes());
        for n in 0..=PROVEN_MAX {
            proven.learn(token(n));
            proven.learn(token(n));
        }
        assert!(!proven.knows(&token(0)), "the oldest is forgotten");
        assert!(proven.knows(&token(1)) && proven.knows(&token(PROVEN_MAX)));
        assert_eq!(proven.known().order.len(), PROVEN_MAX);
        assert_eq!(proven.known().tokens.len(), PROVEN_MAX);
    }

    /// The attack: show a good token once, so that it is remembered, and then a bad one like it.
    #[test]
    fn a_token_that_was_good_lends_nothing_to_another() {
        let verifier = forge::verifier();
        let good = Draft::honest().signed();
        assert!(verifier.verify(&good, NOW).is_ok(), "the control: proven");
        assert!(verifier.verify(&good, NOW).is_ok(), "the control: remembered");
        let (signed, signature) = good.rsplit_once('.').unwrap();
        let other = Draft::honest().signed();
        let (_, others) = other.rsplit_once('.').unwrap();
        assert!(verifier.verify(&format!("{signed}.{others}"), NOW).is_err(), "another signature");
        let widened = Draft::honest().text("ledger.query", "shell.run").signed();
        let (widened, _) = widened.rsplit_once('.').unwrap();
        let forged = format!("{widened}.{signature}");
        for _ in 0..2 {
            let found = verifier.verify(&forged, NOW);
            assert!(matches!(found, Err(IdentityError::Signature { .. })), "{found:?}");
        }
    }

    #[test]
    fn what_is_remembered_still_ends() {
        let verifier = forge::verifier();
        let token = Draft::honest().signed();
        assert!(verifier.verify(&token, NOW).is_ok(), "the control");
        for now in [NOW + 305, NOW - 6] {
            assert!(matches!(verifier.verify(&token, now), Err(IdentityError::Time(_))), "{now}");
        }
        assert!(verifier.verify(&token, NOW).is_ok(), "a good time again");
    }

    #[test]
    fn another_key_set_has_proven_nothing() {
        let token = Draft::honest().signed();
        assert!(forge::verifier().verify(&token, NOW).is_ok(), "the control");
        let jwks = Minter::generate().unwrap().jwks();
        let other = Verifier::from_jwks(&jwks, forge::ISSUER, forge::AUDIENCE).unwrap();
        for _ in 0..2 {
            let found = other.verify(&token, NOW);
            assert!(matches!(found, Err(IdentityError::UnknownKey { .. })), "{found:?}");
        }
    }
}
