//! Whom the executor believes, each for one thing alone: the gateway's permits, the authority's
//! tokens, the recorder's receipts, and the operator's pins.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize as _;
use serde_json::Value;

use super::error::Mistrust;
use super::published::Published;
use crate::call::{Digest, ToolName};
use crate::identity::{AgreementKey, AgreementPublic, MacKey, Purpose, Verifier};
use crate::wire::Places;

/// Who signs tokens, and for whom.
#[derive(Debug, Clone)]
pub struct Parties {
    /// The tokens' `iss`.
    pub issuer: String,
    /// The tokens' `aud`.
    pub audience: String,
}

/// The published keys and the pins.
pub(super) struct Trust {
    pub(super) permit_key: Published<MacKey>,
    pub(super) receipt_key: Published<MacKey>,
    pub(super) tokens: Published<Verifier>,
    pins_dir: PathBuf,
    pins: Mutex<HashMap<ToolName, Arc<Published<Seen>>>>,
}

impl Trust {
    /// What `places` have; `own` is this executor's key, for what is agreed with the others.
    pub(super) fn new(places: &Places, parties: &Parties, own: AgreementKey) -> Self {
        let (parties, own) = (parties.clone(), Arc::new(own));
        let agreed = |path, purpose| {
            let own = Arc::clone(&own);
            Published::new(path, move |bytes| key(bytes, &own, purpose))
        };
        Self {
            permit_key: agreed(places.permit_key(), Purpose::Permit),
            receipt_key: agreed(places.receipt_key(), Purpose::Receipt),
            tokens: Published::new(places.jwks(), move |bytes| {
                let jwks = text(bytes)?;
                Verifier::from_jwks(jwks, &parties.issuer, &parties.audience)
                    .map_err(|error| error.to_string())
            }),
            pins_dir: places.policy_dir.join("tools"),
            pins: Mutex::default(),
        }
    }

    /// The digest of the pin of `tool`, from this process's own reading: SHA-256 over the canonical
    /// JSON of `tools/NAME.json`.
    pub(super) fn pin(&self, tool: &ToolName) -> Result<Digest, Mistrust> {
        self.seen(tool).map(|seen| seen.digest)
    }

    /// The digest of what the tool's server said of it when it was approved; none when the pin does not
    /// say.
    pub(super) fn approved(&self, tool: &ToolName) -> Result<Option<Digest>, Mistrust> {
        self.seen(tool).map(|seen| seen.approved)
    }

    fn seen(&self, tool: &ToolName) -> Result<Arc<Seen>, Mistrust> {
        let pin = {
            let mut pins = self.pins.lock().unwrap_or_else(PoisonError::into_inner);
            let fresh = || {
                let named = tool.clone();
                let path = self.pins_dir.join(format!("{tool}.json"));
                Arc::new(Published::new(path, move |bytes| pin(bytes, &named)))
            };
            Arc::clone(pins.entry(tool.clone()).or_insert_with(fresh))
        };
        pin.get()
    }
}

/// What of a pin counts here.
struct Seen {
    digest: Digest,
    approved: Option<Digest>,
}

fn pin(bytes: &[u8], tool: &ToolName) -> Result<Seen, String> {
    let pin: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if pin["name"] != tool.as_str() {
        return Err(format!("it is not the pin of {tool}"));
    }
    let canonical = serde_json_canonicalizer::to_vec(&pin).map_err(|error| error.to_string())?;
    let approved = match pin.get("x-atf-server") {
        None => None,
        Some(digest) => Some(Digest::deserialize(digest).map_err(|error| error.to_string())?),
    };
    Ok(Seen { digest: Digest::of(&canonical), approved })
}

/// The key that `own` has with the owner of the published one.
fn key(bytes: &[u8], own: &AgreementKey, purpose: Purpose) -> Result<MacKey, String> {
    let writer = AgreementPublic::from_hex(text(bytes)?);
    let key = writer.and_then(|writer| own.from_writer(purpose, writer));
    key.map_err(|error| error.to_string())
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|error| error.to_string())
}
