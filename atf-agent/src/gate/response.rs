//! A message that answers a request: what a run says to a question of a server, in the revisions in which servers ask by
//! requests, of a client that has said that it answers some. Which question it is, the gateway knows; what is answered
//! is judged as the call that it is for.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::envelope::{self, Envelope};
use super::era::{Era, Stated};
use super::id::Id;
use super::receive::{Message, Received};
use super::reply::{Code, Unread};
use super::talk::ANSWERS_BYTES_MAX;
use crate::call::{DecisionId, Question, Refusal};

/// Bytes of such a message around what is answered.
const ENVELOPE_BYTES: usize = 1 << 10;

/// Longest such message in bytes.
pub(super) const BYTES_MAX: usize = ANSWERS_BYTES_MAX + ENVELOPE_BYTES;

/// An answer. Only [`Received::read`] makes one.
#[derive(Debug)]
pub struct Response {
    id: Id,
    result: Option<Box<RawValue>>,
}

/// The question that an answer is to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Continues {
    /// The decision that allowed the call for which it is asked.
    pub decision: DecisionId,
    /// What the call has reserved.
    pub cents: u64,
    /// The executor's number for the question.
    pub number: u64,
    /// What kind of question it is.
    pub question: Question,
}

/// An error, of which nothing is passed on.
#[derive(Deserialize)]
#[expect(dead_code, reason = "it only has to be of this form")]
struct Fault<'a> {
    code: i64,
    #[serde(borrow)]
    message: std::borrow::Cow<'a, str>,
}

impl Response {
    /// The id of the request that it answers.
    pub fn id(&self) -> &Id {
        &self.id
    }

    /// What it says; none when it says that there is no answer.
    pub fn result(&self) -> Option<&RawValue> {
        self.result.as_deref()
    }
}

/// What of a message is looked at before it is read.
#[derive(Deserialize)]
struct Glance {
    #[serde(default)]
    method: Option<IgnoredAny>,
}

/// Whether a message has no method, at a glance. What it is, [`Received::read`] says.
pub fn is_answer(message: &[u8]) -> bool {
    let text = std::str::from_utf8(message).unwrap_or_default();
    envelope::object(text).is_ok_and(|glance: Glance| glance.method.is_none())
}

/// Reads a message without a method.
pub(super) fn read(
    id: Option<Id>,
    message: &Envelope<'_>,
    stated: &Stated,
) -> Result<Message, Unread> {
    let guess = Era::guess(stated);
    // Its id is of a question: an error that names it would answer a request of the client's own.
    let invalid = |detail: &str| Unread::new(Code::Request, guess, None, detail.to_owned());
    let disagrees = |no| Unread::of(no, guess, None);
    let era = Era::of(stated, None).map_err(disagrees)?;
    if era == Era::Stateless || stated.can.is_empty() {
        let detail = "no method, and its client is asked nothing by requests";
        return Err(Unread::new(Code::Request, era, id, detail));
    }
    stated.method_is("", false).map_err(disagrees)?;
    let Some(id) = id else { return Err(invalid("neither a method nor an id")) };
    if message.params.is_some() {
        return Err(invalid("an answer with parameters"));
    }
    let is_object = |raw: &RawValue| raw.get().starts_with('{');
    let result = match (message.result, message.error) {
        (Some(result), None) if is_object(result) => Some(result.to_owned()),
        (None, Some(error)) => {
            let _is_one: Fault<'_> = envelope::object(error.get()).map_err(|error| {
                invalid(&format!("an answer by an error that is none: {error}"))
            })?;
            None
        }
        (Some(_), None) => return Err(invalid("a result that is no object")),
        (Some(_), Some(_)) => return Err(invalid("a result and an error in one")),
        (None, None) => return Err(invalid("no method, no result and no error")),
    };
    Ok(Message::Response(Response { id, result }))
}

impl Received {
    /// The same tool call, in which the run answers what its server has asked. None when the answer is that there is
    /// none: then it is the call as it was.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn answering(mut self, continues: Continues, response: Response) -> Result<Self, Refusal> {
        let result = response.result;
        if let Some(tool) = self.tool_mut() {
            tool.talk.answers(continues, result)?;
        }
        Ok(self)
    }

    /// The same tool call, made once more with what its server has asked for by a result, and what it gave to bring
    /// back.
    ///
    /// # Errors
    /// When those are no answers.
    pub fn bringing(
        mut self,
        responses: Option<Box<RawValue>>,
        state: Option<String>,
    ) -> Result<Self, Refusal> {
        if let Some(tool) = self.tool_mut() {
            tool.talk.brings(responses, state)?;
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::{Limits, STATELESS};

    fn stated(revision: Option<&str>) -> Stated {
        Stated {
            has_headers: true,
            revision: revision.map(str::to_owned),
            can: [Question::Sampling].into(),
            ..Stated::default()
        }
    }

    fn read(message: &str, stated: &Stated) -> Result<Response, Option<Option<Id>>> {
        let (bytes, limits) = (message.as_bytes(), Limits::default());
        match Received::read(bytes, &limits, stated) {
            Ok(Message::Response(response)) => Ok(response),
            Ok(other) => panic!("{message}: {other:?}"),
            Err(_) => Err(Received::reply(bytes, &limits, stated).map(|reply| reply.id)),
        }
    }

    #[test]
    fn an_answer_is_one_object_or_an_error_of_who_is_asked_by_requests() {
        let honest = stated(Some("2025-11-25"));
        for (message, is_error) in [
            (r#"{"jsonrpc":"2.0","id":"q","result":{}}"#, false),
            (r#"{"jsonrpc":"2.0","id":7,"result":{"result":1}}"#, false),
            (r#"{"jsonrpc":"2.0","id":"q","error":{"code":-1,"message":"m","data":[]}}"#, true),
        ] {
            assert_eq!(read(message, &honest).unwrap().result().is_none(), is_error, "{message}");
            // Who said that it answers nothing is answered as whoever sends what is no request.
            let silent = Stated { can: Default::default(), ..honest.clone() };
            assert!(matches!(read(message, &silent), Err(Some(Some(_)))), "{message}");
            assert!(read(message, &stated(Some(STATELESS))).is_err(), "{message}");
            assert!(read(message, &stated(Some("1999-01-01"))).is_err(), "{message}");
            let named = Stated { method: Some("tools/call".to_owned()), ..honest.clone() };
            assert!(read(message, &named).is_err(), "{message}");
            assert!(is_answer(message.as_bytes()));
        }
        // An error with this id would be an answer to the client's own request of that id.
        for message in [
            r#"{"jsonrpc":"2.0","id":"q"}"#,
            r#"{"jsonrpc":"2.0","result":{}}"#,
            r#"{"jsonrpc":"2.0","id":"q","result":[]}"#,
            r#"{"jsonrpc":"2.0","id":"q","result":null}"#,
            r#"{"jsonrpc":"2.0","id":"q","result":{},"params":{}}"#,
            r#"{"jsonrpc":"2.0","id":"q","result":{},"error":{"code":1,"message":"m"}}"#,
            r#"{"jsonrpc":"2.0","id":"q","error":{"code":1}}"#,
            r#"{"jsonrpc":"2.0","id":"q","error":{"code":1.5,"message":"m"}}"#,
            r#"{"jsonrpc":"2.0","id":"q","error":[1,"m"]}"#,
            r#"{"jsonrpc":"2.0","id":"q","result":{"a":1,"\u0061":2}}"#,
        ] {
            assert!(matches!(read(message, &honest), Err(Some(None))), "{message}");
        }
        for request in [r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, "[]", "{", ""] {
            assert!(!is_answer(request.as_bytes()), "{request}");
        }
    }
}
