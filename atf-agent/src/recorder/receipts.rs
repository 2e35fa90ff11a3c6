//! The keys under which receipts are made. A permit names the executor that it is for by that one's public key,
//! and what is agreed with another key is of use to nobody: so the gateway may say which.

use std::sync::Arc;

use crate::call::Digest;
use crate::identity::{AgreementKey, AgreementPublic, IdentityError, MacKey, Purpose};

/// The recorder's own key of this life, and the one that it had with an executor last.
pub(super) struct Receipts {
    own: AgreementKey,
    last: Option<(Digest, Arc<MacKey>)>,
}

impl Receipts {
    /// A new key.
    ///
    /// # Errors
    /// When the operating system has no random bytes.
    pub(super) fn start() -> Result<Self, IdentityError> {
        Ok(Self { own: AgreementKey::generate()?, last: None })
    }

    /// The public half, for the executor.
    pub(super) fn public(&self) -> AgreementPublic {
        self.own.public()
    }

    /// The key of receipts for the executor with the nonce `executor`.
    ///
    /// # Errors
    /// When that is no public key.
    pub(super) fn key_with(&mut self, executor: Digest) -> Result<Arc<MacKey>, IdentityError> {
        if let Some((known, key)) = &self.last
            && *known == executor
        {
            return Ok(Arc::clone(key));
        }
        let key = Arc::new(self.own.to_reader(Purpose::Receipt, executor.into())?);
        self.last = Some((executor, Arc::clone(&key)));
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_life_of_the_executor_has_a_key_and_what_is_no_key_has_none() {
        let mut receipts = Receipts::start().unwrap();
        let lives = [AgreementKey::generate().unwrap(), AgreementKey::generate().unwrap()];
        for life in [&lives[0], &lives[1], &lives[0]] {
            let reads = life.from_writer(Purpose::Receipt, receipts.public()).unwrap();
            let code = receipts.key_with(life.public().into()).unwrap().code(b"receipt");
            assert!(reads.holds(b"receipt", code));
        }
        assert!(receipts.key_with(Digest::from_bytes([0; 32])).is_err());
    }
}
