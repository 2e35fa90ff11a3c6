//! What calls are judged by: the policy and the tools' pins, read together and replaced together.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;

use crate::call::Digest;
use crate::gate::{Pins, Policy, Signers};
use crate::state::policy_files;

use super::GatewayError;

/// Where the pins are, below the policy's directory.
const PINS: &str = "tools";

/// One reading of the policy's directory.
pub(super) struct Rules {
    /// The Rego and its data.
    pub(super) policy: Policy,
    /// The approved tools.
    pub(super) pins: Pins,
    /// The key that signed them, where a signature is demanded.
    pub(super) signer: Option<String>,
}

/// The rules in force.
pub(super) struct InForce {
    dir: PathBuf,
    signers: Signers,
    rules: watch::Sender<Arc<Rules>>,
}

impl InForce {
    /// Reads the policy's directory.
    ///
    /// # Errors
    /// When the policy or a pin is refused, or none of `signers` signed them, where there are any; the gateway
    /// does not start with half a policy.
    pub(super) fn read(dir: PathBuf, signers: Signers) -> Result<Self, GatewayError> {
        let rules = Arc::new(Rules::read(&dir, &signers)?);
        Ok(Self { dir, signers, rules: watch::channel(rules).0 })
    }

    /// The rules in force now. A call keeps the ones that it began with.
    pub(super) fn now(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.borrow())
    }

    /// The rules in force from now on, for those who wait for others.
    pub(super) fn follow(&self) -> watch::Receiver<Arc<Rules>> {
        self.rules.subscribe()
    }

    /// Reads the directory anew; when it is refused, the rules in force stay.
    ///
    /// # Errors
    /// When the policy or a pin is refused or not signed, or another revision is there than `expected`.
    pub(super) fn reload(&self, expected: Option<Digest>) -> Result<Arc<Rules>, GatewayError> {
        let fresh = Arc::new(Rules::read(&self.dir, &self.signers)?);
        let found = fresh.policy.revision();
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            return Err(GatewayError::Revision { expected, found });
        }
        self.rules.send_replace(Arc::clone(&fresh));
        Ok(fresh)
    }
}

impl Rules {
    fn read(dir: &std::path::Path, signers: &Signers) -> Result<Self, GatewayError> {
        if !signers.demand() {
            let (policy, pins) = (Policy::read(dir)?, Pins::read(&dir.join(PINS))?);
            return Ok(Self { policy, pins, signer: None });
        }
        // What is served is what was checked: the files are read once.
        let files = policy_files(dir)?;
        let signer = signers.check(&files)?;
        let (policy, pins) = (Policy::from_files(dir, &files)?, Pins::from_files(dir, &files)?);
        Ok(Self { policy, pins, signer })
    }
}
