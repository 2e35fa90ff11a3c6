//! Checks tokens: a closed set of keys, one algorithm, one profile.

use std::collections::HashMap;

use jsonwebtoken::{Algorithm, DecodingKey};

use super::compact::Compact;
use super::proven::Proven;
use super::{Claims, IdentityError, jwks};
use crate::call::Digest;

/// What checks the tokens of one issuer for one audience. It never fetches a key: what a token names
/// is looked up, and a new key set makes a new verifier.
pub struct Verifier {
    issuer: String,
    audience: String,
    keys: HashMap<String, DecodingKey>,
    /// Made with the keys and gone with them.
    proven: Proven,
}

impl Verifier {
    /// A verifier with the keys of a JWK set.
    ///
    /// # Errors
    /// When the set is malformed, empty, or one key of it is weak or not named by its thumbprint.
    pub fn from_jwks(jwks_json: &str, issuer: &str, audience: &str) -> Result<Self, IdentityError> {
        let mut keys = HashMap::new();
        for jwk in jwks::read(jwks_json)? {
            let key = jwk.decoding()?;
            keys.insert(jwk.kid, key);
        }
        Ok(Self {
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
            keys,
            proven: Proven::default(),
        })
    }

    /// The claims of `jwt`, when all of it is good at `now_unix_s`, seconds since the epoch.
    ///
    /// # Errors
    /// The first thing that is wrong: form, header, key, signature, claims, time.
    pub fn verify(&self, jwt: &str, now_unix_s: u64) -> Result<Claims, IdentityError> {
        self.verify_digested(jwt, now_unix_s).map(|(claims, _)| claims)
    }

    /// [`Verifier::verify`], and the digest of the compact token, which it takes anyway.
    ///
    /// # Errors
    /// The same.
    pub fn verify_digested(
        &self,
        jwt: &str,
        now_unix_s: u64,
    ) -> Result<(Claims, Digest), IdentityError> {
        let compact = Compact::cut(jwt)?;
        let kid = compact.kid()?;
        let Some(key) = self.keys.get(&kid) else {
            return Err(IdentityError::UnknownKey { kid, known: self.keys.len() });
        };
        let token = Digest::of(jwt.as_bytes());
        if !self.proven.knows(&token) {
            if !signed_by(&compact, key)? {
                return Err(IdentityError::Signature { kid });
            }
            self.proven.learn(token);
        }
        let claims = Claims::read(&compact.payload()?)?;
        for (name, found, expected) in
            [("iss", &claims.iss, &self.issuer), ("aud", &claims.aud, &self.audience)]
        {
            if found != expected {
                return Err(IdentityError::Claims(format!(
                    "{name} is {found:?}, expected {expected:?}"
                )));
            }
        }
        claims.check_time(now_unix_s)?;
        Ok((claims, token))
    }
}

/// Whether the RS256 signature holds. The algorithm is the key's, never the token's.
fn signed_by(compact: &Compact<'_>, key: &DecodingKey) -> Result<bool, IdentityError> {
    let signature = compact.signature()?;
    jsonwebtoken::crypto::verify(signature, compact.signed(), key, Algorithm::RS256)
        .map_err(|error| IdentityError::Form(error.to_string()))
}

#[cfg(test)]
mod tests {

    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Corpus {
        #[serde(rename = "testGroups")]
        groups: Vec<Group>,
    }

    #[derive(Deserialize)]
    struct Group {
        comment: String,
        public: Option<serde_json::Value>,
        tests: Vec<Test>,
    }

    #[derive(Deserialize)]
    struct Test {
        #[serde(rename = "tcId")]
        id: u64,
        jws: serde_json::Value,
        result: String,
    }

    /// The signature layer alone: the vectors' headers are not of our profile.
    fn holds(jws: &str, key: &DecodingKey) -> bool {
        let header_is_rs256 = |jws: &str| {
            jsonwebtoken::decode_header(jws).is_ok_and(|header| header.alg == Algorithm::RS256)
        };
        Compact::cut(jws).is_ok_and(|compact| {
            compact.payload().is_ok()
                && header_is_rs256(jws)
                && signed_by(&compact, key).unwrap_or(false)
        })
    }

    #[test]
    fn the_rs256_groups_of_wycheproof_are_answered_right() {
        let Some(folder) = crate::corpora::folder() else { return };
        let path = folder.join("wycheproof/json_web_signature_test.json");
        let text = std::fs::read_to_string(path).unwrap();
        let corpus: Corpus = serde_json::from_str(&text).unwrap();
        let (mut accepted, mut refused) = (0, 0);
        for group in corpus.groups.iter().filter(|g| g.comment == "rs256") {
            let public = group.public.as_ref().unwrap();
            let member = |name: &str| public[name].as_str().unwrap();
            let key = DecodingKey::from_rsa_components(member("n"), member("e")).unwrap();
            for test in &group.tests {
                let found = test.jws.as_str().is_some_and(|jws| holds(jws, &key));
                // Our profile has no empty payload, which the corpus calls valid.
                let empty = test.jws.as_str().is_some_and(|jws| jws.contains(".."));
                assert_eq!(found, test.result == "valid" && !empty, "case {}", test.id);
                if found { accepted += 1 } else { refused += 1 }
            }
        }
        assert!(accepted >= 5 && refused >= 225, "{accepted} {refused}");
    }
}
