//! What becomes of a request that is answered, and of a call that is not.

use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::super::message::{Body, Failed};
use super::super::under_way::UnderWay;
use super::{Ended, LEAVE_MAX, Session};
use crate::call::Untrusted;
use crate::executor::answer;
use crate::executor::error::Mistrust;
use crate::executor::outcome::Outcome;
use crate::gate::Era;

/// MCP 2026-07-28: the type of a result that asks for more.
const INPUT_REQUIRED: &str = "input_required";

/// MCP 2026-07-28: the client does not say that it answers what would have to be asked.
const MISSING_CAPABILITY: i64 = -32021;

/// What is read of a result.
#[derive(Deserialize)]
struct Head {
    #[serde(default, rename = "resultType")]
    result_type: Option<String>,
}

/// Whether a result asks for more, as one does without a handshake. With one it would pass by the questions that its
/// server's file allows.
fn asks(result: &RawValue) -> bool {
    let head = serde_json::from_str(result.get());
    head.is_ok_and(|head: Head| head.result_type.as_deref() == Some(INPUT_REQUIRED))
}

impl Session<'_> {
    /// An answer to one of our numbers: of a list, of a call, or to nobody.
    pub(super) fn answered(&mut self, id: u64, body: Body) -> Result<(), Ended> {
        // Whatever was asked by it, the session is over: what follows would be said in none.
        if matches!(body, Body::Failed(Failed::Forgotten)) {
            let has_served = self.has_served;
            self.leaves
                .get_or_insert((Instant::now() + LEAVE_MAX, Ended::Forgotten { has_served }));
        }
        if let Some(listing) = self.listing.take_if(|listing| listing.id == id) {
            return self.listed(listing, &body);
        }
        if let Some(reading) = self.reading.take_if(|reading| reading.id == id) {
            self.listed_besides(reading, &body);
            return Ok(());
        }
        let Some(body) = self.subscribed.answered(id, body) else {
            self.unasked = 0;
            return Ok(());
        };
        let Some(mut call) = self.under_way.answered(id) else {
            if self.under_way.is_late(id) {
                self.late_until = None;
                return Ok(());
            }
            // Answered before, or never asked.
            return self.count_unasked();
        };
        // Before any other call: it is over, and nobody is asked for it any more.
        self.unanswered(call.open());
        self.unasked = 0;
        let body = match body {
            Body::Failed(failed) => {
                self.failed(call, failed);
                return Ok(());
            }
            body => body,
        };
        self.has_served = true;
        let outcome = match (call.is_unsealed(), body) {
            // It is done; what came of it stays here.
            (Err(mistrust), _) => Outcome::Unknown(format!("answered, but: {mistrust}")),
            (Ok(()), Body::Result(result))
                if self.bounds.era == Era::Handshake
                    && call.is_asked_by_request()
                    && asks(&result) =>
            {
                Outcome::Unknown(format!("the server {} asked by its result", self.name))
            }
            (Ok(()), Body::Result(result)) => Outcome::Answered(result),
            // A model can do nothing about what its client does not answer.
            (Ok(()), Body::Error { code, message, missing })
                if !call.is_tool() || code == MISSING_CAPABILITY =>
            {
                Outcome::Erred { code, message, missing }
            }
            (Ok(()), Body::Error { code, message, missing: _ }) => {
                let message = Untrusted::new(message);
                answer::failed(&format!("the server answered with error {code}: {message}"))
            }
            (Ok(()), Body::Broken(what)) => {
                Outcome::Unknown(format!("the server {} answered with {what}", self.name))
            }
            (Ok(()), Body::Failed(failed)) => Outcome::Unknown(failed.to_string()),
        };
        call.give(outcome);
        Ok(())
    }

    /// A call has no answer.
    fn failed(&mut self, call: UnderWay, failed: Failed) {
        match failed {
            Failed::Unanswered(why) => {
                self.under_way.ended_unheard();
                call.give(Outcome::Unknown(format!("the server {}: {why}", self.name)));
            }
            Failed::Unsent(mistrust) => call.into_call().not_done(mistrust),
            Failed::Unheard(why) => {
                let server = self.name.to_owned();
                let away = Mistrust::ServerAway { server, why: why.clone() };
                call.into_call().not_done(away);
                // What it has heard of before, it may still answer.
                let until = Instant::now() + self.bounds.call_timeout;
                self.leaves.get_or_insert((until, Ended::Unreachable(why)));
            }
            Failed::Forgotten => {
                let mut call = call.into_call();
                if call.is_again {
                    let why = format!("the server {} ended the session again", self.name);
                    return call.reply.give(Outcome::Unknown(why));
                }
                call.is_again = true;
                self.forgotten.push(call);
            }
        }
    }
}
