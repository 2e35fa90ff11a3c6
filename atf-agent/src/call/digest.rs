//! SHA-256 digests: of prompts, arguments, tool pins, policies and tokens.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A SHA-256 digest (FIPS 180-4), written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

/// A text that is not 64 lower-case hexadecimal digits.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("expected 64 lower-case hexadecimal digits of a SHA-256 digest, found {found} characters")]
pub struct DigestError {
    found: usize,
}

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let mut out = [0; 32];
        out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
        Self(out)
    }

    /// The 32 bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A digest from the 32 bytes that something else computed.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// The digits of a digest. A call's records and permits have some fifty of them, so that they are written and
/// read without a heap.
struct Digits([u8; 64]);

impl Digits {
    fn of(digest: &Digest) -> Self {
        let mut digits = [0; 64];
        // It fails for another length alone.
        let _fits = hex::encode_to_slice(digest.0, &mut digits);
        Self(digits)
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// What each byte is worth as a digit; more than any digit where it is none.
const VALUES: [u8; 256] = {
    let mut values = [0xff; 256];
    let mut digit = 0;
    while digit < 16 {
        values[b"0123456789abcdef"[digit as usize] as usize] = digit;
        digit += 1;
    }
    values
};

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let error = || DigestError { found: text.chars().count() };
        let (pairs, rest) = text.as_bytes().as_chunks();
        let mut out = [0; 32];
        if pairs.len() != out.len() || !rest.is_empty() {
            return Err(error());
        }
        for (byte, [high, low]) in out.iter_mut().zip(pairs) {
            let (high, low) = (VALUES[usize::from(*high)], VALUES[usize::from(*low)]);
            if high | low > 0xf {
                return Err(error());
            }
            *byte = high << 4 | low;
        }
        Ok(Self(out))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Digits::of(self).as_str())
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(Digits::of(self).as_str())
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Digest;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the 64 hexadecimal digits of a digest")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Digest, E> {
                text.parse().map_err(E::custom)
            }
        }

        from.deserialize_str(Text)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_canonical_spelling_is_read() {
        let good = Digest::of(b"abc").to_string();
        assert_eq!(good, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(good.parse(), Ok(Digest::of(b"abc")));
        for at in 0..good.len() {
            let bad = format!("{}G{}", &good[..at], &good[at + 1..]);
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
        for bad in [good.to_uppercase(), format!("{good}0"), good[1..].to_owned(), "é".repeat(32)]
        {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
            assert!(serde_json::from_value::<Digest>(json!(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_written_is_read_again_from_texts_of_either_owner() {
        let digest = Digest::of(b"abc");
        let written = serde_json::to_string(&digest).unwrap();
        assert_eq!(written, format!("\"{digest}\""));
        assert_eq!(serde_json::from_str::<Digest>(&written).unwrap(), digest);
        assert_eq!(serde_json::from_value::<Digest>(json!(digest)).unwrap(), digest);
        assert_eq!(serde_json::from_reader::<_, Digest>(written.as_bytes()).unwrap(), digest);
        assert!(serde_json::from_str::<Digest>("7").is_err());
    }
}
