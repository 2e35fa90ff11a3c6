//! `.signatures.json`: a JWT over the list of a bundle's files, each with its digest. A signature holds only when
//! the list is of all files and of no other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{BundleError, SIGNATURES, Signers, hashed};
use crate::call::Digest;
use crate::identity::{Published, PublishingKey};
use crate::state::PolicyFiles;

/// The one digest that is taken. OPA knows broken ones too.
const ALGORITHM: &str = "SHA-256";

/// The file.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Signatures {
    signatures: Vec<String>,
}

/// What is signed. What is not known is refused: it might bound what the signature is for.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    files: Vec<Listed>,
    /// The key, where the header does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keyid: Option<String>,
    /// Only the empty one: no other is configured.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    scope: String,
    /// For information, as OPA has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iat: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    name: PathBuf,
    hash: Digest,
    algorithm: String,
}

fn refused<T>(what: impl Into<String>) -> Result<T, BundleError> {
    Err(BundleError::Signature(what.into()))
}

/// The id of the key that signed exactly `files`.
pub(super) fn check(files: &PolicyFiles, signers: &Signers) -> Result<String, BundleError> {
    let path = Path::new(SIGNATURES);
    let Some((_, contents)) = files.iter().find(|(name, _)| name == path) else {
        return Err(BundleError::Unsigned);
    };
    let failed = |error: &dyn std::fmt::Display| BundleError::Signature(error.to_string());
    let text = hashed::json(path, contents)?;
    let Signatures { signatures } =
        super::super::envelope::object(text).map_err(|error| failed(&error))?;
    let [jwt] = signatures.as_slice() else {
        return refused(format!("{} signatures, expected one", signatures.len()));
    };
    let published = Published::read(jwt).map_err(|error| failed(&error))?;
    let payload = published.payload().map_err(|error| failed(&error))?;
    let text = super::super::json::scan(&payload, 8, usize::MAX).map_err(|fault| failed(&fault))?;
    let payload: Payload = super::super::envelope::object(text).map_err(|error| failed(&error))?;
    let kid = match (published.kid(), payload.keyid.as_deref()) {
        (Some(kid), Some(keyid)) if kid != keyid => {
            return refused(format!("it names two keys, {kid:?} and {keyid:?}"));
        }
        (Some(kid), _) | (None, Some(kid)) => kid.to_owned(),
        (None, None) => return refused("it names no key"),
    };
    let Some(key) = signers.get(&kid) else {
        return refused(format!("policy.signers has no key {kid:?}"));
    };
    // Nothing of the payload counts before this.
    published.check(&kid, key).map_err(|error| failed(&error))?;
    if !payload.scope.is_empty() {
        return refused(format!("it is of scope {:?}, expected none", payload.scope));
    }
    covers(&payload.files, files)?;
    Ok(kid)
}

/// Sees to it that the list is of these files, each once and as it is, and of no other.
fn covers(listed: &[Listed], files: &PolicyFiles) -> Result<(), BundleError> {
    let mut left = BTreeMap::new();
    for one in listed {
        let name = one.name.display();
        if one.algorithm != ALGORITHM {
            return refused(format!("{name}: {:?}, expected {ALGORITHM}", one.algorithm));
        }
        if left.insert(one.name.as_path(), one.hash).is_some() {
            return refused(format!("{name} is listed twice"));
        }
    }
    for (name, contents) in files.iter().filter(|(name, _)| name != Path::new(SIGNATURES)) {
        let found = hashed::digest(name, contents)?;
        match left.remove(name.as_path()) {
            None => return refused(format!("{} is not listed", name.display())),
            Some(expected) if expected != found => {
                return refused(format!(
                    "{} has digest {found}, the list has {expected}",
                    name.display()
                ));
            }
            Some(_) => {}
        }
    }
    match left.keys().next() {
        None => Ok(()),
        Some(name) => refused(format!("{} is listed and not there", name.display())),
    }
}

/// Signs `files` by the key that readers know as `kid`, and adds the signature to them; an older one goes.
///
/// # Errors
/// When a file is not what its name says, or the library cannot sign.
pub fn sign(files: &mut PolicyFiles, kid: &str, key: &PublishingKey) -> Result<(), BundleError> {
    files.retain(|(name, _)| name != Path::new(SIGNATURES));
    let listed = files.iter().map(|(name, contents)| {
        let hash = hashed::digest(name, contents)?;
        Ok(Listed { name: name.clone(), hash, algorithm: ALGORITHM.to_owned() })
    });
    let payload = Payload {
        files: listed.collect::<Result<_, BundleError>>()?,
        keyid: Some(kid.to_owned()),
        scope: String::new(),
        iat: None,
        iss: None,
    };
    let failed = |error: &dyn std::fmt::Display| BundleError::Signature(error.to_string());
    let payload = serde_json::to_vec(&payload).map_err(|error| failed(&error))?;
    let jwt = key.sign(kid, &payload).map_err(|error| failed(&error))?;
    files.push((SIGNATURES.into(), json!({"signatures": [jwt]}).to_string().into_bytes()));
    files.sort();
    Ok(())
}
