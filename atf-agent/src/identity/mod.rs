//! Who a run is: the token's claims, the RS256 keys that sign and check them, the Ed25519 key of the log, the
//! codes of permits and receipts, and the keys of who may publish a policy. Nothing here reads a file, a clock or a socket.

mod act;
mod claims;
mod compact;
mod ed25519;
mod error;
mod jwks;
mod mac;
mod minter;
mod proven;
mod publisher;
mod verifier;

#[cfg(test)]
mod attacks;
#[cfg(any(test, fuzzing))]
#[cfg_attr(fuzzing, allow(dead_code, reason = "dishonest tokens are the tests' own"))]
#[allow(clippy::unwrap_used, reason = "what does not hold ends a test, and a target")]
pub(crate) mod forge;

pub use claims::{Claims, Context, Entitlements, TEXT_BYTES_MAX, TOKEN_LEEWAY_S, TOKEN_TTL_S_MAX};
pub use compact::TOKEN_BYTES_MAX;
pub use ed25519::{SigningKey, VerifyingKey};
pub use error::IdentityError;
pub use mac::{AgreementKey, AgreementPublic, MacKey, Purpose};
pub use minter::Minter;
pub use publisher::{Published, PublisherKey, PublishingKey};
pub use verifier::Verifier;
