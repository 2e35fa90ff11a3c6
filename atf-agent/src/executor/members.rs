//! Arguments whose members stand beside what is asked, in one object: a completion's, and those of a question about
//! a deferred call. One more member would ask something else.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::Mistrust;
use crate::call::Target;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it only has to have these members and no other")]
struct Completion<'a> {
    #[serde(borrow)]
    argument: &'a RawValue,
    #[serde(borrow, default)]
    context: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it only has to have this member and no other")]
struct Deferred<'a> {
    #[serde(borrow, rename = "taskId")]
    task: Cow<'a, str>,
}

/// Whether `arguments` have the members that a gateway gives them, each once, and no other.
///
/// # Errors
/// When they do not: a gateway that fell could name what the token does not by a second `ref`.
pub(super) fn check(target: &Target, arguments: &str) -> Result<(), Mistrust> {
    let read = match target {
        Target::PromptArgument(_) | Target::TemplateArgument(_) => {
            serde_json::from_str(arguments).map(|_: Completion<'_>| ())
        }
        Target::Deferred(_) => serde_json::from_str(arguments).map(|_: Deferred<'_>| ()),
        Target::Tool(_) | Target::Prompt(_) | Target::Resource(_) | Target::Subscription(_) => {
            return Ok(());
        }
    };
    let wrong = |what: String| Mistrust::Members { what };
    read.map_err(|error| wrong(error.to_string()))?;
    // serde's derived readers take arrays too.
    match arguments.trim_ascii_start().starts_with('{') {
        true => Ok(()),
        false => Err(wrong("they are no object".to_owned())),
    }
}
