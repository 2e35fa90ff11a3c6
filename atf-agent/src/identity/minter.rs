//! Signs tokens. The key is parsed once; the compact form is built here.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk as AnyJwk};

use super::compact::{ALGORITHM, TOKEN_BYTES_MAX, TYPE};
use super::jwks::{self, Jwk};
use super::{Claims, IdentityError};

/// An RS256 signing key of 2048 bits or more.
pub struct Minter {
    pair: RsaKeyPair,
    public: Jwk,
    /// The header in base64url with its dot: the same for every token of this key.
    header: String,
}

impl Minter {
    /// A new key of 2048 bits: it lives 24 hours, and a larger one would cost each signature fivefold.
    ///
    /// # Errors
    /// When the library cannot make a key.
    pub fn generate() -> Result<Self, IdentityError> {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048)
            .map_err(|_| IdentityError::Key("no RSA key could be made".to_owned()))?;
        Self::of(pair)
    }

    /// A key that was written by [`Minter::pkcs8`].
    ///
    /// # Errors
    /// When the bytes are no RSA private key, or the key is weak.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, IdentityError> {
        let pair = RsaKeyPair::from_pkcs8(pkcs8)
            .map_err(|error| IdentityError::Key(format!("not an RSA key in PKCS#8: {error}")))?;
        Self::of(pair)
    }

    /// The private key in PKCS#8 (RFC 5208). To be kept where its owner alone reads.
    ///
    /// # Panics
    /// When the library cannot write a key that it holds.
    pub fn pkcs8(&self) -> Vec<u8> {
        let der = self.pair.as_der().expect("a key that was read can be written");
        der.as_ref().to_vec()
    }

    /// The key's id: its RFC 7638 thumbprint.
    pub fn kid(&self) -> &str {
        &self.public.kid
    }

    /// The public key, as a JWK set of one.
    pub fn jwks(&self) -> String {
        jwks::write(std::slice::from_ref(&self.public))
    }

    /// A signed token.
    ///
    /// # Errors
    /// When the claims are not of the profile, so that no verifier would take the token.
    pub fn mint(&self, claims: &Claims) -> Result<String, IdentityError> {
        claims.check()?;
        let payload =
            serde_json::to_vec(claims).map_err(|error| IdentityError::Claims(error.to_string()))?;
        let token = self.sign(&self.header, &payload)?;
        if token.len() > TOKEN_BYTES_MAX {
            return Err(IdentityError::Claims(format!(
                "they make a token of {} bytes, at most {TOKEN_BYTES_MAX} are read",
                token.len()
            )));
        }
        Ok(token)
    }

    /// `header`, `payload` and the signature over both, in compact form.
    pub(super) fn sign(&self, header: &str, payload: &[u8]) -> Result<String, IdentityError> {
        let mut token = String::with_capacity(header.len() + payload.len() * 2 + 512);
        token.push_str(header);
        URL_SAFE_NO_PAD.encode_string(payload, &mut token);
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), token.as_bytes(), &mut signature)
            .map_err(|_| IdentityError::Key("the library could not sign".to_owned()))?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(&signature, &mut token);
        Ok(token)
    }

    fn of(pair: RsaKeyPair) -> Result<Self, IdentityError> {
        let public = DecodingKey::from_rsa_der(pair.public_key().as_ref());
        let any = AnyJwk::from_decoding_key(&public, None)
            .map_err(|error| IdentityError::Key(error.to_string()))?;
        let AlgorithmParameters::RSA(rsa) = &any.algorithm else {
            return Err(IdentityError::Key("not an RSA key".to_owned()));
        };
        let public = Jwk::of(&rsa.n, &rsa.e)?;
        let header = format!(r#"{{"alg":"{ALGORITHM}","typ":"{TYPE}","kid":"{}"}}"#, public.kid);
        let header = format!("{}.", URL_SAFE_NO_PAD.encode(header));
        Ok(Self { pair, public, header })
    }
}

#[cfg(test)]
mod tests {
    use super::super::forge;
    use super::*;

    #[test]
    fn a_key_survives_being_written() {
        let minter = forge::minter();
        let again = Minter::from_pkcs8(&minter.pkcs8()).unwrap();
        assert_eq!(again.kid(), minter.kid());
        assert_eq!(again.jwks(), minter.jwks());
        assert!(Minter::from_pkcs8(b"no key").is_err());
    }

    #[test]
    fn claims_that_no_verifier_takes_are_not_signed() {
        let minter = forge::minter();
        assert!(minter.mint(&forge::claims()).is_ok(), "the control");
        let changes: [fn(&mut Claims); 4] = [
            |c| c.exp = c.iat + 301,
            |c| c.exp = c.iat,
            |c| c.context.parent_user = "".into(),
            |c| c.entitlements.allowed_tools = vec!["a".parse().unwrap(); 2],
        ];
        for change in changes {
            let mut claims = forge::claims();
            change(&mut claims);
            assert!(minter.mint(&claims).is_err(), "{claims:?}");
        }
    }
}
