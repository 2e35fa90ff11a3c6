//! What calls are judged by: the policy and the tools' pins, read together and replaced together.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use crate::call::Digest;
use crate::gate::{Pins, Policy};

use super::GatewayError;

/// Where the pins are, below the policy's directory.
const PINS: &str = "tools";

/// One reading of the policy's directory.
pub(super) struct Rules {
    /// The Rego and its data.
    pub(super) policy: Policy,
    /// The approved tools.
    pub(super) pins: Pins,
}

/// The rules in force.
pub(super) struct InForce {
    dir: PathBuf,
    rules: RwLock<Arc<Rules>>,
}

impl InForce {
    /// Reads the policy's directory.
    ///
    /// # Errors
    /// When the policy or a pin is refused; the gateway does not start with half a policy.
    pub(super) fn read(dir: PathBuf) -> Result<Self, GatewayError> {
        let rules = RwLock::new(Arc::new(Rules::read(&dir)?));
        Ok(Self { dir, rules })
    }

    /// The rules in force now. A call keeps the ones that it began with.
    pub(super) fn now(&self) -> Arc<Rules> {
        // A panic while it was held cannot have left half of it: an `Arc` is set whole.
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the directory anew; when it is refused, the rules in force stay.
    ///
    /// # Errors
    /// When the policy or a pin is refused, or another revision is there than `expected`.
    pub(super) fn reload(&self, expected: Option<Digest>) -> Result<Arc<Rules>, GatewayError> {
        let fresh = Arc::new(Rules::read(&self.dir)?);
        let found = fresh.policy.revision();
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            return Err(GatewayError::Revision { expected, found });
        }
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&fresh);
        Ok(fresh)
    }
}

impl Rules {
    fn read(dir: &std::path::Path) -> Result<Self, GatewayError> {
        Ok(Self { policy: Policy::read(dir)?, pins: Pins::read(&dir.join(PINS))? })
    }
}
