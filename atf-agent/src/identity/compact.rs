//! The compact form of a token (RFC 7515 section 7.1) and its header, read byte for byte.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::IdentityError;

/// Longest compact token in bytes, looked at before anything is decoded. An RS256 token with the most
/// claims that the profile allows has about 7 KiB.
pub const TOKEN_BYTES_MAX: usize = 8 << 10;

/// The one signature algorithm (RFC 7518 section 3.3).
pub(super) const ALGORITHM: &str = "RS256";

/// The explicit type (RFC 8725 section 3.11): no other kind of token passes for one of ours.
pub(super) const TYPE: &str = "atf-agent+jwt";

/// Characters of an RFC 7638 SHA-256 thumbprint in base64url.
pub(super) const KID_CHARS: usize = 43;

/// A token cut at its dots; nothing decoded.
#[derive(Debug)]
pub(super) struct Compact<'a> {
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
    signed: &'a str,
}

/// The whole header of our tokens. `deny_unknown_fields` is what refuses `crit`, `jku`, `jwk`, `x5u`,
/// `x5c`, `b64`, `zip` and everything that is still to be invented.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
}

impl<'a> Compact<'a> {
    /// Cuts `token` in its three parts.
    pub(super) fn cut(token: &'a str) -> Result<Self, IdentityError> {
        Self::cut_within(token, TOKEN_BYTES_MAX)
    }

    /// The same for what may be longer than a token.
    pub(super) fn cut_within(token: &'a str, bytes_max: usize) -> Result<Self, IdentityError> {
        if token.len() > bytes_max {
            return Err(IdentityError::Form(format!(
                "{} bytes, at most {bytes_max} are read",
                token.len()
            )));
        }
        let parts = || {
            let (signed, signature) = token.rsplit_once('.')?;
            let (header, payload) = signed.split_once('.')?;
            let whole = [header, payload, signature].iter().all(|part| !part.is_empty());
            (whole && !payload.contains('.')).then_some(Self { header, payload, signature, signed })
        };
        parts().ok_or_else(|| {
            let found = token.split('.').count();
            IdentityError::Form(format!("{found} parts, expected 3 that are not empty"))
        })
    }

    /// The key id, when the header is exactly one of ours.
    pub(super) fn kid(&self) -> Result<String, IdentityError> {
        let bytes = self.header()?;
        let header: Header = super::claims::object(&bytes).map_err(IdentityError::Header)?;
        let expect = |member: &str, found: &str, expected: &str| match found == expected {
            true => Ok(()),
            false => {
                Err(IdentityError::Header(format!("{member} is {found:?}, expected {expected:?}")))
            }
        };
        expect("alg", &header.alg, ALGORITHM)?;
        expect("typ", &header.typ, TYPE)?;
        if !is_kid(&header.kid) {
            return Err(IdentityError::Header(format!(
                "kid is {:?}, expected {KID_CHARS} characters of base64url",
                header.kid
            )));
        }
        Ok(header.kid)
    }

    /// The header's bytes.
    pub(super) fn header(&self) -> Result<Vec<u8>, IdentityError> {
        decode("header", self.header)
    }

    /// The payload's bytes.
    pub(super) fn payload(&self) -> Result<Vec<u8>, IdentityError> {
        decode("payload", self.payload)
    }

    /// The signature, still in base64url, once it is known to be canonical.
    pub(super) fn signature(&self) -> Result<&'a str, IdentityError> {
        decode("signature", self.signature).map(|_| self.signature)
    }

    /// What the signature is over.
    pub(super) fn signed(&self) -> &'a [u8] {
        self.signed.as_bytes()
    }
}

/// Whether `text` has the grammar of a thumbprint.
pub(super) fn is_kid(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    text.len() == KID_CHARS && text.bytes().all(plain)
}

/// Strict base64url: no padding, no white space, no bits left over.
fn decode(part: &str, text: &str) -> Result<Vec<u8>, IdentityError> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|error| IdentityError::Form(format!("the {part} is not base64url: {error}")))
}
