//! Rules on the library's register machine.

use std::sync::{Arc, Mutex};

use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::{Program, RegoVM};
use regorus::{CompiledPolicy, Value};

use super::{ENTRYPOINT, guarded, keep, locked, time_limit};

/// Most instructions of one evaluation: far more than fit into the time that it may take.
const INSTRUCTIONS_MAX: usize = 10_000_000;

/// A program with its data.
pub(super) struct Machine {
    pub(super) program: Arc<Program>,
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
        let data = Value::from_json_str(data).map_err(|error| error.to_string())?;
        let machine = Self { program: Arc::new(program), data, idle: Mutex::default() };
        keep(&machine.idle, machine.made()?);
        Ok(machine)
    }

    /// What the rules say of `input`.
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
