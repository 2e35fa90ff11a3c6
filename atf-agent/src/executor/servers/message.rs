//! What a server says, read as little as is needed: is it an answer, a request or a notification. Its
//! content is the server's and goes on as it came.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::error::Mistrust;
use super::news::News;
use crate::call::{Question, Questions};

/// Longest id of a server's request that is answered.
const ID_BYTES_MAX: usize = 128;

/// Longest `data` of an error that is read: the names of some capabilities. Of what is longer nothing is said to be
/// missing.
const DATA_BYTES_MAX: usize = 4 << 10;

/// One message of a server.
#[derive(Debug)]
pub(super) enum Heard {
    /// The answer to our request `id`.
    Answer {
        /// Our number.
        id: u64,
        /// What it says.
        body: Body,
    },
    /// A request of the server's own.
    Asked {
        /// Its id, as it came.
        id: Box<RawValue>,
        /// What it wants.
        asks: Asks,
    },
    /// A notification.
    Told {
        /// What it says.
        news: News,
    },
    /// Nothing that is understood, and why.
    Bad(String),
}

/// What a request of the server's own wants.
#[derive(Debug)]
pub(super) enum Asks {
    /// To know if we are there.
    Ping,
    /// An answer of the run for which it works, with the parameters of the question as they came.
    Run(Question, Option<Box<RawValue>>),
    /// Something that nobody gives.
    Other,
}

impl Asks {
    fn read(method: &str, params: Option<&RawValue>) -> Self {
        let question = Question::ALL.into_iter().find(|question| question.method() == method);
        match question {
            Some(question) => Self::Run(question, params.map(RawValue::to_owned)),
            None if method == "ping" => Self::Ping,
            None => Self::Other,
        }
    }
}

/// The body of an answer.
#[derive(Debug)]
pub(super) enum Body {
    /// A result, as it came.
    Result(Box<RawValue>),
    /// A JSON-RPC error.
    Error {
        /// Its code.
        code: i64,
        /// Its message.
        message: String,
        /// What the client would have to answer that it does not say it answers.
        missing: Questions,
    },
    /// Both, neither, or an error that is none.
    Broken(&'static str),
    /// There is none, and there will not be.
    Failed(Failed),
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    /// It was not sent: permit or run did not stand any more.
    #[error("it was not sent: {0}")]
    Unsent(Mistrust),
    /// The server did not hear of it.
    #[error("it was not reached: {0}")]
    Unheard(String),
    /// It may have heard of it.
    #[error("{0}")]
    Unanswered(String),
    /// It says that it does not know the session.
    #[error("it ended the session")]
    Forgotten,
}

/// Names that occur twice are refused by the reader that serde derives.
#[derive(Deserialize)]
struct Incoming<'a> {
    #[serde(borrow)]
    jsonrpc: Cow<'a, str>,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Fault<'a> {
    code: i64,
    message: String,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

impl Fault<'_> {
    /// MCP 2026-07-28 names the capabilities that were missing; those that are no question are left out.
    fn missing(&self) -> Questions {
        let data = self.data.filter(|data| data.get().len() <= DATA_BYTES_MAX);
        let data: Option<Value> = data.and_then(|data| serde_json::from_str(data.get()).ok());
        let Some(required) = data.as_ref().and_then(|data| data.get("requiredCapabilities")) else {
            return Questions::new();
        };
        let is_required = |question: &Question| required.get(question.capability()).is_some();
        Question::ALL.into_iter().filter(is_required).collect()
    }
}

/// Reads one message.
pub(super) fn read(bytes: &[u8]) -> Heard {
    let bad = |what: &str| Heard::Bad(what.to_owned());
    let Ok(text) = std::str::from_utf8(bytes) else { return bad("not UTF-8") };
    // serde's derived readers take arrays too, and a batch is one.
    if !text.trim_ascii_start().starts_with('{') {
        return bad("not a JSON object");
    }
    let incoming: Incoming<'_> = match serde_json::from_str(text) {
        Ok(incoming) => incoming,
        Err(error) => return Heard::Bad(error.to_string()),
    };
    if incoming.jsonrpc != "2.0" {
        return bad("jsonrpc is not \"2.0\"");
    }
    let answers = incoming.result.is_some() || incoming.error.is_some();
    match (&incoming.method, incoming.id) {
        (Some(_), _) if answers => bad("a request and an answer in one"),
        (Some(method), None) => Heard::Told { news: News::read(method, incoming.params) },
        (Some(method), Some(id)) if is_id(id.get()) => {
            Heard::Asked { id: id.to_owned(), asks: Asks::read(method, incoming.params) }
        }
        (Some(_), Some(_)) => bad("a request with an id that is none"),
        (None, Some(id)) => match number(id.get()) {
            Some(id) => Heard::Answer { id, body: body(&incoming) },
            None => bad("an answer to an id that is not ours"),
        },
        (None, None) => bad("neither a method nor an id"),
    }
}

fn body(incoming: &Incoming<'_>) -> Body {
    match (incoming.result, incoming.error) {
        (Some(result), None) => Body::Result(result.to_owned()),
        (None, Some(error)) => match serde_json::from_str::<Fault<'_>>(error.get()) {
            Ok(fault) => {
                let missing = fault.missing();
                Body::Error { code: fault.code, message: fault.message, missing }
            }
            Err(_) => Body::Broken("an error without a code and a message"),
        },
        (Some(_), Some(_)) => Body::Broken("a result and an error in one answer"),
        (None, None) => Body::Broken("neither a result nor an error"),
    }
}

/// A string or an integer, of bounded length.
fn is_id(raw: &str) -> bool {
    raw.len() <= ID_BYTES_MAX && (raw.starts_with('"') || raw.parse::<i64>().is_ok())
}

/// Our ids are numbers and are spelled in one way: `7`, not `7.0`, `07` or `"7"`.
fn number(raw: &str) -> Option<u64> {
    raw.parse().ok().filter(|number: &u64| number.to_string() == raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_one_clear_message_is_bad() {
        let kind = |text: &[u8]| match read(text) {
            Heard::Answer { body: Body::Result(_), .. } => "result",
            Heard::Answer { body: Body::Error { .. }, .. } => "error",
            Heard::Answer { body: Body::Broken(_) | Body::Failed(_), .. } => "broken",
            Heard::Asked { asks: Asks::Ping, .. } => "ping",
            Heard::Asked { asks: Asks::Run(..), .. } => "asked",
            Heard::Asked { asks: Asks::Other, .. } => "other",
            Heard::Told { news: News::Tools } => "tools",
            Heard::Told { news: News::Besides } => "besides",
            Heard::Told { news: News::Progress(..) } => "progress",
            Heard::Told { news: News::Log(..) } => "log",
            Heard::Told { news: News::Status(..) } => "status",
            Heard::Told { news: News::Updated(_) | News::Subscribed(..) } => "resource",
            Heard::Told { news: News::Other } => "told",
            Heard::Bad(_) => "bad",
        };
        for (text, expected) in [
            (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, "result"),
            (r#"{"jsonrpc":"2.0","id":1,"result":{},"extra":1}"#, "result"),
            (r#"{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"m"}}"#, "error"),
            (r#"{"jsonrpc":"2.0","id":1,"error":{"code":"x"}}"#, "broken"),
            (r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"m"},"result":1}"#, "broken"),
            (r#"{"jsonrpc":"2.0","id":1}"#, "broken"),
            (r#"{"jsonrpc":"2.0","id":1.0,"result":{}}"#, "bad"),
            (r#"{"jsonrpc":"2.0","id":"1","result":{}}"#, "bad"),
            (r#"{"jsonrpc":"2.0","id":-1,"result":{}}"#, "bad"),
            (r#"{"jsonrpc":"2.0","id":+1,"result":{}}"#, "bad"),
            (r#"{"jsonrpc":"2.0","id":null,"result":{}}"#, "bad"),
            (r#"{"jsonrpc":"2.0","id":1,"id":2,"result":{}}"#, "bad"),
            (r#"{"jsonrpc":"2.0","id":1,"\u0069d":2,"result":{}}"#, "bad"),
            (r#"{"jsonrpc":"1.0","id":1,"result":{}}"#, "bad"),
            (r#"{"id":1,"result":{}}"#, "bad"),
            (r#"[{"jsonrpc":"2.0","id":1,"result":{}}]"#, "bad"),
            (r#"["2.0",1,null,{}]"#, "bad"),
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, "ping"),
            (r#"{"jsonrpc":"2.0","id":"a","method":"sampling/createMessage"}"#, "asked"),
            (r#"{"jsonrpc":"2.0","id":"a","method":"elicitation/create","params":{}}"#, "asked"),
            (r#"{"jsonrpc":"2.0","id":"a","method":"Elicitation/create"}"#, "other"),
            (r#"{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{}}"#, "other"),
            (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, "bad"),
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#, "bad"),
            (r#"{"jsonrpc":"2.0","method":"notifications/progress"}"#, "told"),
            (r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#, "tools"),
            (r#"{"jsonrpc":"2.0","method":"notifications/prompts/list_changed"}"#, "besides"),
            (r#"{"jsonrpc":"2.0"}"#, "bad"),
            ("listening on stdio", "bad"),
            ("", "bad"),
            ("{", "bad"),
        ] {
            assert_eq!(kind(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(kind(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"\xff\"}"), "bad");
    }

    /// The attack: an error whose data takes a hundred times its length when it is read.
    #[test]
    fn of_an_error_with_long_data_nothing_is_missing() {
        let missing = |more: usize| {
            let filled = vec![r#"{"":0}"#; more].join(",");
            let data = format!(r#"{{"requiredCapabilities":{{"sampling":{{}}}},"x":[{filled}]}}"#);
            let error = format!(r#"{{"code":-32021,"message":"m","data":{data}}}"#);
            match read(format!(r#"{{"jsonrpc":"2.0","id":1,"error":{error}}}"#).as_bytes()) {
                Heard::Answer { body: Body::Error { code: -32021, missing, .. }, .. } => missing,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(missing(0), Questions::from([Question::Sampling]), "the control");
        assert_eq!(missing(150_000), Questions::new());
    }
}
