//! Ed25519 (RFC 8032): the heads of the log, which anybody may check.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use super::IdentityError;

/// Bytes of a public key and of a signature.
const PUBLIC_BYTES: usize = 32;
const SIGNATURE_BYTES: usize = 64;

/// A private key.
pub struct SigningKey(Ed25519KeyPair);

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyingKey([u8; PUBLIC_BYTES]);

impl SigningKey {
    /// A new key.
    ///
    /// # Errors
    /// When the operating system has no random bytes.
    pub fn generate() -> Result<Self, IdentityError> {
        Ed25519KeyPair::generate()
            .map(Self)
            .map_err(|_| IdentityError::Key("no Ed25519 key could be made".to_owned()))
    }

    /// A key that was written by [`SigningKey::pkcs8`].
    ///
    /// # Errors
    /// When the bytes are no Ed25519 private key.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, IdentityError> {
        Ed25519KeyPair::from_pkcs8(pkcs8)
            .map(Self)
            .map_err(|error| IdentityError::Key(format!("not an Ed25519 key in PKCS#8: {error}")))
    }

    /// The private key in PKCS#8 (RFC 8410). To be kept where its owner alone reads.
    ///
    /// # Panics
    /// When the library cannot write a key that it holds.
    pub fn pkcs8(&self) -> Vec<u8> {
        let document = self.0.to_pkcs8().expect("a key that was read can be written");
        document.as_ref().to_vec()
    }

    /// The public key, as 64 hexadecimal digits.
    pub fn public_hex(&self) -> String {
        hex::encode(self.0.public_key())
    }

    /// The public key.
    pub fn verifying_key(&self) -> VerifyingKey {
        let mut bytes = [0; PUBLIC_BYTES];
        bytes.copy_from_slice(self.0.public_key().as_ref());
        VerifyingKey(bytes)
    }

    /// The signature over `bytes`, as 128 hexadecimal digits.
    pub fn sign(&self, bytes: &[u8]) -> String {
        hex::encode(self.0.sign(bytes))
    }
}

impl VerifyingKey {
    /// A key from 64 lower-case hexadecimal digits; white space around them, as at the end of a file,
    /// is no part of them.
    ///
    /// # Errors
    /// When they are not.
    pub fn from_hex(text: &str) -> Result<Self, IdentityError> {
        exact(text.trim_ascii()).map(Self).ok_or_else(|| {
            IdentityError::Key(format!(
                "expected 64 lower-case hexadecimal digits of Ed25519, found {} bytes",
                text.len()
            ))
        })
    }

    /// The key, as 64 hexadecimal digits.
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }

    /// Whether `signature`, 128 lower-case hexadecimal digits, is over `bytes`.
    ///
    /// # Errors
    /// When it is not.
    pub fn verify(&self, bytes: &[u8], signature: &str) -> Result<(), IdentityError> {
        let signed = exact::<SIGNATURE_BYTES>(signature).is_some_and(|signature| {
            UnparsedPublicKey::new(&ED25519, &self.0).verify(bytes, &signature).is_ok()
        });
        match signed {
            true => Ok(()),
            false => Err(IdentityError::Signature { kid: self.hex() }),
        }
    }
}

/// `N` bytes from their one spelling in hexadecimal.
fn exact<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut out = [0; N];
    let canonical = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    (canonical && hex::decode_to_slice(text, &mut out).is_ok()).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_bytes_and_key_alone() {
        let key = SigningKey::from_pkcs8(&SigningKey::generate().unwrap().pkcs8()).unwrap();
        let public = VerifyingKey::from_hex(&format!("{}\n", key.public_hex())).unwrap();
        assert_eq!(public, key.verifying_key());
        let good = key.sign(b"permit");
        assert!(public.verify(b"permit", &good).is_ok(), "the control");
        let other = SigningKey::generate().unwrap();
        for (bytes, signature) in [
            (&b"permits"[..], good.clone()),
            (b"permit", good.to_uppercase() + "A"),
            (b"permit", good[2..].to_owned()),
            (b"permit", format!("{good}00")),
            (b"permit", other.sign(b"permit")),
            (b"permit", String::new()),
            (b"permit", "é".repeat(64)),
        ] {
            assert!(public.verify(bytes, &signature).is_err(), "{signature}");
        }
        assert!(VerifyingKey::from_hex(&key.public_hex()[1..]).is_err());
        assert!(SigningKey::from_pkcs8(b"no key").is_err());
    }
}
