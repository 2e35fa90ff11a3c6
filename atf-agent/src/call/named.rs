//! What a run's task and prompt name: a keyed digest of each word, in order, and nothing of the text.

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::random::random;

/// The keyed digest of one word: the first eight bytes of its HMAC-SHA256. Zero is no word.
pub type Mark = u64;

/// Between two texts: no value reaches over it.
pub const BREAK: Mark = 0;

/// Most marks of one run's task and prompt; some 60 kB of text.
pub const NAMED_MARKS_MAX: usize = 16_384;

const KEY_BYTES: usize = 32;

/// The key of a run's marks. Whoever has key and marks can try words one by one, so both stay with the
/// authority and the gateway.
#[derive(Clone)]
pub struct MarkKey {
    bytes: [u8; KEY_BYTES],
    /// Boxed: it is large beside all else that carries it.
    key: Box<hmac::Key>,
}

/// The words of a run's task and prompt, as marks under the run's own key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Named {
    key: MarkKey,
    marks: Vec<Mark>,
}

/// A text that is no [`Named`].
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error(
    "expected base64 of a key of {KEY_BYTES} bytes and at most {NAMED_MARKS_MAX} marks of 8, found {found} characters"
)]
pub struct NamedError {
    found: usize,
}

impl MarkKey {
    /// A key that nobody else has.
    ///
    /// # Panics
    /// When the kernel gives no random bytes.
    pub fn random() -> Self {
        Self::from_bytes(random())
    }

    fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self { bytes, key: Box::new(hmac::Key::new(hmac::HMAC_SHA256, &bytes)) }
    }

    /// The mark of `word`.
    pub fn mark(&self, word: &str) -> Mark {
        let tag = hmac::sign(&self.key, word.as_bytes());
        let mut first = [0; 8];
        first.copy_from_slice(&tag.as_ref()[..8]);
        u64::from_le_bytes(first).max(BREAK + 1)
    }
}

impl PartialEq for MarkKey {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for MarkKey {}

impl Named {
    /// Marks made under `key`; what passes [`NAMED_MARKS_MAX`] is left out, and so is named by nothing.
    pub fn new(key: MarkKey, mut marks: Vec<Mark>) -> Self {
        marks.truncate(NAMED_MARKS_MAX);
        Self { key, marks }
    }

    /// A task and a prompt that name nothing.
    pub fn nothing() -> Self {
        Self::new(MarkKey::random(), Vec::new())
    }

    /// The key.
    pub fn key(&self) -> &MarkKey {
        &self.key
    }

    /// The marks.
    pub fn marks(&self) -> &[Mark] {
        &self.marks
    }
}

impl TryFrom<String> for Named {
    type Error = NamedError;

    fn try_from(text: String) -> Result<Self, NamedError> {
        let error = NamedError { found: text.len() };
        let bytes = STANDARD.decode(&text).map_err(|_| error.clone())?;
        let (key, marks) = bytes.split_first_chunk::<KEY_BYTES>().ok_or(error.clone())?;
        let (marks, rest) = marks.as_chunks::<8>();
        if !rest.is_empty() || marks.len() > NAMED_MARKS_MAX {
            return Err(error);
        }
        let marks = marks.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect();
        Ok(Self { key: MarkKey::from_bytes(*key), marks })
    }
}

impl From<Named> for String {
    fn from(named: Named) -> Self {
        let mut bytes = named.key.bytes.to_vec();
        named.marks.iter().for_each(|mark| bytes.extend(mark.to_le_bytes()));
        STANDARD.encode(bytes)
    }
}

impl fmt::Debug for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Named({} marks)", self.marks.len())
    }
}

impl fmt::Debug for MarkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MarkKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_travels_whole_and_nothing_else_is_read() {
        let key = MarkKey::random();
        let marks = vec![key.mark("a"), BREAK, key.mark("b")];
        let named = Named::new(key, marks);
        let text = String::from(named.clone());
        assert_eq!(Named::try_from(text.clone()), Ok(named.clone()));
        assert!(!format!("{named:?}").contains(&text), "it does not show itself");
        let long = STANDARD.encode(vec![1; KEY_BYTES + 8 * (NAMED_MARKS_MAX + 1)]);
        for bad in ["", "a", &text[..text.len() - 4], &format!("{text}="), &long] {
            assert!(Named::try_from(bad.to_owned()).is_err(), "{} characters", bad.len());
        }
        let most = Named::new(MarkKey::random(), vec![7; NAMED_MARKS_MAX + 5]);
        assert_eq!(most.marks().len(), NAMED_MARKS_MAX);
    }

    #[test]
    fn a_mark_says_nothing_without_its_key() {
        let (one, other) = (MarkKey::random(), MarkKey::random());
        assert_eq!(one.mark("word"), one.clone().mark("word"), "the control");
        assert_ne!(one.mark("word"), other.mark("word"));
        assert_ne!(one.mark("word"), one.mark("words"));
    }
}
