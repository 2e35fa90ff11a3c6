//! Public RSA keys as the authority publishes them: a JWK set (RFC 7517), each key named by its
//! RFC 7638 thumbprint.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde::{Deserialize, Serialize};

use super::IdentityError;
use super::compact::{ALGORITHM, is_kid};

/// Longest key set in bytes and most keys in it: a rotation has three at a time.
const SET_BYTES_MAX: usize = 64 << 10;
const KEYS_MAX: usize = 16;

/// Bits of a modulus. Below, RSA can be broken (NIST SP 800-131A); above, a check costs milliseconds.
const MODULUS_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// 65537 in base64url: the one exponent.
const EXPONENT: &str = "AQAB";

/// One public key, with every member that we write and no other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Jwk {
    pub(super) kty: String,
    #[serde(rename = "use")]
    pub(super) usage: String,
    pub(super) alg: String,
    pub(super) kid: String,
    pub(super) n: String,
    pub(super) e: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Set {
    keys: Vec<Jwk>,
}

impl Jwk {
    /// A signing key's public half.
    pub(super) fn of(modulus: &str, exponent: &str) -> Result<Self, IdentityError> {
        let jwk = Self {
            kty: "RSA".to_owned(),
            usage: "sig".to_owned(),
            alg: ALGORITHM.to_owned(),
            kid: thumbprint(modulus, exponent),
            n: modulus.to_owned(),
            e: exponent.to_owned(),
        };
        jwk.check()?;
        Ok(jwk)
    }

    /// The key in the form that checks signatures.
    pub(super) fn decoding(&self) -> Result<DecodingKey, IdentityError> {
        self.check()?;
        DecodingKey::from_rsa_components(&self.n, &self.e)
            .map_err(|error| IdentityError::Key(error.to_string()))
    }

    fn check(&self) -> Result<(), IdentityError> {
        let wrong = |text: String| Err(IdentityError::Key(format!("{}: {text}", self.kid)));
        for (member, found, expected) in [
            ("kty", &self.kty, "RSA"),
            ("use", &self.usage, "sig"),
            ("alg", &self.alg, ALGORITHM),
            ("e", &self.e, EXPONENT),
        ] {
            if found != expected {
                return wrong(format!("{member} is {found:?}, expected {expected:?}"));
            }
        }
        let Ok(modulus) = URL_SAFE_NO_PAD.decode(&self.n) else {
            return wrong("n is not base64url".to_owned());
        };
        let Some(&first) = modulus.first().filter(|&&first| first != 0) else {
            return wrong("n is empty or starts with a zero byte".to_owned());
        };
        let bits = modulus.len() * 8 - first.leading_zeros() as usize;
        if !MODULUS_BITS.contains(&bits) {
            return wrong(format!("n has {bits} bits, expected 2048 to 8192"));
        }
        let name = thumbprint(&self.n, &self.e);
        if !is_kid(&self.kid) || self.kid != name {
            return wrong(format!("kid is not the key's thumbprint {name}"));
        }
        Ok(())
    }
}

/// Reads a key set; every key in it is good, or none is taken.
pub(super) fn read(json: &str) -> Result<Vec<Jwk>, IdentityError> {
    if json.len() > SET_BYTES_MAX {
        return Err(IdentityError::KeySet(format!(
            "{} bytes, at most {SET_BYTES_MAX} are read",
            json.len()
        )));
    }
    let set: Set = super::claims::object(json.as_bytes()).map_err(IdentityError::KeySet)?;
    if set.keys.is_empty() || set.keys.len() > KEYS_MAX {
        return Err(IdentityError::KeySet(format!(
            "{} keys, expected 1 to {KEYS_MAX}",
            set.keys.len()
        )));
    }
    for (i, key) in set.keys.iter().enumerate() {
        key.check()?;
        if set.keys[..i].iter().any(|other| other.kid == key.kid) {
            return Err(IdentityError::KeySet(format!("two keys {}", key.kid)));
        }
    }
    Ok(set.keys)
}

/// Writes a key set.
pub(super) fn write(keys: &[Jwk]) -> String {
    let set = Set { keys: keys.to_vec() };
    serde_json::to_string(&set).expect("a struct of strings is always JSON")
}

/// RFC 7638: SHA-256 over the required members in lexical order, without white space.
pub(super) fn thumbprint(modulus: &str, exponent: &str) -> String {
    let canonical = format!(r#"{{"e":"{exponent}","kty":"RSA","n":"{modulus}"}}"#);
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, canonical.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7638 section 3.1.
    const RFC_N: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";

    #[test]
    fn the_thumbprint_is_that_of_the_standard() {
        assert_eq!(thumbprint(RFC_N, "AQAB"), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn a_key_set_with_one_bad_key_is_not_taken() {
        let good = Jwk::of(RFC_N, "AQAB").unwrap();
        let set = |keys: &[Jwk]| write(keys);
        let changed = |change: fn(&mut Jwk)| {
            let mut key = good.clone();
            change(&mut key);
            set(&[key])
        };
        assert!(read(&set(std::slice::from_ref(&good))).is_ok(), "the control");
        let small = URL_SAFE_NO_PAD.encode([0x80; 128]);
        let large = URL_SAFE_NO_PAD.encode([0x80; 1025]);
        let of_modulus = |n: &str| {
            let mut key = good.clone();
            key.n = n.to_owned();
            key.kid = thumbprint(n, &key.e);
            set(&[key])
        };
        let mut exponent_3 = good.clone();
        exponent_3.e = "Aw".to_owned();
        exponent_3.kid = thumbprint(&good.n, "Aw");
        let extra = set(std::slice::from_ref(&good)).replace("\"kty\"", "\"d\":\"AA\",\"kty\"");
        for (what, json) in [
            ("no keys", set(&[])),
            ("the same key twice", set(&[good.clone(), good.clone()])),
            ("another algorithm", changed(|k| k.alg = "PS256".to_owned())),
            ("a symmetric key", changed(|k| k.kty = "oct".to_owned())),
            ("for encryption", changed(|k| k.usage = "enc".to_owned())),
            ("a kid of its own", changed(|k| k.kid = "../../dev/null".to_owned())),
            ("another key's kid", changed(|k| k.kid = "A".repeat(43))),
            ("1024 bits", of_modulus(&small)),
            ("8200 bits", of_modulus(&large)),
            ("exponent 3", set(&[exponent_3])),
            ("a private member", extra),
            ("an array", "[]".to_owned()),
            (
                "too long",
                format!("{}{}", set(std::slice::from_ref(&good)), " ".repeat(SET_BYTES_MAX)),
            ),
        ] {
            assert!(read(&json).is_err(), "{what}");
        }
    }
}
