//! Codes between two processes: HMAC-SHA-256 (RFC 2104) under a key that both of them derive (HKDF, RFC 5869) from
//! an X25519 agreement (RFC 7748). A permit of the gateway and a receipt of the recorder have one reader, the
//! executor, to whom a code says what a signature would, in a fiftieth of the time. Who can read can write as
//! well: of that, the executor alone is able, and it has nobody to deceive but itself.

use aws_lc_rs::agreement::{self, UnparsedPublicKey, X25519};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::hmac;

use super::IdentityError;
use crate::call::{Digest, Mac};

/// What a key is for. A code for the one is none for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The gateway's permits.
    Permit,
    /// The recorder's receipts.
    Receipt,
}

impl Purpose {
    fn word(self) -> &'static [u8] {
        match self {
            Self::Permit => b"atf-permit-v2",
            Self::Receipt => b"atf-receipt-v2",
        }
    }
}

/// A private key of X25519, by which its owner has a key with each other one. It lives as long as its process.
pub struct AgreementKey {
    private: agreement::PrivateKey,
    public: AgreementPublic,
}

/// The public half: 32 bytes, written as 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgreementPublic(Digest);

/// A key that two processes have in common, for one purpose.
pub struct MacKey(hmac::Key);

impl AgreementKey {
    /// A new key.
    ///
    /// # Errors
    /// When the operating system has no random bytes.
    pub fn generate() -> Result<Self, IdentityError> {
        let failed = |_| IdentityError::Key("no X25519 key could be made".to_owned());
        let private = agreement::PrivateKey::generate(&X25519).map_err(failed)?;
        let public = private.compute_public_key().map_err(failed)?;
        let mut bytes = [0; 32];
        bytes.copy_from_slice(public.as_ref());
        Ok(Self { private, public: AgreementPublic(Digest::from_bytes(bytes)) })
    }

    /// The public half.
    pub fn public(&self) -> AgreementPublic {
        self.public
    }

    /// The key under which its owner writes to `reader`.
    ///
    /// # Errors
    /// When `reader` is a point of small order, with which everybody agrees.
    pub fn to_reader(
        &self,
        purpose: Purpose,
        reader: AgreementPublic,
    ) -> Result<MacKey, IdentityError> {
        self.agreed(reader, [purpose.word(), self.public.bytes(), reader.bytes()])
    }

    /// The key under which `writer` writes to its owner.
    ///
    /// # Errors
    /// As [`AgreementKey::to_reader`].
    pub fn from_writer(
        &self,
        purpose: Purpose,
        writer: AgreementPublic,
    ) -> Result<MacKey, IdentityError> {
        self.agreed(writer, [purpose.word(), writer.bytes(), self.public.bytes()])
    }

    fn agreed(&self, other: AgreementPublic, said: [&[u8]; 3]) -> Result<MacKey, IdentityError> {
        let failed = || IdentityError::Key(format!("no key is agreed with {}", other.hex()));
        let theirs = UnparsedPublicKey::new(&X25519, other.bytes());
        agreement::agree(&self.private, theirs, failed(), |secret| {
            let derived = Salt::new(HKDF_SHA256, &[]).extract(secret);
            let key = derived.expand(&said, hmac::HMAC_SHA256).map_err(|_| failed())?;
            Ok(MacKey(key.into()))
        })
    }
}

impl AgreementPublic {
    /// A key from 64 lower-case hexadecimal digits; white space around them, as at the end of a file, is no
    /// part of them.
    ///
    /// # Errors
    /// When they are not.
    pub fn from_hex(text: &str) -> Result<Self, IdentityError> {
        let key = text.trim_ascii().parse().map(Self);
        key.map_err(|_| IdentityError::Key("expected 64 hexadecimal digits of X25519".to_owned()))
    }

    /// The key, as 64 hexadecimal digits.
    pub fn hex(&self) -> String {
        self.0.to_string()
    }

    fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }
}

/// The executor's key is the nonce of its life: permits name it.
impl From<Digest> for AgreementPublic {
    fn from(bytes: Digest) -> Self {
        Self(bytes)
    }
}

impl From<AgreementPublic> for Digest {
    fn from(key: AgreementPublic) -> Self {
        key.0
    }
}

impl MacKey {
    /// The code of `bytes`.
    pub fn code(&self, bytes: &[u8]) -> Mac {
        let mut code = [0; 32];
        code.copy_from_slice(hmac::sign(&self.0, bytes).as_ref());
        Mac::from_bytes(code)
    }

    /// Whether `code` is that of `bytes`. It takes as long for every wrong one.
    pub fn holds(&self, bytes: &[u8], code: Mac) -> bool {
        hmac::verify(&self.0, bytes, code.bytes()).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (AgreementKey, AgreementKey) {
        (AgreementKey::generate().unwrap(), AgreementKey::generate().unwrap())
    }

    #[test]
    fn both_have_one_key_and_nobody_else_has_it() {
        let (writer, reader) = pair();
        let writes = writer.to_reader(Purpose::Permit, reader.public()).unwrap();
        let reads = reader.from_writer(Purpose::Permit, writer.public()).unwrap();
        let code = writes.code(b"permit");
        assert!(reads.holds(b"permit", code), "the control");
        assert!(!reads.holds(b"permit ", code));

        let (third, _) = pair();
        let others = [
            ("another purpose", writer.to_reader(Purpose::Receipt, reader.public())),
            ("the other direction", reader.to_reader(Purpose::Permit, writer.public())),
            ("another writer", third.to_reader(Purpose::Permit, reader.public())),
            ("another reader", writer.to_reader(Purpose::Permit, third.public())),
        ];
        for (name, key) in others {
            assert!(!reads.holds(b"permit", key.unwrap().code(b"permit")), "{name}");
        }
    }

    #[test]
    fn a_code_is_all_of_its_bytes() {
        let (writer, reader) = pair();
        let key = writer.to_reader(Purpose::Receipt, reader.public()).unwrap();
        let code = key.code(b"receipt");
        for at in 0..32 {
            let mut bytes = *code.bytes();
            bytes[at] ^= 1;
            assert!(!key.holds(b"receipt", Mac::from_bytes(bytes)), "byte {at}");
        }
    }

    /// The attack: a point with which every key agrees on the same secret (RFC 7748 section 6.1).
    #[test]
    fn nobody_agrees_with_a_point_of_small_order() {
        let (writer, _) = pair();
        let mut one = [0; 32];
        one[0] = 1;
        for point in [[0; 32], one] {
            let point = AgreementPublic(Digest::from_bytes(point));
            assert!(writer.to_reader(Purpose::Permit, point).is_err(), "{point:?}");
            assert!(writer.from_writer(Purpose::Permit, point).is_err(), "{point:?}");
        }
    }

    #[test]
    fn a_public_key_is_read_as_it_is_written() {
        let key = AgreementKey::generate().unwrap().public();
        assert_eq!(AgreementPublic::from_hex(&format!("{}\n", key.hex())).unwrap(), key);
        assert_eq!(AgreementPublic::from(Digest::from(key)), key);
        for bad in ["", "00", &key.hex().to_uppercase().replace(|c: char| c.is_ascii_digit(), "A")]
        {
            assert!(AgreementPublic::from_hex(bad).is_err(), "{bad}");
        }
    }
}
