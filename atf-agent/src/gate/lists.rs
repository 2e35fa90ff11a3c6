//! Which of the lists that a run is told it wants to hear of when they change.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::envelope;

/// The lists that a `subscriptions/listen` names. What else it names is offered to nobody.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
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
        for (params, expected) in [
            (r#"{"notifications":{"toolsListChanged":true}}"#, Some(tools)),
            (
                r#"{"notifications":{"toolsListChanged":true,"promptsListChanged":false}}"#,
                Some(tools),
            ),
            (
                r#"{"notifications":{"toolsListChanged":true,"resourceSubscriptions":["a:b"]}}"#,
                Some(tools),
            ),
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
