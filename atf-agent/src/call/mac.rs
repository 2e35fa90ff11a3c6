//! Message authentication codes, as they travel.

use serde::{Deserialize, Serialize};

use super::Digest;

/// A code of HMAC-SHA-256 (RFC 2104) over a permit or a receipt: 32 bytes, written as 64 lower-case hexadecimal
/// digits. Whether it holds is `identity`'s to say, which takes as long for every wrong one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mac(Digest);

impl Mac {
    /// The code of these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Digest::from_bytes(bytes))
    }

    /// The 32 bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        self.0.bytes()
    }
}
