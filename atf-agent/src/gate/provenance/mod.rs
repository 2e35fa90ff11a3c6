//! Where the values of a call come from: the task or the prompt, the result of a trusted tool, that of an
//! untrusted one, or nowhere. What cannot be told is from nowhere.

mod asked;
mod days;
mod fields;
mod known;
mod links;
mod named;
mod number;
mod place;
mod results;
mod sequence;
mod settings;
mod texts;
mod value;
mod words;

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod bounds;
#[cfg(test)]
mod parts;

use std::fmt;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::act::{Act, Checked};
use super::json;
use super::pins::Pin;
use super::statement::SqlChecked;
pub(super) use asked::{Asked, Sensitive};
pub use known::Known;
pub use named::{name, task_says};
pub use results::{Results, Trust};
pub(super) use settings::Settings;

/// Most values of one call that are looked for; a call with more has one more, from nowhere.
const VALUES_MAX: usize = 64;

/// Where a value comes from: the first of these that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The run's task or prompt names it.
    Named,
    /// A result of a trusted tool showed it to the run.
    Trusted,
    /// A result of an untrusted tool did, and no other.
    Untrusted,
    /// The run made it up, or it is not known any more.
    Nowhere,
}

/// One string or number of a marked argument, or a part of it that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Sourced {
    /// The argument that it is of.
    argument: String,
    /// Where it stands among the arguments (RFC 6901).
    at: String,
    origin: Origin,
}

/// A call of which it is known where its values come from. Only [`trace`] makes one.
#[derive(Debug)]
pub struct Traced {
    checked: Checked,
    values: Vec<Sourced>,
    secret_read: bool,
}

/// Finds where the strings and numbers of the arguments that the pin marks come from. What has no pin
/// has none that are marked.
pub fn trace(checked: impl Into<Checked>, known: &Known) -> Traced {
    let checked = checked.into();
    let values = match &checked {
        Checked::Tool(checked) => sourced(checked, known),
        Checked::Ask(_) => Vec::new(),
    };
    Traced { values, secret_read: known.secret_read(), checked }
}

fn sourced(checked: &SqlChecked, known: &Known) -> Vec<Sourced> {
    let mut values = Vec::new();
    let call = checked.call();
    for Sensitive { argument, asked } in call.pin().sensitive() {
        let Some(found) = call.arguments().get(argument) else {
            continue;
        };
        let at = format!("/{}", argument.replace('~', "~0").replace('/', "~1"));
        value::leaves(&at, found, &mut |at, value| {
            asked.origins(value, known, &mut |origin| {
                let room = values.len() < VALUES_MAX;
                let origin = if room { origin } else { Origin::Nowhere };
                values.push(Sourced { argument: argument.clone(), at: at.to_owned(), origin });
                room
            })
        });
    }
    values
}

impl Known {
    /// The act is about to be done.
    pub fn does(&mut self, act: &Act) {
        let results = results(act);
        // What the run answers a server it brings in too.
        if let Some(answers) = act.talk().responses() {
            match json::value(answers.get()) {
                Ok(answers) => self.says(&answers),
                Err(_) => self.overlooks(),
            }
        }
        match act {
            Act::Tool(call) => self.acts(results, call.arguments()),
            // What the call brought in was noted when it was made; its name is nobody's words.
            Act::Ask(asked) if asked.pin().is_some() => self.acts(results, &Value::Null),
            Act::Ask(asked) => {
                let target = Value::String(asked.ask().target().as_str().to_owned());
                self.acts(results, &target);
                // What is not read here brings in anything.
                match json::value(asked.ask().arguments().get()) {
                    Ok(arguments) => self.says(&arguments),
                    Err(_) => self.overlooks(),
                }
            }
        }
    }

    /// The run is given what came of the act.
    pub fn is_given(&mut self, act: &Act, result: &RawValue) {
        self.learns(results(act), result);
    }
}

/// What the results of an act are taken for: a tool's are what its pin says; nobody has said what others
/// are, so that they vouch for nothing and may be a secret.
fn results(act: &Act) -> &Results {
    match act {
        Act::Tool(call) => call.pin().results(),
        Act::Ask(asked) => asked.pin().map_or(&results::UNKNOWN, Pin::results),
    }
}

impl Traced {
    pub(super) fn checked(&self) -> &Checked {
        &self.checked
    }

    pub(super) fn values(&self) -> &[Sourced] {
        &self.values
    }

    pub(super) fn secret_read(&self) -> bool {
        self.secret_read
    }

    pub(super) fn into_act(self) -> Act {
        self.checked.into_act()
    }
}

/// For the log: where the values come from that are not named, and whether a secret was read.
impl fmt::Display for Traced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for value in self.values.iter().filter(|value| value.origin != Origin::Named) {
            let origin = match value.origin {
                Origin::Named => "the task",
                Origin::Trusted => "a trusted result",
                Origin::Untrusted => "an untrusted result",
                Origin::Nowhere => "nowhere",
            };
            write!(f, "; {} is from {origin}", value.at)?;
        }
        match self.secret_read {
            true => f.write_str("; the run may have read a secret"),
            false => Ok(()),
        }
    }
}
