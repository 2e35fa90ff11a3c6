//! What a server says of deferred calls, and what of it their run is told: names, times and numbers are the
//! gateway's, and a result is passed on as one that comes at once.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use super::table::{Begins, Entry};
use super::{Admitted, Passes};
use crate::call::{Deferral, DeferredStatus as Status};
use crate::gate::{Begun, Era, Permit, hidden_text};
use crate::gateway::after::{COMPLETE, MESSAGE_CHARS_MAX, ResultHead};
use crate::gateway::questions;
use crate::wire::MayDefer;

/// Longest name of a server's for a deferred call in bytes.
const NAME_BYTES_MAX: usize = 512;

/// Longest message about how far it is, in characters: it is kept for as long as the call is.
const STATUS_CHARS_MAX: usize = 200;

/// Most milliseconds between two questions that a server may suggest.
const POLL_MS_MAX: u64 = 3_600_000;

/// Of a result: which deferred call it is of, up to 2025-11-25.
const RELATED: &str = "io.modelcontextprotocol/related-task";

/// What is read of what a server says of one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Said {
    task_id: String,
    status: Status,
    #[serde(default)]
    status_message: Option<String>,
    #[serde(default)]
    ttl: Option<Value>,
    #[serde(default)]
    ttl_ms: Option<Value>,
    #[serde(default)]
    poll_interval: Option<Value>,
    #[serde(default)]
    poll_interval_ms: Option<Value>,
}

#[derive(Deserialize)]
struct Wrapped {
    task: Said,
}

/// What stands beside it in 2026-07-28.
#[derive(Deserialize)]
struct Besides<'a> {
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<Fault>,
    #[serde(borrow, default, rename = "inputRequests")]
    requests: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Fault {
    code: i64,
    message: String,
}

#[derive(Deserialize)]
struct Related {
    #[serde(rename = "taskId")]
    task: String,
}

type Members<'a> = BTreeMap<String, &'a RawValue>;

impl Said {
    /// How long it is kept in milliseconds, and how often it is worth asking.
    fn times(&self, era: Era) -> (Option<u64>, Option<u64>) {
        let (ttl, poll) = match era {
            Era::Handshake => (&self.ttl, &self.poll_interval),
            Era::Stateless => (&self.ttl_ms, &self.poll_interval_ms),
        };
        let number = |value: &Option<Value>| value.as_ref().and_then(Value::as_u64);
        (number(ttl), number(poll).filter(|poll| (1..=POLL_MS_MAX).contains(poll)))
    }

    /// The message for people, unless it has what they do not see.
    fn message(&self, instead: &str) -> Option<String> {
        self.status_message.as_deref().and_then(|message| shown(message, &self.task_id, instead))
    }
}

fn shown(message: &str, task: &str, instead: &str) -> Option<String> {
    let message: String = without(message, task, instead).chars().take(STATUS_CHARS_MAX).collect();
    hidden_text(&json!(message)).is_none().then_some(message)
}

/// `text` within its bound, with the run's name in the place of the server's.
fn without(text: &str, task: &str, instead: &str) -> String {
    // Piece by piece: a name of one letter would make a long text many times as long.
    let pieces = text.split(task).enumerate();
    let pieces = pieces.flat_map(|(n, piece)| [if n == 0 { "" } else { instead }, piece]);
    pieces.flat_map(str::chars).take(MESSAGE_CHARS_MAX).collect()
}

/// The server defers the call of `permit`.
///
/// # Errors
/// When it does so in no way that was allowed to it, or it cannot be kept.
pub(in crate::gateway) fn begun(
    text: &str,
    (permit, era): (&Permit, Era),
    admitted: Admitted,
) -> Result<Passes, String> {
    let wrong = |error| format!("a deferred call is not understood: {error}");
    let act = permit.judged().call();
    let said: Said = match permit.body().defers {
        None => return Err("the call is deferred, and may not be".to_owned()),
        Some(MayDefer::Asked { .. }) => serde_json::from_str::<Wrapped>(text).map_err(wrong)?.task,
        Some(MayDefer::Allowed) => serde_json::from_str(text).map_err(wrong)?,
    };
    let is_name = !said.task_id.is_empty()
        && said.task_id.len() <= NAME_BYTES_MAX
        && !said.task_id.chars().any(char::is_control);
    let tool = act.target().tool().cloned();
    let (Some(tool), Some(pin), true) = (tool, act.pin(), is_name) else {
        return Err("a deferred call without a name".to_owned());
    };
    let (ttl, poll_ms) = said.times(era);
    let most = match permit.body().defers {
        // The gate has bounded it.
        Some(MayDefer::Asked { ttl_ms }) => ttl_ms,
        Some(MayDefer::Allowed) | None => admitted.ttl_ms_max,
    };
    let exchange = permit.body().exchange.as_ref();
    let begun = Begun {
        decision: permit.body().decision,
        narrowing: act.claims().entitlements.narrowing.digest_of(&tool),
        questions: exchange.map(|exchange| exchange.questions.clone()).unwrap_or_default(),
        tool,
        pin,
        task: said.task_id.clone(),
    };
    let begins = Begins {
        begun,
        era,
        // A server that keeps it for no time keeps it for none.
        ttl_ms: ttl.unwrap_or(most).min(most).max(1),
        poll_ms,
        status: said.status,
        message: None,
        place: admitted.place,
    };
    let entry = admitted.table.add(&admitted.names, begins)?;
    entry.is(said.status, said.message(&entry.id.to_string()));
    let mut told = entry.told();
    let told = match era {
        Era::Handshake => json!({ "task": told }),
        Era::Stateless => {
            told.insert("resultType".to_owned(), json!("task"));
            Value::Object(told)
        }
    };
    Ok(Passes { text: raw(&told)?, learnt: None, begun: Some(entry) })
}

/// What a server answers about the deferred call `entry`.
///
/// # Errors
/// When it is of another one, or not what was asked for.
pub(in crate::gateway) fn answered(
    text: &str,
    (asks, permit): (Deferral, &Permit),
    entry: &Entry,
) -> Result<Passes, String> {
    if entry.is_double() {
        return Err("the server has given its name to another call since".to_owned());
    }
    let (text, learnt) = match (entry.era, asks) {
        (Era::Handshake, Deferral::Get | Deferral::Cancel) => {
            said(text, entry)?;
            (raw(&Value::Object(entry.told()))?, None)
        }
        (Era::Handshake, Deferral::Result) => result(text, entry)?,
        (Era::Stateless, Deferral::Get) => detailed(text, permit, entry)?,
        // Whether it is so, the next question tells.
        (Era::Stateless, Deferral::Cancel | Deferral::Update) => {
            (raw(&json!({ "resultType": COMPLETE }))?, None)
        }
        (Era::Handshake, Deferral::Update) | (Era::Stateless, Deferral::Result) => {
            return Err("what was asked is of another revision".to_owned());
        }
    };
    Ok(Passes { text, learnt, begun: None })
}

/// A server's message about `entry`, as its run is told of it.
pub(in crate::gateway) fn message(text: &str, entry: &Entry) -> String {
    without(text, &entry.begun.task, &entry.id.to_string())
}

/// What a server tells of `entry` without being asked, as its run is told of it; nothing when the server has given
/// its name to another call since.
pub(in crate::gateway) fn status(
    entry: &Entry,
    status: Status,
    message: Option<&str>,
) -> Option<Value> {
    if entry.is_double() {
        return None;
    }
    let message = message.and_then(|text| shown(text, &entry.begun.task, &entry.id.to_string()));
    entry.is(status, message);
    Some(Value::Object(entry.told()))
}

/// Reads what a server says of `entry`, and keeps it.
fn said(text: &str, entry: &Entry) -> Result<Said, String> {
    let said: Said = serde_json::from_str(text)
        .map_err(|error| format!("a deferred call is not understood: {error}"))?;
    if said.task_id != entry.begun.task {
        return Err("the server answers of another deferred call".to_owned());
    }
    entry.is(said.status, said.message(&entry.id.to_string()));
    Ok(said)
}

type Built = (Box<RawValue>, Option<Box<RawValue>>);

/// Whether a result is one: what was deferred asks, or promises more, in no result of its own.
fn whole(result: &str) -> Result<(), String> {
    let head: ResultHead = serde_json::from_str(result)
        .map_err(|error| format!("a result is not understood: {error}"))?;
    match head.result_type.as_deref() {
        None | Some(COMPLETE) if !head.is_promise() => Ok(()),
        found => Err(format!("expected the result of a deferred call, found {found:?}")),
    }
}

/// The result of 2025-11-25, under the run's name for the call.
fn result(text: &str, entry: &Entry) -> Result<Built, String> {
    let wrong = |error: serde_json::Error| format!("a result is not understood: {error}");
    whole(text)?;
    let mut members: Members<'_> = serde_json::from_str(text).map_err(wrong)?;
    let meta = members.get("_meta").map_or("{}", |meta| meta.get());
    let mut meta: Members<'_> = serde_json::from_str(meta).map_err(wrong)?;
    if let Some(related) = meta.get(RELATED) {
        let related: Related = serde_json::from_str(related.get()).map_err(wrong)?;
        if related.task != entry.begun.task {
            return Err("the server gives the result of another deferred call".to_owned());
        }
    }
    let is_error = members.get("isError").is_some_and(|is| is.get() == "true");
    let related = raw(&json!({ "taskId": entry.id }))?;
    meta.insert(RELATED.to_owned(), &related);
    let meta = to_raw_value(&meta).map_err(wrong)?;
    members.insert("_meta".to_owned(), &meta);
    let built = to_raw_value(&members).map_err(wrong)?;
    entry.is(if is_error { Status::Failed } else { Status::Completed }, None);
    let learnt = RawValue::from_string(text.to_owned()).map_err(wrong)?;
    Ok((built, Some(learnt)))
}

/// How far it is in 2026-07-28, with the result, the error or the questions that go with it.
fn detailed(text: &str, permit: &Permit, entry: &Entry) -> Result<Built, String> {
    let wrong = |error: serde_json::Error| format!("a result is not understood: {error}");
    let besides: Besides<'_> = serde_json::from_str(text).map_err(wrong)?;
    let status = said(text, entry)?.status;
    let mut learnt = None;
    let member = match status {
        Status::Working | Status::Cancelled => None,
        Status::Completed => {
            let result = besides.result.ok_or("it is completed, and has no result")?;
            whole(result.get())?;
            let plain = unrelated(result).map_err(wrong)?;
            learnt = Some(result.to_owned());
            Some(("result", plain))
        }
        Status::Failed => {
            let Fault { code, message } = besides.error.ok_or("it has failed, and has no error")?;
            let message = self::message(&message, entry);
            Some(("error", raw(&json!({"code": code, "message": message}))?))
        }
        Status::InputRequired => {
            let asked = besides.requests.ok_or("it asks, and has no question")?;
            let allowed = permit.body().exchange.as_ref().map(|exchange| &exchange.questions);
            Some(("inputRequests", questions::allowed(asked.get(), allowed)?))
        }
    };
    let mut told: Map<String, Value> = entry.told();
    told.insert("resultType".to_owned(), json!(COMPLETE));
    let mut built: BTreeMap<String, Box<RawValue>> = BTreeMap::new();
    for (name, value) in told {
        built.insert(name, raw(&value)?);
    }
    built.extend(member.map(|(name, value)| (name.to_owned(), value)));
    Ok((to_raw_value(&built).map_err(wrong)?, learnt))
}

/// A result without the member that names the server's call.
fn unrelated(result: &RawValue) -> Result<Box<RawValue>, serde_json::Error> {
    let mut members: Members<'_> = serde_json::from_str(result.get())?;
    let Some(meta) = members.get("_meta") else { return Ok(result.to_owned()) };
    let mut meta: Members<'_> = serde_json::from_str(meta.get())?;
    if meta.remove(RELATED).is_none() {
        return Ok(result.to_owned());
    }
    let meta = to_raw_value(&meta)?;
    members.insert("_meta".to_owned(), &meta);
    to_raw_value(&members)
}

fn raw(value: &Value) -> Result<Box<RawValue>, String> {
    to_raw_value(value).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The attack: the server's name, wherever it stands, for the run to hand to another run or to be known by. The
    /// control is a text without it.
    #[test]
    fn a_servers_name_for_a_call_is_the_runs_in_every_place_of_a_text() {
        for (text, expected) in [
            ("nothing", "nothing"),
            ("", ""),
            ("task-7", "mine"),
            ("task-7 begins", "mine begins"),
            ("ends task-7", "ends mine"),
            ("task-7task-7, (task-7)", "minemine, (mine)"),
            ("task-77", "mine7"),
            ("task-", "task-"),
        ] {
            assert_eq!(without(text, "task-7", "mine"), expected, "{text}");
        }
        // Of what takes its place nothing is looked at again.
        assert_eq!(without("aa", "a", "aba"), "abaaba");
    }

    /// The attack: a name of one letter makes a long text many times as long.
    #[test]
    fn a_text_with_names_in_it_keeps_its_bound() {
        let text = "x".repeat(MESSAGE_CHARS_MAX);
        assert_eq!(without(&text, "y", "mine").len(), MESSAGE_CHARS_MAX, "the control");
        let long = without(&text, "x", &"m".repeat(32));
        assert_eq!(long, "m".repeat(MESSAGE_CHARS_MAX));
    }
}
