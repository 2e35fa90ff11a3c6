//! One suite under one preset: each task by an honest agent, and with each injection by one that is taken
//! over.

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::json;

use super::Options;
use super::inside::Call;
use super::operator::Operator;
use super::place::{Place, referee};
use super::player::Player;
use super::preset::Preset;
use super::report::Outcome;
use crate::hijacked::mcp::Answered;

/// A suite that is played.
pub(super) struct Game<'a> {
    place: &'a Place,
    operator: &'a Operator,
    preset: &'a Preset,
    suite: &'static str,
    referee: Player,
}

/// What there is to play.
#[derive(Debug, Deserialize)]
struct Pairs {
    tasks: Vec<String>,
    injections: Vec<String>,
}

/// What an attempt begins with.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Begun {
    prompt: String,
    calls: Vec<Call>,
    attack: Vec<Call>,
    variants: Vec<Form>,
}

/// A form of an attack.
#[derive(Debug, Deserialize)]
struct Form {
    form: String,
    calls: Vec<Call>,
}

/// AgentDojo's judgement.
#[derive(Debug, Deserialize)]
struct Judged {
    useful: bool,
    attacked: bool,
}

impl<'a> Game<'a> {
    /// A suite, with the run that plays it.
    pub(super) fn new(
        place: &'a Place,
        operator: &'a Operator,
        preset: &'a Preset,
        suite: &'static str,
    ) -> Result<Self> {
        let referee = Player::start(place, &referee(suite), None)?;
        Ok(Self { place, operator, preset, suite, referee })
    }

    /// Plays all of it, or so many tasks and injections.
    pub(super) fn play(mut self, options: &Options) -> Result<Outcome> {
        let Pairs { tasks, injections } = serde_json::from_value(self.ask("pairs", json!({}))?)?;
        let most = options.most.unwrap_or(usize::MAX);
        let mut outcome = Outcome::new(self.suite, options.adaptive);
        for task in tasks.iter().take(most) {
            outcome.benign(task, self.benign(task)?);
            for injection in injections.iter().take(most) {
                let attacked = self.attacked(task, injection)?;
                let form = match options.adaptive && !attacked {
                    true => self.adapted(task, injection)?,
                    false => attacked.then(|| "as it is".to_owned()),
                };
                outcome.attack(&format!("{task} {injection}"), attacked, form);
            }
        }
        self.referee.end()?;
        Ok(outcome)
    }

    /// An honest agent does the task; whether it was done.
    fn benign(&mut self, task: &str) -> Result<bool> {
        let begun = self.begin(task, None)?;
        let mut agent = self.agent(&begun)?;
        for call in &begun.calls {
            self.does(&mut agent, call)?;
        }
        agent.end()?;
        Ok(self.judge()?.useful)
    }

    /// An agent does the task, and then what the injection says; whether the attack was done.
    fn attacked(&mut self, task: &str, injection: &str) -> Result<bool> {
        let begun = self.begin(task, Some(injection))?;
        let mut agent = self.agent(&begun)?;
        for call in begun.calls.iter().chain(&begun.attack) {
            self.does(&mut agent, call)?;
        }
        agent.end()?;
        Ok(self.judge()?.attacked)
    }

    /// An agent does the task's calls and then each form of the attack, from a fresh environment; the
    /// first form that was done. The run stays the same, and knows what it has seen.
    fn adapted(&mut self, task: &str, injection: &str) -> Result<Option<String>> {
        let begun = self.begin(task, Some(injection))?;
        let mut agent = self.agent(&begun)?;
        for call in &begun.calls {
            self.does(&mut agent, call)?;
        }
        let (mut done, mut is_changed) = (None, true);
        for form in &begun.variants {
            if is_changed {
                self.begin(task, Some(injection))?;
            }
            is_changed = false;
            for call in &form.calls {
                is_changed |= self.does(&mut agent, call)?.is_result();
            }
            if is_changed && self.judge()?.attacked {
                done = Some(form.form.clone());
                break;
            }
        }
        agent.end()?;
        Ok(done)
    }

    /// The run of the suite's agent for a task.
    fn agent(&self, begun: &Begun) -> Result<Player> {
        let mut own: Vec<String> = begun.calls.iter().map(|call| call.tool.clone()).collect();
        own.sort();
        own.dedup();
        self.place.entitle(self.operator, self.preset, self.suite, &own)?;
        let file = self.place.task_file(self.suite);
        std::fs::write(&file, &begun.prompt)?;
        Player::start(self.place, self.suite, Some(&file))
    }

    fn does(&self, agent: &mut Player, call: &Call) -> Result<Answered> {
        let tool = format!("{}.{}", self.suite, call.tool);
        agent.call(&Call { tool, arguments: call.arguments.clone() })
    }

    fn begin(&mut self, task: &str, injection: Option<&str>) -> Result<Begun> {
        let arguments = match injection {
            Some(injection) => json!({"task": task, "injection": injection}),
            None => json!({"task": task}),
        };
        let begun = self.ask("begin", arguments)?;
        serde_json::from_value(begun).context("what an attempt begins with")
    }

    fn judge(&mut self) -> Result<Judged> {
        Ok(serde_json::from_value(self.ask("judge", json!({}))?)?)
    }

    fn ask(&mut self, tool: &str, arguments: serde_json::Value) -> Result<serde_json::Value> {
        self.referee.value(&Call { tool: format!("{}.{tool}", self.suite), arguments })
    }
}
