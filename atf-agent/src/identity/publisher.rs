//! Keys of who may publish a policy: what signs the list of a bundle's files, and what checks that. RSA with
//! RS256 or Ed25519 with EdDSA (RFC 8037); a key has one algorithm, whatever a signature says of itself.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk as AnyJwk};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, crypto};
use serde::Deserialize;

use super::IdentityError;
use super::compact::Compact;
use super::jwks::Jwk;

/// Longest signed list of a bundle's files in bytes: a thousand names and digests.
const SIGNED_BYTES_MAX: usize = 512 << 10;

/// A public key.
pub struct PublisherKey {
    key: DecodingKey,
    algorithm: Algorithm,
}

/// A private key.
pub struct PublishingKey {
    key: EncodingKey,
    algorithm: Algorithm,
}

/// A signature in compact form (RFC 7515) over a payload, not checked yet.
pub struct Published<'a> {
    compact: Compact<'a>,
    /// The key that it names in its header, if any.
    kid: Option<String>,
    algorithm: String,
}

/// The header. Members that change what is checked, or where a key comes from, are not known and refuse it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    typ: Option<String>,
}

fn spelled(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::EdDSA => "EdDSA",
        _ => "RS256",
    }
}

impl PublisherKey {
    /// The key in a PEM file.
    ///
    /// # Errors
    /// When it is no public key of RSA, 2048 bits or more, or of Ed25519.
    pub fn from_pem(pem: &[u8]) -> Result<Self, IdentityError> {
        let refused = |what: String| Err(IdentityError::Key(what));
        if String::from_utf8_lossy(pem).contains("PRIVATE KEY") {
            return refused("expected a public key in PEM, found a private one".to_owned());
        }
        if let Ok(key) = DecodingKey::from_ed_pem(pem) {
            return Ok(Self { key, algorithm: Algorithm::EdDSA });
        }
        let any =
            DecodingKey::from_rsa_pem(pem).and_then(|key| AnyJwk::from_decoding_key(&key, None));
        match any.map(|any| any.algorithm) {
            // Read again as what tokens are checked by, which bounds the size.
            Ok(AlgorithmParameters::RSA(rsa)) => {
                Ok(Self { key: Jwk::of(&rsa.n, &rsa.e)?.decoding()?, algorithm: Algorithm::RS256 })
            }
            Ok(_) => refused("expected a key of RSA or Ed25519".to_owned()),
            Err(error) => {
                refused(format!("expected a public key of RSA or Ed25519 in PEM: {error}"))
            }
        }
    }
}

impl PublishingKey {
    /// The key in a PEM file (PKCS#8, or PKCS#1 for RSA).
    ///
    /// # Errors
    /// When it is no private key of RSA or Ed25519.
    pub fn from_pem(pem: &[u8]) -> Result<Self, IdentityError> {
        if let Ok(key) = EncodingKey::from_ed_pem(pem) {
            return Ok(Self { key, algorithm: Algorithm::EdDSA });
        }
        let key = EncodingKey::from_rsa_pem(pem).map_err(|error| {
            IdentityError::Key(format!("expected a private key of RSA or Ed25519 in PEM: {error}"))
        })?;
        Ok(Self { key, algorithm: Algorithm::RS256 })
    }

    /// `payload` and the signature over it, in compact form, by the key that readers know as `kid`.
    ///
    /// # Errors
    /// When the library cannot sign: RSA of less than 2048 bits.
    pub fn sign(&self, kid: &str, payload: &[u8]) -> Result<String, IdentityError> {
        let header = serde_json::json!({"alg": spelled(self.algorithm), "kid": kid}).to_string();
        let mut text = URL_SAFE_NO_PAD.encode(header);
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(payload, &mut text);
        let signature = crypto::sign(text.as_bytes(), &self.key, self.algorithm)
            .map_err(|error| IdentityError::Key(format!("the library could not sign: {error}")))?;
        Ok(format!("{text}.{signature}"))
    }
}

impl<'a> Published<'a> {
    /// Reads the form and the header.
    ///
    /// # Errors
    /// When it is too long, not of the compact form, or its header has a member that is not known.
    pub fn read(text: &'a str) -> Result<Self, IdentityError> {
        let compact = Compact::cut_within(text, SIGNED_BYTES_MAX)?;
        let Header { alg, kid, typ } =
            super::claims::object(&compact.header()?).map_err(IdentityError::Header)?;
        if typ.as_deref().is_some_and(|typ| typ != "JWT") {
            return Err(IdentityError::Header(format!("typ is {typ:?}, expected \"JWT\" or none")));
        }
        Ok(Self { compact, kid, algorithm: alg })
    }

    /// The key that it says to be signed by. A claim.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// What is signed. A claim, until [`Published::check`].
    ///
    /// # Errors
    /// When it is not base64url.
    pub fn payload(&self) -> Result<Vec<u8>, IdentityError> {
        self.compact.payload()
    }

    /// Whether `key`, known as `kid`, signed it.
    ///
    /// # Errors
    /// When it did not, or the header names another algorithm than the key's.
    pub fn check(&self, kid: &str, key: &PublisherKey) -> Result<(), IdentityError> {
        let expected = spelled(key.algorithm);
        if self.algorithm != expected {
            return Err(IdentityError::Header(format!(
                "alg is {:?}, key {kid:?} is of {expected}",
                self.algorithm
            )));
        }
        let signature = self.compact.signature()?;
        match crypto::verify(signature, self.compact.signed(), &key.key, key.algorithm) {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(IdentityError::Signature { kid: kid.to_owned() }),
        }
    }
}
