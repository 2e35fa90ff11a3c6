//! Tokens for tests: honest ones, and every kind of dishonest one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::{Claims, Context, Entitlements, Minter, Verifier};
use crate::call::{Chain, Digest, Narrowing, Reach, RunId};

pub(crate) const ISSUER: &str = "https://atf.test";
pub(crate) const AUDIENCE: &str = "gateway.test";
pub(crate) const NOW: u64 = 1_800_000_000;

/// One key for all tests: making one takes a while.
pub(crate) fn minter() -> &'static Minter {
    static MINTER: std::sync::OnceLock<Minter> = std::sync::OnceLock::new();
    MINTER.get_or_init(|| Minter::generate().unwrap())
}

pub(crate) fn verifier() -> Verifier {
    Verifier::from_jwks(&minter().jwks(), ISSUER, AUDIENCE).unwrap()
}

/// Claims that are good at [`NOW`].
pub(crate) fn claims() -> Claims {
    Claims {
        iss: ISSUER.to_owned(),
        sub: "ledger-agent".parse().unwrap(),
        aud: AUDIENCE.to_owned(),
        iat: NOW,
        nbf: NOW,
        exp: NOW + 300,
        jti: RunId::random(),
        context: Context { parent_user: "alice".into(), task_id: "task-1".into() },
        entitlements: Entitlements {
            allowed_tools: vec!["ledger.query".parse().unwrap(), "ledger.adjust".parse().unwrap()],
            narrowing: Narrowing::default(),
            reach: Reach::default(),
        },
        prompt_integrity_hash: Digest::of(b"prompt"),
        act: Chain::default(),
    }
}

/// A token before it is signed: header and payload as text, so that anything can be said.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) header: String,
    pub(crate) payload: String,
}

impl Draft {
    pub(crate) fn honest() -> Self {
        Self {
            header: format!(
                r#"{{"alg":"RS256","typ":"atf-agent+jwt","kid":"{}"}}"#,
                minter().kid()
            ),
            payload: serde_json::to_string(&claims()).unwrap(),
        }
    }

    /// With another value at a JSON pointer of the payload; `Value::Null` removes it.
    pub(crate) fn claim(mut self, pointer: &str, value: Value) -> Self {
        self.payload = edited(&self.payload, pointer, value);
        self
    }

    /// With another value at a JSON pointer of the header; `Value::Null` removes it.
    pub(crate) fn head(mut self, pointer: &str, value: Value) -> Self {
        self.header = edited(&self.header, pointer, value);
        self
    }

    /// With text put before the payload's first member.
    pub(crate) fn before(mut self, text: &str) -> Self {
        self.payload.insert_str(1, text);
        self
    }

    /// With a part of the payload's text replaced; it must be there.
    pub(crate) fn text(mut self, from: &str, to: &str) -> Self {
        assert!(self.payload.contains(from), "{from}");
        self.payload = self.payload.replacen(from, to, 1);
        self
    }

    /// Signed with the good key, whatever the header says.
    pub(crate) fn signed(&self) -> String {
        self.signed_by(minter())
    }

    pub(crate) fn signed_by(&self, minter: &Minter) -> String {
        let header = format!("{}.", URL_SAFE_NO_PAD.encode(&self.header));
        minter.sign(&header, self.payload.as_bytes()).unwrap()
    }

    /// With a signature of the caller's making over `header.payload`.
    pub(crate) fn with(&self, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(&self.header),
            URL_SAFE_NO_PAD.encode(&self.payload)
        );
        let signature = URL_SAFE_NO_PAD.encode(sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }
}

fn edited(json: &str, pointer: &str, value: Value) -> String {
    let mut all: Value = serde_json::from_str(json).unwrap();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = all.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    if value.is_null() {
        parent.remove(name);
    } else {
        parent.insert(name.to_owned(), value);
    }
    all.to_string()
}
