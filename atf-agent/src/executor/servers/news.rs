//! What a server tells without being asked: that its lists changed, or something about a call that it works
//! on. What is read is what is told; all else of its message stays here.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Number, Value};

use crate::call::{DeferredStatus, Level};
use crate::wire::Told;

/// Longest parameters of a notification in bytes that are told on: a line or two for a person.
const TOLD_BYTES_MAX: usize = 4 << 10;

/// How deep what a server writes down may be nested. It is told on inside of other values, and every reader on its
/// way has a bound of its own.
const DEPTH_MAX: usize = 32;

/// What a notification says, as far as anybody listens.
#[derive(Debug, PartialEq)]
pub(super) enum News {
    /// The tools are others now.
    Tools,
    /// The prompts or resources are others now.
    Besides,
    /// How far the call of this number has come.
    Progress(u64, Told),
    /// How far the deferred call is that it knows by this name.
    Status(String, Told),
    /// A resource has changed, by the server's own name for it.
    Updated(String),
    /// It tells from now on of these resources, which the request of this number named.
    Subscribed(u64, Vec<String>),
    /// Something of this level that it writes down. It does not say of which call.
    Log(Level, Told),
    /// Something else, or too much of it.
    Other,
}

#[derive(Deserialize)]
struct Progress {
    // Ours are numbers and are spelled in one way: `7.0` and `"7"` are none.
    #[serde(rename = "progressToken")]
    token: u64,
    progress: Number,
    #[serde(default)]
    total: Option<Number>,
    #[serde(default)]
    message: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StatusOf {
    task_id: String,
    status: DeferredStatus,
    #[serde(default)]
    status_message: Option<String>,
}

#[derive(Deserialize)]
struct Updated {
    uri: String,
}

#[derive(Deserialize)]
struct Acknowledged {
    #[serde(rename = "_meta")]
    meta: Subscription,
    #[serde(default)]
    notifications: Agreed,
}

#[derive(Default, Deserialize)]
struct Agreed {
    #[serde(default, rename = "resourceSubscriptions")]
    resources: Vec<String>,
}

#[derive(Deserialize)]
struct Subscription {
    #[serde(rename = "io.modelcontextprotocol/subscriptionId")]
    id: u64,
}

#[derive(Deserialize)]
struct Log {
    level: Level,
    #[serde(default)]
    logger: Option<String>,
    data: Value,
}

impl News {
    pub(super) fn read(method: &str, params: Option<&RawValue>) -> Self {
        match method {
            "notifications/tools/list_changed" => Self::Tools,
            "notifications/prompts/list_changed" | "notifications/resources/list_changed" => {
                Self::Besides
            }
            "notifications/progress" => told(params).map_or(Self::Other, |told: Progress| {
                let Progress { token, progress, total, message } = told;
                Self::Progress(token, Told::Progress { progress, total, message })
            }),
            "notifications/tasks/status" => told(params).map_or(Self::Other, |told: StatusOf| {
                let StatusOf { task_id, status, status_message: message } = told;
                Self::Status(task_id, Told::Status { status, message })
            }),
            "notifications/resources/updated" => {
                told(params).map_or(Self::Other, |told: Updated| Self::Updated(told.uri))
            }
            "notifications/subscriptions/acknowledged" => told(params)
                .map_or(Self::Other, |told: Acknowledged| {
                    Self::Subscribed(told.meta.id, told.notifications.resources)
                }),
            "notifications/message" => match told(params) {
                Some(Log { level, logger, data }) if depth(&data) <= DEPTH_MAX => {
                    Self::Log(level, Told::Log { level, logger, data })
                }
                Some(_) | None => Self::Other,
            },
            _ => Self::Other,
        }
    }
}

/// The parameters, when they are an object of bounded length and of this form.
fn told<'a, T: Deserialize<'a>>(params: Option<&'a RawValue>) -> Option<T> {
    let text = params?.get();
    let is_read = text.starts_with('{') && text.len() <= TOLD_BYTES_MAX;
    is_read.then(|| serde_json::from_str(text).ok()).flatten()
}

/// How deep a value is nested; its reader has bounded it before.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or_default(),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or_default(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_told_is_of_one_form_and_bounded() {
        let progress = json!({"progressToken": 7, "progress": 1, "total": 2.5, "message": "m"});
        let log = json!({"level": "info", "logger": "l", "data": {"k": [1]}});
        let with = |of: &Value, member: &str, value: Value| {
            let mut changed = of.clone();
            changed[member] = value;
            changed.to_string()
        };
        let status = json!({"taskId": "t", "status": "working", "statusMessage": "m", "ttl": null});
        let long = json!("x".repeat(TOLD_BYTES_MAX));
        let acknowledged = |id: Value| {
            json!({"_meta": {"io.modelcontextprotocol/subscriptionId": id}}).to_string()
        };
        for (method, params, fine) in [
            ("progress", progress.to_string(), true),
            ("progress", json!({"progressToken": 7, "progress": 0}).to_string(), true),
            ("progress", with(&progress, "extra", json!(1)), true),
            ("progress", with(&progress, "progressToken", json!("7")), false),
            ("progress", with(&progress, "progressToken", json!(-7)), false),
            ("progress", with(&progress, "progressToken", json!(7.0)), false),
            ("progress", with(&progress, "progress", json!("half")), false),
            ("progress", with(&progress, "message", json!(["m"])), false),
            ("progress", with(&progress, "message", long.clone()), false),
            ("progress", progress.to_string().replacen('{', "{\"progressToken\":8,", 1), false),
            ("progress", "[7,1,2,\"m\"]".to_owned(), false),
            ("tasks/status", status.to_string(), true),
            ("tasks/status", json!({"taskId": "t", "status": "completed"}).to_string(), true),
            ("tasks/status", with(&status, "status", json!("done")), false),
            ("tasks/status", with(&status, "taskId", json!(7)), false),
            ("tasks/status", with(&status, "statusMessage", json!(["m"])), false),
            ("tasks/status", with(&status, "statusMessage", long.clone()), false),
            ("resources/updated", json!({"uri": "a:b", "title": 1}).to_string(), true),
            ("resources/updated", json!({"uri": 1}).to_string(), false),
            ("resources/updated", json!({"uri": "x".repeat(TOLD_BYTES_MAX)}).to_string(), false),
            ("subscriptions/acknowledged", acknowledged(json!(7)), true),
            ("subscriptions/acknowledged", acknowledged(json!("7")), false),
            ("subscriptions/acknowledged", json!({}).to_string(), false),
            ("message", log.to_string(), true),
            ("message", json!({"level": "info", "data": "d"}).to_string(), true),
            ("message", with(&log, "level", json!("loud")), false),
            ("message", with(&log, "logger", json!(1)), false),
            ("message", with(&log, "data", long), false),
            ("message", json!({"level": "info"}).to_string(), false),
        ] {
            let raw = RawValue::from_string(params.clone()).unwrap();
            let found = News::read(&format!("notifications/{method}"), Some(&raw));
            assert_eq!(found != News::Other, fine, "{method} {params}");
        }
        assert_eq!(News::read("notifications/progress", None), News::Other);
    }

    /// The attack: what is written down is read here, and the frame that has it is read by nobody any more.
    #[test]
    fn what_is_told_on_can_be_read_on_its_way() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        let read = |depth: usize| {
            let params = format!(r#"{{"level":"info","data":{}}}"#, nested(depth));
            let params = RawValue::from_string(params).unwrap();
            News::read("notifications/message", Some(&params))
        };
        let News::Log(_, told) = read(DEPTH_MAX) else { panic!("the deepest is told") };
        let frame = serde_json::to_vec(&crate::wire::ExecutorReply::Told { told }).unwrap();
        let wrapped = format!(r#"{{"a":[{}]}}"#, String::from_utf8(frame).unwrap());
        assert!(serde_json::from_str::<Value>(&wrapped).is_ok());
        for depth in [DEPTH_MAX + 1, 120, 126, 2_000] {
            assert_eq!(read(depth), News::Other, "{depth}");
        }
        // The control: one that its first reader takes, and the next one does not.
        let deep = nested(126);
        assert!(serde_json::from_str::<Value>(&deep).is_ok());
        assert!(serde_json::from_str::<Value>(&format!(r#"{{"a":[{deep}]}}"#)).is_err());
    }
}
