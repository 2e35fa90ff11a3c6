//! `atf policy bundle|capabilities`: a policy as one file, and what OPA's own tools have to know of it.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use serde_json::json;

use super::super::args::{BundleArguments, Output};
use super::super::output;
use super::super::{EXIT_NO, EXIT_OK};
use super::place;
use crate::call::Untrusted;
use crate::gate::{
    BUNDLE_BYTES_MAX, Policy, Signers, add_manifest, capabilities, pack, sign, unpack,
};
use crate::identity::PublishingKey;
use crate::state::{PolicyFiles, files, policy_files};

/// The files of a draft: those of a directory, or those in a bundle.
pub(super) fn open(draft: &Path) -> anyhow::Result<PolicyFiles> {
    let failed = || format!("cannot read {}", draft.display());
    if draft.is_dir() {
        return Ok(policy_files(draft)?);
    }
    let mut bytes = Vec::new();
    let file = File::open(draft).with_context(failed)?;
    file.take(BUNDLE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).with_context(failed)?;
    Ok(unpack(&bytes)?)
}

/// Makes a bundle of a directory that the gateway would take.
pub(super) fn bundle(wanted: &BundleArguments) -> anyhow::Result<u8> {
    if let Err(why) = place::good(&wanted.dir, &Signers::default()) {
        let why = Untrusted::from(why);
        match wanted.output {
            Output::Json => output::json(&json!({"bundle": null, "why": why}))?,
            Output::Text => output::line(&format!("no bundle was made: {why}"))?,
        }
        return Ok(EXIT_NO);
    }
    let mut found = policy_files(&wanted.dir)?;
    let digest = Policy::from_files(&wanted.dir, &found)?.revision();
    let revision = wanted.revision.clone().unwrap_or_else(|| digest.to_string());
    add_manifest(&mut found, &revision)?;
    let signer = match &wanted.key {
        None => None,
        Some(path) => {
            let pem = files::read_secret(path)?;
            let pem = pem.with_context(|| format!("there is no key {}", path.display()))?;
            let id = wanted.key_id.clone().unwrap_or_default();
            sign(&mut found, &id, &PublishingKey::from_pem(&pem)?)?;
            Some(id)
        }
    };
    files::publish(&wanted.out, &pack(&found)?)?;
    let out = wanted.out.display().to_string();
    match wanted.output {
        Output::Json => output::json(&json!({
            "bundle": out, "revision": digest, "files": found.len(), "signer": signer, "why": null,
        }))?,
        Output::Text => {
            let by = signer.map_or("not signed".to_owned(), |id| format!("signed by {id}"));
            output::line(&format!("{out}: revision {digest}, {} files, {by}", found.len()))?;
        }
    }
    Ok(EXIT_OK)
}

/// Prints `capabilities.json`.
pub(super) fn print_capabilities() -> anyhow::Result<u8> {
    output::json(&capabilities())?;
    Ok(EXIT_OK)
}
