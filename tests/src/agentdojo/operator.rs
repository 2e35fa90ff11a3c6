//! What an operator says of the suites' tools, as one would when the servers are pinned: which arguments
//! matter, what the results are, who reads what a tool is given, and of which tasks it is.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// By suite and tool.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Operator(BTreeMap<String, BTreeMap<String, Tool>>);

/// One tool. What is not said is as a pin has it by default.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Tool {
    /// `x-atf-provenance` by argument.
    marks: BTreeMap<String, Value>,
    /// `x-atf-results`.
    results: Option<Value>,
    /// `x-atf-sink`.
    sink: bool,
    /// `task_words` of the agents' manifests.
    pub(super) words: Vec<String>,
    /// The demands by argument that are not the demand of all.
    pub(super) demand: Map<String, Value>,
}

impl Operator {
    /// Reads the file.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = fs::read(path).with_context(|| format!("no {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is not valid", path.display()))
    }

    /// What is said of a tool.
    pub(super) fn tool(&self, suite: &str, tool: &str) -> Option<&Tool> {
        self.0.get(suite)?.get(tool)
    }

    /// The tools of a suite of which something is said.
    pub(super) fn tools(&self, suite: &str) -> impl Iterator<Item = (&String, &Tool)> {
        self.0.get(suite).into_iter().flatten()
    }
}

impl Tool {
    /// Writes it into a pin's draft.
    ///
    /// # Errors
    /// When the tool has no argument of a name.
    pub(super) fn mark(&self, draft: &mut Value) -> Result<()> {
        for (argument, mark) in &self.marks {
            let property = draft.pointer_mut(&format!("/inputSchema/properties/{argument}"));
            let property = property.and_then(Value::as_object_mut);
            let property = property.with_context(|| format!("no argument {argument}"))?;
            property.insert("x-atf-provenance".to_owned(), mark.clone());
        }
        if let Some(results) = &self.results {
            draft["x-atf-results"] = results.clone();
        }
        if self.sink {
            draft["x-atf-sink"] = json!(true);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_written_into_the_draft_and_an_unknown_argument_is_an_error() {
        let operator: Operator = serde_json::from_value(json!({"bank": {
            "pay": {"marks": {"to": true}, "results": {"trust": "trusted"}, "sink": true},
            "see": {"marks": {"who": true}},
        }}))
        .expect("valid");
        let draft = json!({"inputSchema": {"properties": {"to": {"type": "string"}}}});
        let mut marked = draft.clone();
        operator.tool("bank", "pay").expect("there").mark(&mut marked).expect("marked");
        assert_eq!(marked["inputSchema"]["properties"]["to"]["x-atf-provenance"], true);
        assert_eq!(
            (&marked["x-atf-results"]["trust"], &marked["x-atf-sink"]),
            (&json!("trusted"), &json!(true))
        );
        assert!(operator.tool("bank", "see").expect("there").mark(&mut draft.clone()).is_err());
        assert!(operator.tool("bank", "other").is_none());
    }
}
