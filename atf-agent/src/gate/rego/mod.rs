//! The policy's rules, ready to be asked.
//!
//! The library has two ways to evaluate them. Its interpreter, strict, is what counts: an error is an error,
//! and denies. Its register machine is eight times as quick, and differs: an error inside a rule is
//! "undefined" for it, so that `not` of that rule is true and the call goes through, and so is `x := y` of
//! an undefined `y` no end of a rule. The rules that ATF ships are therefore served on the machine, since the
//! tests compare both on them over many thousands of inputs, with functions whose errors end the evaluation
//! (`guarded`), and once more over the data at hand when they are loaded (`probes`). All other rules are
//! interpreted, and `atf policy check` says so.

mod guarded;
mod machine;
mod part;
mod probes;
mod remembered;
#[cfg(test)]
mod tests;
mod value;

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{Engine, Value};
use serde::Serialize;

use machine::Machine;
use part::Part;
use remembered::{Remembered, Told};

/// The rule that is asked.
pub(super) const ENTRYPOINT: &str = "data.atf.gate.decision";

/// The rules that ATF ships.
const SHIPPED: &str = include_str!("../../../../policies/atf/gate.rego");

/// Longest evaluation. The shipped policy takes some tens of microseconds; the rest is for the time
/// that the scheduler may take the thread away, during which this clock runs on.
const EVALUATION_MAX: Duration = Duration::from_millis(50);

/// Steps between two looks at the clock.
const CHECK_INTERVAL: NonZeroU32 = NonZeroU32::new(64).expect("not zero");

/// How often a test of a policy may fail by an error before it has failed.
const HELD_TRIES: u32 = 20;

/// Engines, or machines, that are kept for the next decision.
const POOL_MAX: usize = 16;

/// Rules with their data.
pub(super) struct Rules {
    interpreted: Interpreted,
    /// Or why the interpreter serves.
    machine: Result<Machine, String>,
    /// Of the machine, since it is not known what other rules read.
    remembered: Mutex<Remembered>,
}

/// Rules for the interpreter.
struct Interpreted {
    /// Never asked itself: what an evaluation leaves in an engine stays in its clone.
    template: Mutex<Engine>,
    idle: Mutex<Vec<Engine>>,
}

impl Rules {
    /// Compiles `modules`, each a name and a source, over `data`, JSON.
    pub(super) fn compile(modules: &[(String, String)], data: &str) -> Result<Self, String> {
        let mut engine = engine(modules, data)?;
        // Compiles the modules, and fails when the rule is not there.
        let compiled = engine
            .compile_with_entrypoint(&ENTRYPOINT.into())
            .map_err(|error| why_not_served(&error.to_string()))?;
        let machine = if is_shipped(modules) {
            Machine::of_shipped(&compiled, data).and_then(|machine| {
                probes::same(&mut engine.clone(), &machine, data).map(|()| machine)
            })
        } else {
            Err("these are not word for word the rules that ATF ships".to_owned())
        };
        let interpreted = Interpreted { template: Mutex::new(engine), idle: Mutex::default() };
        Ok(Self { interpreted, machine, remembered: Mutex::default() })
    }

    /// What the rules say of `input`, JSON. An error is a denial, once it has come twice: the first may
    /// be of a busy host, which took the thread away for longer than [`EVALUATION_MAX`], and a run is
    /// sealed for its denials. What is wrong with rules or input is wrong again.
    pub(super) fn eval(&self, input: &str) -> Result<Value, String> {
        let input = self.read().of_text(input).map_err(|error| error.to_string())?;
        self.decide(input)
    }

    /// The same of `input` that is not read from its text: of the facts themselves.
    pub(super) fn eval_facts(&self, input: &impl Serialize) -> Result<Value, String> {
        let read = self.read();
        let value = value::value_of(input, read).map_err(|error| error.to_string())?;
        debug_assert_eq!(
            serde_json::to_string(input).and_then(|text| read.of_text(&text)).ok(),
            Some(value.clone())
        );
        self.decide(value)
    }

    /// What is read of an input.
    fn read(&self) -> &Part {
        self.machine.as_ref().map_or(&Part::Whole, |machine| &machine.reads)
    }

    fn decide(&self, input: Value) -> Result<Value, String> {
        let Ok(machine) = &self.machine else {
            let once = |input| self.interpreted.eval(input);
            return once(input.clone()).or_else(|_first| once(input));
        };
        let told = Told::of(&input);
        if let Some(said) = told.as_ref().and_then(|told| locked(&self.remembered).said(told)) {
            return Ok(said);
        }
        let said = machine.eval(input.clone()).or_else(|_first| machine.eval(input))?;
        if let Some(told) = told {
            locked(&self.remembered).keep(told, said.clone());
        }
        Ok(said)
    }

    /// Forgets what was said, so that all is asked anew.
    pub(super) fn forget(&self) {
        *locked(&self.remembered) = Remembered::default();
    }

    /// Why the rules are interpreted, which takes longer; `None` when the register machine serves them.
    pub(super) fn why_interpreted(&self) -> Option<&str> {
        self.machine.as_ref().err().map(String::as_str)
    }
}

/// Why rules cannot be served. The library calls a rule that is not there a path that is not valid.
fn why_not_served(error: &str) -> String {
    match error.contains("not a valid rule path") {
        true => format!("no module has the rule {ENTRYPOINT}, which is asked"),
        false => error.to_owned(),
    }
}

impl Interpreted {
    fn eval(&self, input: Value) -> Result<Value, String> {
        let idle = locked(&self.idle).pop();
        let mut engine = idle.unwrap_or_else(|| locked(&self.template).clone());
        engine.set_input(input);
        // On an error the engine is dropped: what the error left in it is nobody's business.
        let value = engine.eval_rule(ENTRYPOINT.to_owned()).map_err(|error| error.to_string())?;
        engine.set_input(Value::Undefined);
        keep(&self.idle, engine);
        Ok(value)
    }
}

/// Whether these are the rules that ATF ships, and nothing else.
fn is_shipped(modules: &[(String, String)]) -> bool {
    matches!(modules, [(_, source)] if source == SHIPPED)
}

/// Keeps what has evaluated for the next decision.
fn keep<T>(idle: &Mutex<Vec<T>>, whole: T) {
    let mut idle = locked(idle);
    if idle.len() < POOL_MAX {
        idle.push(whole);
    }
}

/// How long an evaluation may take.
fn time_limit() -> ExecutionTimerConfig {
    ExecutionTimerConfig { limit: EVALUATION_MAX, check_interval: CHECK_INTERVAL }
}

/// An interpreter of `modules`, each a name and a source, over `data`, JSON: strict, and bounded in time.
pub(super) fn engine(modules: &[(String, String)], data: &str) -> Result<Engine, String> {
    let mut engine = Engine::new();
    engine.set_strict_builtin_errors(true);
    engine.set_execution_timer_config(time_limit());
    for (name, source) in modules {
        engine.add_policy(name.clone(), source.clone()).map_err(|error| error.to_string())?;
    }
    engine.add_data_json(data).map_err(|error| error.to_string())?;
    Ok(engine)
}

/// The parts of a module's package: `atf` and `gate` of `package atf.gate`.
pub(super) fn package(source: &str) -> Result<Vec<String>, String> {
    let mut engine = Engine::new();
    let name = "module.rego".to_owned();
    engine.add_policy(name, source.to_owned()).map_err(|error| error.to_string())?;
    let found = engine.get_policy_package_components().map_err(|error| error.to_string())?;
    match found.into_iter().next() {
        Some(package) => Ok(package.components),
        None => Err("it has no package".to_owned()),
    }
}

/// The built-in functions that the engine has, with the number of their arguments.
#[cfg(test)]
pub(super) fn functions() -> Vec<(&'static str, u8)> {
    let mut all: Vec<_> =
        regorus::unstable::BUILTINS.iter().map(|(name, (_, arity))| (*name, *arity)).collect();
    all.sort_unstable();
    all
}

/// Whether the engine has this function.
pub(super) fn has_function(name: &str) -> bool {
    regorus::unstable::BUILTINS.contains_key(name)
}

/// Evaluates each of `rules`, a full path as `data.atf.gate_test.test_x`, as it is served: `Ok` when it
/// is true, else what it is; and which lines that took. As when it is served, an error counts when it has
/// come twice.
pub(super) fn hold(
    modules: &[(String, String)],
    data: &str,
    rules: &[String],
) -> Result<Ran, String> {
    let mut engine = engine(modules, data)?;
    engine.set_enable_coverage(true);
    // As with what is served: one evaluation that took too long may be of a busy host.
    let mut eval = |rule: &String| {
        let mut tried = engine.eval_rule(rule.clone());
        for _ in 1..HELD_TRIES {
            tried = tried.or_else(|_| engine.eval_rule(rule.clone()));
        }
        tried
    };
    let held = rules
        .iter()
        .map(|rule| match eval(rule) {
            Ok(Value::Bool(true)) => Ok(()),
            Ok(Value::Undefined) => Err("undefined".to_owned()),
            Ok(value) => Err(value.to_string()),
            Err(error) => Err(error.to_string()),
        })
        .collect();
    let report = engine.get_coverage_report().map_err(|error| error.to_string())?;
    let lines = report.files.into_iter().map(|file| Lines {
        file: file.path,
        evaluated: file.covered,
        not: file.not_covered,
    });
    Ok(Ran { held, lines: lines.collect() })
}

/// What became of tests.
pub(super) struct Ran {
    /// Each, in the order in which they were named: what it is instead of true.
    pub(super) held: Vec<Result<(), String>>,
    /// What they evaluated of each module.
    pub(super) lines: Vec<Lines>,
}

/// The lines of a module that have something to evaluate, from 1.
pub(super) struct Lines {
    /// The module.
    pub(super) file: String,
    /// Those that were evaluated.
    pub(super) evaluated: BTreeSet<u32>,
    /// Those that never were.
    pub(super) not: BTreeSet<u32>,
}

/// What `rule`, a full path, comes to for `input`, JSON: as it is served.
pub(super) fn value(
    modules: &[(String, String)],
    data: &str,
    input: &str,
    rule: &str,
) -> Result<Value, String> {
    let mut engine = engine(modules, data)?;
    engine.set_input(Value::from_json_str(input).map_err(|error| error.to_string())?);
    let tried = engine.eval_rule(rule.to_owned());
    tried.or_else(|_busy| engine.eval_rule(rule.to_owned())).map_err(|error| error.to_string())
}

/// Engines are whole after a panic elsewhere: they are changed by nobody who holds the lock.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
