//! What a token says of a tool's arguments beyond the tool's pin: JSON Schema fragments, all of which
//! have to hold besides the pinned schema. A fragment can only take away. What one may look like is the
//! gate's to say; here are the words and their bounds.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Digest, ToolName};

/// Longest narrowing as JSON, in bytes: with as many tools as a token may name it still fits a token.
pub const NARROWING_BYTES_MAX: usize = 2 << 10;

/// Most fragments of one tool: the manifest's, and one for each delegation.
const FRAGMENTS_MAX: usize = 10;

/// Fragments by tool. Empty, it takes nothing away.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Narrowing(BTreeMap<ToolName, Vec<Value>>);

impl Narrowing {
    /// One fragment for each tool, as a manifest has them.
    pub fn of_each(fragments: BTreeMap<ToolName, Value>) -> Self {
        Self(fragments.into_iter().map(|(tool, fragment)| (tool, vec![fragment])).collect())
    }

    /// Whether nothing is narrowed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The fragments of `tool`.
    pub fn of(&self, tool: &ToolName) -> &[Value] {
        self.0.get(tool).map_or(&[], Vec::as_slice)
    }

    /// The digest of the fragments of `tool`: two that are one say the same of it.
    pub fn digest_of(&self, tool: &ToolName) -> Digest {
        let fragments = serde_json::to_vec(self.of(tool)).unwrap_or_default();
        Digest::of(&fragments)
    }

    /// All tools that are narrowed, each with its fragments.
    pub fn iter(&self) -> impl Iterator<Item = (&ToolName, &[Value])> {
        self.0.iter().map(|(tool, fragments)| (tool, fragments.as_slice()))
    }

    /// What both say; a fragment that both have stands once.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let mut both = self.clone();
        for (tool, fragments) in &other.0 {
            let all = both.0.entry(tool.clone()).or_default();
            for fragment in fragments {
                if !all.contains(fragment) {
                    all.push(fragment.clone());
                }
            }
        }
        both
    }

    /// The part that is about `tools`.
    #[must_use]
    pub fn only(&self, tools: &[ToolName]) -> Self {
        let kept = self.0.iter().filter(|(tool, _)| tools.contains(tool));
        Self(kept.map(|(tool, fragments)| (tool.clone(), fragments.clone())).collect())
    }

    /// Whether it is within its bounds and about `tools` alone; what is wrong otherwise.
    ///
    /// # Errors
    /// When it is too large, narrows a tool that is not in `tools`, or a fragment says nothing.
    pub fn check(&self, tools: &[ToolName]) -> Result<(), String> {
        if self.is_empty() {
            return Ok(());
        }
        for (tool, fragments) in &self.0 {
            if !tools.contains(tool) {
                return Err(format!("{tool} is narrowed, which is none of the tools"));
            }
            if fragments.is_empty() || fragments.len() > FRAGMENTS_MAX {
                let found = fragments.len();
                return Err(format!("{found} fragments of {tool}, expected 1 to {FRAGMENTS_MAX}"));
            }
            let says = |fragment: &Value| fragment.as_object().is_some_and(|o| !o.is_empty());
            if !fragments.iter().all(says) {
                return Err(format!("a fragment of {tool} is no object that says something"));
            }
        }
        let bytes = serde_json::to_string(self).map_or(usize::MAX, |json| json.len());
        if bytes > NARROWING_BYTES_MAX {
            return Err(format!("the narrowing has {bytes} bytes, at most {NARROWING_BYTES_MAX}"));
        }
        Ok(())
    }
}

/// A tool that stands twice is refused: one of the two would be forgotten.
impl<'de> Deserialize<'de> for Narrowing {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct Tools;
        impl<'de> Visitor<'de> for Tools {
            type Value = Narrowing;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tools, each with a list of schema fragments")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Narrowing, A::Error> {
                let mut all = BTreeMap::new();
                while let Some((tool, fragments)) = map.next_entry::<ToolName, Vec<Value>>()? {
                    if let Some(twice) = all.insert(tool.clone(), fragments).map(|_| tool) {
                        return Err(A::Error::custom(format!("{twice} is narrowed twice")));
                    }
                }
                Ok(Narrowing(all))
            }
        }
        reader.deserialize_map(Tools)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Narrowing, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    fn tools(names: &[&str]) -> Vec<ToolName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn a_narrowing_that_is_not_whole_is_refused() {
        let good = r#"{"pay":[{"properties":{"to":{"const":"a"}}}]}"#;
        let check = |json: &str| read(json).and_then(|found| found.check(&tools(&["pay"])));
        assert_eq!(check(good), Ok(()), "the control");
        let long = good.replace("\"a\"", &format!("\"{}\"", "a".repeat(NARROWING_BYTES_MAX)));
        let many = format!(r#"{{"pay":[{}]}}"#, [r#"{"type":"object"}"#; 11].join(","));
        for bad in [
            r#"{"pay":[]}"#,
            r#"{"pay":[{}]}"#,
            r#"{"pay":[true]}"#,
            r#"{"pay":{}}"#,
            r#"{"other":[{"type":"object"}]}"#,
            r#"{"pay":[{"type":"object"}],"pay":[{"type":"object"}]}"#,
            r#"{"a b":[{"type":"object"}]}"#,
            "[]",
            &long,
            &many,
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn two_narrowings_take_away_what_each_takes() {
        let one = read(r#"{"pay":[{"maxProperties":1}],"see":[{"maxProperties":2}]}"#).unwrap();
        let two = read(r#"{"pay":[{"maxProperties":1},{"maxProperties":3}]}"#).unwrap();
        let both = one.and(&two);
        assert_eq!(both.of(&"pay".parse().unwrap()).len(), 2, "what both have stands once");
        assert_eq!(both.of(&"see".parse().unwrap()).len(), 1);
        assert_eq!(both.only(&tools(&["see"])).iter().count(), 1);
        assert_eq!(Narrowing::default().and(&two), two);
    }
}
