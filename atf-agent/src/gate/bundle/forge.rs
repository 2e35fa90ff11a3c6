//! Keys and bundles for tests.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Signers, add_manifest, sign};
use crate::identity::{PublisherKey, PublishingKey};
use crate::state::{PolicyFiles, policy_files};

/// A key pair in PEM: the private half, the public half.
pub(crate) struct Pair(pub(crate) Vec<u8>, pub(crate) Vec<u8>);

fn pem(label: &str, der: &[u8]) -> Vec<u8> {
    let body = STANDARD.encode(der);
    let lines: Vec<&str> =
        body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n")).into_bytes()
}

/// Ed25519.
pub(crate) fn ed25519() -> Pair {
    let pair = Ed25519KeyPair::generate().unwrap();
    // RFC 8410: the algorithm, then the 32 bytes as a bit string.
    let mut public = hex::decode("302a300506032b6570032100").unwrap();
    public.extend_from_slice(pair.public_key().as_ref());
    let private = pair.to_pkcs8v1().unwrap();
    Pair(pem("PRIVATE KEY", private.as_ref()), pem("PUBLIC KEY", &public))
}

/// RSA.
pub(crate) fn rsa(size: KeySize) -> Pair {
    let pair = RsaKeyPair::generate(size).unwrap();
    let private = pair.as_der().unwrap();
    let public = pair.public_key().as_ref();
    Pair(pem("PRIVATE KEY", private.as_ref()), pem("RSA PUBLIC KEY", public))
}

/// What takes the signatures of `pairs`, each by its id.
pub(crate) fn signers(pairs: &[(&str, &Pair)]) -> Signers {
    let keys =
        pairs.iter().map(|(id, pair)| ((*id).to_owned(), PublisherKey::from_pem(&pair.1).unwrap()));
    Signers(keys.collect())
}

/// The shipped policy with a manifest, signed by `pair` as `id`.
pub(crate) fn signed(id: &str, pair: &Pair) -> PolicyFiles {
    let mut files = shipped();
    add_manifest(&mut files, "r1").unwrap();
    sign(&mut files, id, &PublishingKey::from_pem(&pair.0).unwrap()).unwrap();
    files
}

/// The shipped policy.
pub(crate) fn shipped() -> PolicyFiles {
    policy_files(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies")).unwrap()
}
