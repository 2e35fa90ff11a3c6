//! What a plan is of: the relations and functions that the server says it scans.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use serde_json::Value;

/// The names of all that the plan scans: tables by their name, those of another schema with it, functions
/// as `name()`.
///
/// # Errors
/// When it is no plan.
pub(super) fn touched(plan: &str) -> Result<BTreeSet<String>> {
    let plan: Value = serde_json::from_str(plan).context("it is no JSON")?;
    let plan = plan.pointer("/0/Plan").context("it has no plan")?;
    let mut touched = BTreeSet::new();
    collect(plan, &mut touched);
    Ok(touched)
}

fn collect(node: &Value, touched: &mut BTreeSet<String>) {
    match node {
        Value::Object(members) => {
            let text = |name: &str| members.get(name).and_then(Value::as_str);
            if let Some(relation) = text("Relation Name") {
                touched.insert(match text("Schema") {
                    Some("public") | None => relation.to_owned(),
                    Some(schema) => format!("{schema}.{relation}"),
                });
            }
            for (kind, name) in [
                ("Function Name", text("Function Name")),
                ("Table Function Name", text("Table Function Name")),
            ] {
                if let Some(name) = name {
                    touched.insert(format!("{name}()"));
                } else if members.contains_key(kind) {
                    touched.insert(format!("{kind} without a name"));
                }
            }
            members.values().for_each(|value| collect(value, touched));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, touched)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scan_of_a_plan_is_named() {
        let plan = r#"[{"Plan":{"Node Type":"Limit","Plans":[
            {"Node Type":"Seq Scan","Relation Name":"merchants","Schema":"public"},
            {"Node Type":"Hash","Plans":[{"Relation Name":"pg_authid","Schema":"pg_catalog"}]},
            {"Node Type":"Function Scan","Function Name":"pg_ls_dir"},
            {"Node Type":"CTE Scan","CTE Name":"x"}]}}]"#;
        let expected = ["merchants", "pg_catalog.pg_authid", "pg_ls_dir()"];
        assert_eq!(touched(plan).unwrap(), expected.map(str::to_owned).into());
        assert!(touched("[]").is_err() && touched("x").is_err());
    }
}
