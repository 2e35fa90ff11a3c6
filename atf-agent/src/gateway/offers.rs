//! What of the servers' prompts and resources a run is told, and how what it reads is named: a server
//! knows its own names, a run knows them with the server's in front.

use std::collections::BTreeMap;

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use crate::call::Target;
use crate::gate::{Authenticated, Era, Method};
use crate::wire::Catalogue;

/// The list that `method` asks for, of what the caller's token names; `None` when it asks for none.
pub(super) fn list(method: Method, call: &Authenticated, offered: &Catalogue) -> Option<Value> {
    let reach = &call.claims().entitlements.reach;
    match method {
        Method::PromptsList => {
            let named = offered.prompts.iter().filter(|one| reach.names(&one.name));
            let named: Vec<_> = named.map(|one| &one.listing).collect();
            Some(json!({ "prompts": named }))
        }
        Method::ResourcesList => {
            let covered = offered.resources.iter().filter(|one| reach.covers(&one.name));
            let covered: Vec<_> = covered.map(|one| &one.listing).collect();
            Some(json!({ "resources": covered }))
        }
        Method::TemplatesList => {
            let covered = offered.templates.iter().filter(|one| reach.covers_all_of(&one.name));
            let covered: Vec<_> = covered.map(|one| &one.listing).collect();
            Some(json!({ "resourceTemplates": covered }))
        }
        Method::Initialize
        | Method::Discover
        | Method::Listen
        | Method::Ping
        | Method::SetLevel
        | Method::ToolsList
        | Method::ToolsCall
        | Method::PromptsGet
        | Method::ResourcesRead
        | Method::Subscribe
        | Method::Unsubscribe
        | Method::Complete
        | Method::TasksGet
        | Method::TasksResult
        | Method::TasksList
        | Method::TasksCancel
        | Method::TasksUpdate => None,
    }
}

/// Whether a list of `method` is the servers' to fill.
pub(super) fn lists(method: Method) -> bool {
    matches!(method, Method::PromptsList | Method::ResourcesList | Method::TemplatesList)
}

/// What was read of a resource, with the addresses by which the run knows it, and in the stateless era
/// with what keeps others from using it: what a run may read depends on its token. All other results are
/// as they came.
///
/// # Errors
/// When it is no result of `resources/read`.
pub(super) fn renamed(
    target: &Target,
    era: Era,
    result: Box<RawValue>,
) -> Result<Box<RawValue>, serde_json::Error> {
    let Target::Resource(uri) = target else {
        return Ok(result);
    };
    let (server, _) = uri.split();
    let mut members: BTreeMap<&str, &RawValue> = serde_json::from_str(result.get())?;
    let contents = members.get("contents").map_or("null", |contents| contents.get());
    let mut contents: Vec<BTreeMap<&str, Box<RawValue>>> = serde_json::from_str(contents)?;
    for part in &mut contents {
        let own = part.get("uri").map_or("null", |own| own.get());
        let own: String = serde_json::from_str(own)?;
        part.insert("uri", to_raw_value(&format!("{server}+{own}"))?);
    }
    let (contents, ttl) = (to_raw_value(&contents)?, to_raw_value(&0)?);
    let scope = to_raw_value("private")?;
    members.insert("contents", &contents);
    match era {
        Era::Handshake => {}
        Era::Stateless => {
            members.insert("ttlMs", &ttl);
            members.insert("cacheScope", &scope);
        }
    }
    to_raw_value(&members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_has_the_runs_address_and_is_nobody_elses() {
        let target = Target::Resource("files+file:///a".parse().unwrap());
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let read = r#"{"contents":[{"uri":"file:///a","text":"1e2 \u0041"}],"ttlMs":9,
            "cacheScope":"public","_meta":{"n":1e2}}"#;
        for (era, kept) in
            [(Era::Handshake, json!([9, "public"])), (Era::Stateless, json!([0, "private"]))]
        {
            let found = renamed(&target, era, raw(read)).unwrap();
            assert!(found.get().contains(r#""_meta":{"n":1e2}"#), "{found}");
            let found: Value = serde_json::from_str(found.get()).unwrap();
            assert_eq!(found["contents"][0]["uri"], "files+file:///a");
            assert_eq!(found["contents"][0]["text"], "1e2 A");
            assert_eq!(json!([found["ttlMs"], found["cacheScope"]]), kept);
        }
        for bad in [
            "[]",
            "{}",
            r#"{"contents":{}}"#,
            r#"{"contents":[{"text":"x"}]}"#,
            r#"{"contents":[1]}"#,
        ] {
            assert!(renamed(&target, Era::Handshake, raw(bad)).is_err(), "{bad}");
        }
        let prompt = Target::Prompt("files.a".parse().unwrap());
        let same = renamed(&prompt, Era::Stateless, raw("{ }")).unwrap();
        assert_eq!(same.get(), "{ }", "the control");
    }
}
