//! Which of the lists that a run is told it wants to hear of when they change, and which resources.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::envelope;
use crate::call::ResourceUri;

/// Most resources of which one who listens hears.
const RESOURCES_MAX: usize = 16;

/// The lists that a `subscriptions/listen` names. What else it names is offered to nobody.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Lists {
    /// The tools.
    #[serde(rename = "toolsListChanged")]
    pub tools: bool,
    /// The prompts.
    #[serde(rename = "promptsListChanged")]
    pub prompts: bool,
    /// The resources, and the kinds of them.
    #[serde(rename = "resourcesListChanged")]
    pub resources: bool,
    /// Single resources, each of which is judged as a call. What is no address is none that there is.
    #[serde(rename = "resourceSubscriptions", deserialize_with = "addresses")]
    pub single: Vec<ResourceUri>,
}

fn addresses<'de, D: Deserializer<'de>>(reader: D) -> Result<Vec<ResourceUri>, D::Error> {
    let mut all: Vec<String> = Vec::deserialize(reader)?;
    if all.len() > RESOURCES_MAX {
        let found = all.len();
        return Err(D::Error::custom(format!("{found} resources, at most {RESOURCES_MAX}")));
    }
    all.sort();
    all.dedup();
    Ok(all.iter().filter_map(|uri| uri.parse().ok()).collect())
}

#[derive(Deserialize)]
struct Params<'a> {
    #[serde(borrow)]
    notifications: &'a RawValue,
}

impl Lists {
    pub(super) fn read(params: Option<&RawValue>) -> Result<Self, String> {
        let params: Params<'_> = envelope::object(params.map_or("null", RawValue::get))?;
        envelope::object(params.notifications.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_is_named_and_what_is_not_known_is_not_offered() {
        let read = |text: &str| Lists::read(Some(&RawValue::from_string(text.to_owned()).unwrap()));
        let tools = Lists { tools: true, ..Lists::default() };
        let single = vec!["a+x:b".parse().unwrap(), "a+x:c".parse().unwrap()];
        let many = vec!["a+x:b"; 17];
        let many = serde_json::json!({"notifications": {"resourceSubscriptions": many}});
        for (params, expected) in [
            (r#"{"notifications":{"toolsListChanged":true}}"#, Some(tools.clone())),
            (
                r#"{"notifications":{"toolsListChanged":true,"promptsListChanged":false}}"#,
                Some(tools.clone()),
            ),
            (
                r#"{"notifications":{"toolsListChanged":true,"resourceSubscriptions":["a:b"]}}"#,
                Some(tools),
            ),
            (
                r#"{"notifications":{"resourceSubscriptions":["a+x:c","a+x:b","a+x:b","a+x:../d"]}}"#,
                Some(Lists { single, ..Lists::default() }),
            ),
            (many.to_string().as_str(), None),
            (r#"{"notifications":{"resourceSubscriptions":"a+x:b"}}"#, None),
            (r#"{"notifications":{}}"#, Some(Lists::default())),
            (r#"{"notifications":{"toolsListChanged":1}}"#, None),
            (r#"{"notifications":{"toolsListChanged":null}}"#, None),
            (r#"{"notifications":[true]}"#, None),
            (r#"{"notifications":null}"#, None),
            ("{}", None),
        ] {
            assert_eq!(read(params).ok(), expected, "{params}");
        }
        assert!(Lists::read(None).is_err());
    }
}
