//! Why a key, a key set or a token is not taken.

/// What is wrong with a key or a token. The text is for the log; a caller learns the reason code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The compact form: length, parts, base64url.
    #[error("the token's form: {0}")]
    Form(String),
    /// The header is not exactly `alg`, `typ` and `kid` as ATF writes them.
    #[error("the token's header: {0}")]
    Header(String),
    /// No key of that id.
    #[error(
        "no key {kid:?} in the set of {known}; the token is older than the rotation, or foreign"
    )]
    UnknownKey {
        /// The id that the token names; it has passed the grammar.
        kid: String,
        /// How many keys are known.
        known: usize,
    },
    /// The signature does not hold.
    #[error("the token's signature does not hold under key {kid:?}")]
    Signature {
        /// The key.
        kid: String,
    },
    /// The claims are not of the profile.
    #[error("the token's claims: {0}")]
    Claims(String),
    /// The token is not valid now.
    #[error("the token's time: {0}")]
    Time(String),
    /// A key set is not what the authority writes.
    #[error("the key set: {0}")]
    KeySet(String),
    /// A key is malformed, too small or too large.
    #[error("the key: {0}")]
    Key(String),
}
