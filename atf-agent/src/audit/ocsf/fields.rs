//! The pieces of which the classes are put together, and OCSF's numbers with their names.

use serde_json::{Map, Value, json};

use crate::call::{AgentName, Digest, RunId};

/// The class-specific part of a record.
pub(super) struct Class {
    pub(super) class: u64,
    pub(super) activity: u64,
    pub(super) severity: Severity,
    pub(super) fields: Map<String, Value>,
}

/// OCSF `severity_id`.
#[derive(Clone, Copy)]
pub(super) enum Severity {
    Informational = 1,
    Low = 2,
    Medium = 3,
    High = 4,
}

/// OCSF `activity_id` of an activity that the class has no number for.
pub(super) const OTHER: u64 = 99;

/// OCSF `status_id`, of events that are no finding.
pub(super) const SUCCESS: u64 = 1;
pub(super) const FAILURE: u64 = 2;

/// OCSF `status_id` of findings.
pub(super) const NEW: u64 = 1;
pub(super) const RESOLVED: u64 = 4;

/// OCSF `action_id` and `disposition_id` of profile `security_control`.
pub(super) const ALLOWED: (u64, u64) = (1, 1);
pub(super) const BLOCKED: (u64, u64) = (2, 2);
pub(super) const ISOLATED: (u64, u64) = (2, 4);
/// Action Observed, disposition Detected: seen, and nothing done about it.
pub(super) const OBSERVED: (u64, u64) = (3, 15);

pub(super) fn finding(uid: &str, title: &str, why: &Value) -> Value {
    json!({
        "status_id": NEW,
        "is_alert": true,
        "finding_info": {"uid": uid, "title": title, "desc": why},
    })
}

pub(super) fn action((action, disposition): (u64, u64)) -> Value {
    json!({"action_id": action, "disposition_id": disposition})
}

/// The agent, its run, and as its charter the digest of its system prompt.
pub(super) fn ai_agent(agent: Option<&AgentName>, run: RunId, prompt: Option<&Digest>) -> Value {
    let mut found = json!({"instance_uid": run});
    if let Some(agent) = agent {
        found["uid"] = json!(agent);
    }
    if let Some(prompt) = prompt {
        found["charter"] = json!({
            "name": "system prompt",
            "type_id": 1,
            "hashes": [{"algorithm_id": 3, "algorithm": "SHA-256", "value": prompt}],
        });
    }
    found
}

pub(super) fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
}

pub(super) fn class(class: u64, activity: u64, severity: Severity, fields: Value) -> Class {
    let fields = match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    Class { class, activity, severity, fields }
}
