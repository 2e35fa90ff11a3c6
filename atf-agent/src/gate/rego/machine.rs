//! Rules on the library's register machine.

use std::sync::{Arc, Mutex};

use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::program::RuleInfo;
use regorus::rvm::{Program, RegoVM};
use regorus::{CompiledPolicy, Value};

use super::part::Part;
use super::{ENTRYPOINT, guarded, keep, locked, time_limit};

/// Most instructions of one evaluation: far more than fit into the time that it may take.
const INSTRUCTIONS_MAX: usize = 10_000_000;

/// A program with its data.
pub(super) struct Machine {
    pub(super) program: Arc<Program>,
    /// What of an input has to be told.
    pub(super) reads: Part,
    data: Value,
    idle: Mutex<Vec<RegoVM>>,
}

impl Machine {
    /// The program of `compiled` over `data`, JSON; or why there is none that can be served.
    pub(super) fn of(compiled: &CompiledPolicy, data: &str) -> Result<Self, String> {
        let program = Compiler::compile_from_policy(compiled, &[ENTRYPOINT]);
        let mut program = Arc::unwrap_or_clone(program.map_err(|error| error.to_string())?);
        // What is called is looked up by its place in the table, and by nothing else.
        program.resolved_builtins = program
            .builtin_info_table
            .iter()
            .map(|function| guarded::guarded(&function.name).ok_or(&function.name))
            .collect::<Result<_, _>>()
            .map_err(|name| format!("there is no function {name}"))?;
        program.rule_infos.iter_mut().for_each(lighten);
        let data = Value::from_json_str(data).map_err(|error| error.to_string())?;
        let program = Arc::new(program);
        let machine = Self { program, reads: Part::Whole, data, idle: Mutex::default() };
        keep(&machine.idle, machine.made()?);
        Ok(machine)
    }

    /// The same of the rules that ATF ships, of which it is known what they read.
    pub(super) fn of_shipped(compiled: &CompiledPolicy, data: &str) -> Result<Self, String> {
        let machine = Self::of(compiled, data)?;
        let reads = Part::of_shipped(&machine.data);
        Ok(Self { reads, ..machine })
    }

    /// What the rules say of `input`, of which they may be told no more than `reads`.
    pub(super) fn eval(&self, input: Value) -> Result<Value, String> {
        let idle = locked(&self.idle).pop();
        let mut vm = idle.map_or_else(|| self.made(), Ok)?;
        vm.set_input(input);
        // On an error the machine is dropped: what the error left in it is nobody's business.
        let value = vm.execute().map_err(|error| {
            let words = guarded::failure();
            words.unwrap_or_else(|| error.to_string())
        })?;
        vm.set_input(Value::Undefined);
        keep(&self.idle, vm);
        Ok(value)
    }

    fn made(&self) -> Result<RegoVM, String> {
        let mut vm = RegoVM::new();
        vm.load_program(Arc::clone(&self.program));
        vm.set_data(self.data.clone()).map_err(|error| error.to_string())?;
        vm.set_execution_timer_config(Some(time_limit()));
        vm.set_max_instructions(INSTRUCTIONS_MAX);
        Ok(vm)
    }
}

/// Empties of a rule's record what says nothing. The machine makes a copy of the whole record each time that the
/// rule is asked, and of an empty list and of a name without letters the copy is no allocation.
fn lighten(rule: &mut RuleInfo) {
    // Names are for listings.
    rule.name = String::new();
    if let Some(function) = &mut rule.function_info {
        function.param_names = Vec::new();
    }
    // Where the list ends, the machine reads "none" and "no".
    if rule.destructuring_blocks.iter().all(Option::is_none) {
        rule.destructuring_blocks = Vec::new();
    }
    if rule.else_bodies.iter().flatten().all(|is_else| !is_else) {
        rule.else_bodies = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use regorus::rvm::program::RuleType;
    use regorus::utils::limits::ExecutionTimerConfig;
    use serde_json::json;

    use super::super::{SHIPPED, engine, probes};
    use super::*;

    fn of(module: &str) -> (Machine, regorus::Engine) {
        let mut engine = engine(&[("p.rego".to_owned(), module.to_owned())], "{}").unwrap();
        let limit = std::time::Duration::from_secs(2);
        engine.set_execution_timer_config(ExecutionTimerConfig { limit, ..time_limit() });
        let compiled = engine.compile_with_entrypoint(&ENTRYPOINT.into()).unwrap();
        (Machine::of(&compiled, "{}").unwrap(), engine)
    }

    #[test]
    fn of_a_shipped_rule_nothing_is_copied_that_nobody_reads() {
        for rule in &of(SHIPPED).0.program.rule_infos {
            assert_eq!(rule.name, "");
            let has_else = rule.else_bodies.iter().flatten().any(|is_else| *is_else);
            assert!(has_else || rule.else_bodies.is_empty());
            match &rule.function_info {
                // What binds the arguments.
                Some(function) => assert!(function.param_names.is_empty()),
                None => assert!(rule.destructuring_blocks.is_empty()),
            }
        }
    }

    #[test]
    fn what_says_something_of_a_rule_stays() {
        let (machine, mut interpreter) = of("package atf.gate\ndecision := {\"is\": f(input.x)}\n\
             f([a, 1]) := a\nf([_, 2]) := \"two\"\nf({\"of\": a}) := a if a > 5\nelse := 5");
        for x in [
            json!([7, 1]),
            json!([7, 2]),
            json!([7, 3]),
            json!({"of": 5}),
            json!({"of": 6}),
            json!(1),
        ] {
            let input = json!({ "x": x });
            assert_eq!(probes::say_the_same(&mut interpreter, &machine, &input), Ok(()), "{x}");
        }
        let told = Value::from_json_str(r#"{"x": [7, 2]}"#).unwrap();
        assert_eq!(machine.eval(told).unwrap()["is"], Value::from("two"));

        let definitions = Arc::new(vec![vec![0, 1]]);
        let mut rule = RuleInfo::new("p".to_owned(), RuleType::PartialSet, definitions, 0, 1);
        rule.else_bodies = vec![vec![false, true]];
        lighten(&mut rule);
        assert_eq!(rule.else_bodies, [[false, true]]);
    }
}
