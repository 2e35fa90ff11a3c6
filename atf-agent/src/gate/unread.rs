//! What of `data.json` nothing reads, or finds nothing in. A safeguard under a misspelt name is none, and its author does not see that; but
//! the rules' own names are the rules', so that this is a doubt and no error.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// What ATF itself reads of `data.json`, and of a tool in it.
const TOP: [&str; 5] = ["approvers", "limits", "provenance", "seal", "tools"];
const TOOL: [&str; 1] = ["mode"];

/// What the shipped rules read besides: named as what may have been meant.
const SHIPPED_TOP: [&str; 1] = ["servers"];
const SHIPPED_TOOL: [&str; 5] =
    ["amount", "approve_from_cents", "provenance", "sql", "sql_classes"];
const SHIPPED_SERVER: [&str; 3] = ["methods", "notices", "questions"];

/// The names in `data`, a `data.json`, that neither ATF nor any of `modules` reads, each with what may have been meant.
pub(super) fn unread(data: &str, modules: &[(String, String)]) -> Vec<String> {
    let Ok(Value::Object(data)) = serde_json::from_str(data) else { return Vec::new() };
    let words = words(modules);
    let mut found = Vec::new();
    let mut look = |place: &str, members: &Map<String, Value>, own: &[&str], shipped: &[&str]| {
        let read = |name: &str| own.contains(&name) || words.contains(name);
        for name in members.keys().filter(|name| !read(name)) {
            let meant: BTreeSet<&str> = own.iter().chain(shipped).copied().collect();
            let meant: Vec<&str> = meant.into_iter().filter(|name| read(name)).collect();
            found.push(format!(
                "data.json: nothing reads {place}{name:?}; known are {}",
                meant.join(", ")
            ));
        }
    };
    look("", &data, &TOP, &SHIPPED_TOP);
    for (kind, own, shipped) in
        [("tools", &TOOL[..], &SHIPPED_TOOL[..]), ("servers", &[], &SHIPPED_SERVER)]
    {
        for (name, members) in data.get(kind).and_then(Value::as_object).into_iter().flatten() {
            if let Value::Object(members) = members {
                look(&format!("{kind}.{name:?}."), members, own, shipped);
            }
        }
    }
    found.extend(["tools", "servers"].iter().flat_map(|kind| shapeless(&data, kind)));
    found
}

/// What of `tools` or `servers` is no object, where one is expected: no rule finds anything in it, so that nothing of it is
/// permitted, and nothing said.
fn shapeless(data: &Map<String, Value>, kind: &str) -> Vec<String> {
    let says =
        |place: String| format!("data.json: {place} is no object, so that it permits nothing");
    match data.get(kind) {
        None => Vec::new(),
        Some(Value::Object(members)) => {
            let odd = members.iter().filter(|(_, value)| !value.is_object());
            odd.map(|(name, _)| says(format!("{kind}.{name:?}"))).collect()
        }
        Some(_) => vec![says(kind.to_owned())],
    }
}

/// Every word of the modules outside of their comments, and not of a call's facts (`input.call.method`): what a rule
/// reads of the data it names.
fn words(modules: &[(String, String)]) -> BTreeSet<&str> {
    let lines = modules.iter().flat_map(|(_, source)| source.lines());
    let code = lines.filter_map(|line| line.split('#').next());
    let paths =
        code.flat_map(|code| code.split(|c: char| !c.is_alphanumeric() && !"_.".contains(c)));
    let of_data = paths.filter(|path| path.split('.').next() != Some("input"));
    of_data.flat_map(|path| path.split('.')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = include_str!("../../../policies/atf/gate.rego");
    const DATA: &str = include_str!("../../../policies/data.json");

    fn of(data: &str, rules: &str) -> Vec<String> {
        unread(data, &[("gate.rego".to_owned(), rules.to_owned())])
    }

    #[test]
    fn every_known_name_is_read() {
        assert_eq!(of(DATA, RULES), Vec::<String>::new());
        let tool: Map<String, Value> =
            TOOL.iter().chain(&SHIPPED_TOOL).map(|name| ((*name).to_owned(), 1.into())).collect();
        let server: Map<String, Value> =
            SHIPPED_SERVER.iter().map(|name| ((*name).to_owned(), 1.into())).collect();
        let data = serde_json::json!({"approvers": {}, "limits": {}, "provenance": {}, "seal": {},
            "tools": {"a.b": tool}, "servers": {"a": server}});
        assert_eq!(of(&data.to_string(), RULES), Vec::<String>::new());
    }

    /// The mistake: a person's word, an approver or a demand under a name that nothing reads.
    #[test]
    fn a_misspelt_safeguard_is_named() {
        for (data, names) in [
            (r#"{"tools":{"a.b":{"approve_from_cent":1}}}"#, r#"tools."a.b"."approve_from_cent""#),
            (r#"{"tools":{"a.b":{"Mode":"log"}}}"#, r#"tools."a.b"."Mode""#),
            (r#"{"approvrs":{}}"#, "\"approvrs\""),
            (r#"{"provenence":{}}"#, "\"provenence\""),
            (r#"{"servers":{"a":{"method":[]}}}"#, r#"servers."a"."method""#),
        ] {
            let found = of(data, RULES);
            assert!(matches!(&found[..], [one] if one.contains(names)), "{data}: {found:?}");
        }
        let found = of(r#"{"tools":{"a.b":{"approve_from_cent":1}}}"#, RULES);
        assert!(found[0].contains("approve_from_cents, mode"), "{found:?}");
    }

    /// The mistake: what is to permit something, in another form.
    #[test]
    fn what_is_no_object_is_named() {
        for (data, names) in [
            (r#"{"servers":null}"#, "servers is"),
            (r#"{"servers":[]}"#, "servers is"),
            (r#"{"servers":{"a":{},"b":null}}"#, r#"servers."b" is"#),
            (r#"{"tools":{"a.b":"log"}}"#, r#"tools."a.b" is"#),
        ] {
            let found = of(data, RULES);
            assert!(matches!(&found[..], [one] if one.contains(names)), "{data}: {found:?}");
        }
    }

    #[test]
    fn what_a_rule_of_ones_own_reads_is_no_doubt() {
        let data = r#"{"tools":{"a.b":{"colour":"red"}},"colours":["red"]}"#;
        let rules = "# colour and colours\npackage atf.gate\nx if data.tools[t].mode";
        assert_eq!(of(data, rules).len(), 2, "a comment reads nothing");
        let rules = "package atf.gate\nx if data.tools[t].colour in data.colours";
        assert_eq!(of(data, rules), Vec::<String>::new());
    }
}
