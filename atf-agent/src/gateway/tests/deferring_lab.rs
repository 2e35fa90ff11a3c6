//! The lab of calls that are answered later: tools, policy and server, and what a run asks of them.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::asking::ask;
use super::client::Got;
use super::lab::{Lab, LabRun, Wanted, shipped};
use crate::audit::{Call, Event, Verdict};
use crate::gateway::Settings;

/// Tools of which a call may be deferred, never is, and always is.
pub(super) const SLOW: &str = "files.slow";
pub(super) const NOW: &str = "files.now";
pub(super) const MUST: &str = "files.must";

/// The methods that the policy lets the server be asked by.
pub(super) const METHODS: [&str; 4] = ["tasks/get", "tasks/result", "tasks/cancel", "tasks/update"];

/// Pins and data of these tools.
pub(super) fn policy(dir: &Path, methods: &[&str], limits: &Value) {
    fs::create_dir_all(dir.join("tools")).unwrap();
    fs::copy(shipped().join("atf/gate.rego"), dir.join("gate.rego")).unwrap();
    let mut all = json!({"per_call_cents": 1, "per_run_cents": 1});
    all.as_object_mut().unwrap().extend(limits.as_object().unwrap().clone());
    let server = json!({"methods": methods, "questions": ["elicitation/create"],
        "notices": ["notifications/tasks/status"]});
    let data = json!({
        "limits": all,
        "seal": {"refusals": 4},
        "provenance": {"demand": "off", "secrets_to_sinks": "allow"},
        "servers": {"files": server},
        "tools": {SLOW: {"sql": []}, NOW: {"sql": []}, MUST: {"sql": []}},
    });
    fs::write(dir.join("data.json"), data.to_string()).unwrap();
    for (name, execution) in [
        (SLOW, json!({"execution": {"taskSupport": "optional"}})),
        (NOW, json!({})),
        (MUST, json!({"execution": {"taskSupport": "required"}})),
    ] {
        let n = json!({"type": "integer", "minimum": 0, "maximum": 9});
        let schema =
            json!({"type": "object", "properties": {"n": n}, "additionalProperties": false});
        let mut pin = json!({"name": name, "inputSchema": schema});
        pin.as_object_mut().unwrap().extend(execution.as_object().unwrap().clone());
        fs::write(dir.join("tools").join(format!("{name}.json")), pin.to_string()).unwrap();
    }
}

pub(super) async fn lab_of(
    methods: &[&str],
    limits: &Value,
    settings: Settings,
) -> (Lab, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    policy(dir.path(), methods, limits);
    let policy_dir = Some(dir.path().to_owned());
    (Lab::start(Wanted { policy_dir, settings, ..Wanted::default() }).await, dir)
}

pub(super) async fn lab() -> (Lab, tempfile::TempDir) {
    lab_of(&METHODS, &json!({}), Settings::default()).await
}

pub(super) fn says(lab: &Lab, what: &Value) {
    *lab.executor.result.lock().unwrap() = what.to_string();
}

/// What a server says of its deferred call.
pub(super) fn task(id: &str, status: &str) -> Value {
    json!({"taskId": id, "status": status, "createdAt": "x", "lastUpdatedAt": "x", "ttl": null})
}

pub(super) async fn call(run: &LabRun, tool: &str, more: &Value) -> Got {
    let mut params = json!({"name": tool, "arguments": {"n": 1}});
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    ask(run, ("tools/call", &params.to_string())).await
}

/// Has a call deferred, which its server calls `id`; the run's name for it.
pub(super) async fn begin(lab: &Lab, run: &LabRun, id: &str) -> String {
    says(lab, &json!({"task": task(id, "working")}));
    let got = call(run, SLOW, &json!({"task": {}})).await.json();
    got["result"]["task"]["taskId"].as_str().unwrap_or_else(|| panic!("{got}")).to_owned()
}

pub(super) async fn about(run: &LabRun, method: &str, id: &str) -> Got {
    ask(run, (&format!("tasks/{method}"), &json!({"taskId": id}).to_string())).await
}

pub(super) fn last(lab: &Lab) -> (Call, Verdict) {
    let decided = |event| match event {
        Event::Decided { call, verdict } => Some((*call, verdict)),
        _ => None,
    };
    lab.events().into_iter().filter_map(decided).next_back().expect("a decision")
}

pub(super) fn acts(lab: &Lab) -> usize {
    lab.executor.acts.lock().unwrap().len()
}

pub(super) fn unknown(got: &Got) -> bool {
    let error = &got.json()["error"];
    let whole = json!({"code": -32602, "message": "invalid params",
        "data": {"reason": "task.unknown"}});
    (got.status, error) == (200, &whole)
}
