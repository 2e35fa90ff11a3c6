//! What a server asks while it works on a call, and what it is answered. A question is known to be of a call by the
//! stream on which it comes, or because the server makes no other at that time; else it is of none, and nobody is asked.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::super::call::Call;
use super::super::message::Asks;
use super::super::orders::Answering;
use super::super::request;
use super::super::saying::{Saying, What};
use super::Session;
use crate::executor::answer;
use crate::executor::error::Mistrust;
use crate::gate::Era;

/// The members of what a run answers: of each question one.
type Responses<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

impl Session<'_> {
    /// The server asks something for the call `of`, when it is known for which. Whoever is not asked is not
    /// waited for: the server is told no. True when a run is asked.
    pub(super) fn asked(&mut self, of: Option<u64>, id: &RawValue, asks: Asks) -> bool {
        let is_ping = matches!(asks, Asks::Ping);
        if let (Era::Handshake, Some(of), Asks::Run(question, params)) = (self.bounds.era, of, asks)
        {
            let number = self.number();
            if self.under_way.asks(of, number, (id.to_owned(), question, params)) {
                return true;
            }
        }
        self.say(What::Told, request::answer_of(id, is_ping));
        false
    }

    /// Nobody answers what the server has asked by these ids of its own.
    pub(super) fn unanswered(&self, open: impl IntoIterator<Item = Box<RawValue>>) {
        for id in open {
            self.say(What::Told, request::unanswered(&id));
        }
    }

    /// Something is said to a question of the server.
    pub(super) fn answer(&mut self, answering: Answering) {
        match answering {
            Answering::Nothing { decision, question } => {
                if let Some(id) = self.under_way.unanswered(decision, question) {
                    self.say(What::Told, request::unanswered(&id));
                }
            }
            Answering::Answer(answer) => {
                let line = self
                    .is_approved(&answer)
                    .and_then(|()| (answer.unexpired)())
                    .and_then(|()| (answer.unsealed)())
                    .and_then(|()| self.line_of(&answer));
                self.give(*answer, line);
            }
        }
    }

    /// What the server hears of an answer. Its question is open no more.
    fn line_of(&mut self, answer: &Call) -> Result<String, Mistrust> {
        let none = || Mistrust::NoQuestion { server: self.name.to_owned() };
        let responses = answer.answers.as_ref().and_then(|answers| answers.responses.as_deref());
        let responses: Responses<'_> = responses
            .and_then(|responses| serde_json::from_str(responses.get()).ok())
            .ok_or_else(none)?;
        let mut all = responses.iter();
        let (Some((name, result)), None) = (all.next(), all.next()) else { return Err(none()) };
        let number = name.parse().ok().filter(|number: &u64| number.to_string() == **name);
        let id = self.under_way.answers(number.ok_or_else(none)?, answer).ok_or_else(none)?;
        Ok(request::answered(&id, result))
    }

    fn give(&self, answer: Call, line: Result<String, Mistrust>) {
        let line = match line {
            Ok(line) => line,
            Err(mistrust) => return answer.not_done(mistrust),
        };
        // The server may have gone meanwhile, and the run may be sealed until there is a connection.
        let saying = Saying { stands: Some(answer.stands()), ..self.saying(What::Told, line) };
        if self.unread.try_send(saying).is_err() {
            return answer.not_done(Mistrust::ServerBusy { server: self.name.to_owned() });
        }
        answer.reply.give(answer::given());
    }
}
