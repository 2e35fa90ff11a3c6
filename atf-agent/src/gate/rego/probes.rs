//! What both ways of evaluation are asked when rules are loaded: calls of the tools and servers that the data
//! names, as they should be and with something wrong.

use std::time::Duration;

use regorus::Engine;
use regorus::utils::limits::ExecutionTimerConfig;
use serde_json::{Value as Json, json};

use super::machine::Machine;
use super::part::Part;
use super::{ENTRYPOINT, time_limit};

/// Longest evaluation by the interpreter: what it says counts here, not how long a busy host lets it take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Most tools and servers that are asked about, of each: a change of policy must not wait for long.
const OF_EACH: usize = 16;

/// Whether `machine` says what the interpreter says of every probe; else, of which not.
pub(super) fn same(interpreter: &mut Engine, machine: &Machine, data: &str) -> Result<(), String> {
    let data: Json = serde_json::from_str(data).map_err(|error| error.to_string())?;
    let limit = ExecutionTimerConfig { limit: PATIENCE, ..time_limit() };
    interpreter.set_execution_timer_config(limit);
    probes(&data).iter().try_for_each(|probe| say_the_same(interpreter, machine, probe))
}

/// Whether both say the same of `input`. An error of the machine is a denial, and so never too much.
pub(super) fn say_the_same(
    interpreter: &mut Engine,
    machine: &Machine,
    input: &Json,
) -> Result<(), String> {
    let text = input.to_string();
    let part = |part: &Part| part.of_text(&text).map_err(|error| error.to_string());
    interpreter.set_input(part(&Part::Whole)?);
    let expected = interpreter.eval_rule(ENTRYPOINT.to_owned());
    match (expected, machine.eval(part(&machine.reads)?)) {
        (_, Err(_)) => Ok(()),
        (Ok(expected), Ok(found)) if expected == found => Ok(()),
        (expected, Ok(found)) => {
            let expected = expected.map_or_else(|error| error.to_string(), |said| said.to_string());
            Err(format!("of {input} the register machine says {found}, the interpreter {expected}"))
        }
    }
}

fn probes(data: &Json) -> Vec<Json> {
    let mut probes = vec![json!({}), Json::Null, json!({"call": [], "identity": 5, "sql": "x"})];
    let names = |of: &str| -> Vec<String> {
        let object = data[of].as_object();
        object.map(|named| named.keys().take(OF_EACH).cloned().collect()).unwrap_or_default()
    };
    let cap = &data["limits"]["per_call_cents"];
    for tool in names("tools") {
        let amount = data["tools"][&tool]["amount"].as_str().unwrap_or("amount").to_owned();
        let call = |value: &Json| {
            let server = tool.split('.').next();
            let mut call = json!({
                "method": "tools/call", "server": server, "tool": tool, "sink": true, "answers": null,
            });
            call["arguments"] = json!({"sql": "SELECT 1"});
            call["arguments"][&amount] = value.clone();
            call
        };
        for value in [json!(0), json!(-1), json!(1.5), json!("5"), Json::Null, cap.clone()] {
            probes.extend(wrong(&input(call(&value))));
        }
    }
    for server in names("servers") {
        let methods = data["servers"][&server]["methods"].as_array().cloned().unwrap_or_default();
        for method in methods.into_iter().take(OF_EACH) {
            let target = format!("{server}+x:///");
            probes.extend(wrong(&input(json!({
                "method": method, "server": server, "target": target, "arguments": {}, "sink": true,
            }))));
        }
    }
    probes
}

/// All that a policy is told, with this call.
fn input(call: Json) -> Json {
    let value = json!({"argument": "sql", "pointer": "/sql", "origin": "trusted"});
    json!({
        "caller": {"run": "0", "cgroup": 1},
        "identity": {
            "agent": "a", "user": "u", "task": "t", "prompts": [], "resources": [], "prompt": "00",
            "tools": [call["tool"]],
        },
        "call": call,
        "sql": {"sql": {"class": "select", "tables": [], "columns": [], "functions": [], "rows": 1}},
        "provenance": {"values": [value], "secret_read": false},
        "counters": {"calls": 0, "refusals": 0, "spent_cents": 0},
        "prompt": "00",
        "time": {"now_ns": 1},
    })
}

/// `input`, and the same with one thing wrong each.
fn wrong(input: &Json) -> Vec<Json> {
    let changes: [(&str, Json); 8] = [
        ("/identity/tools", json!([])),
        ("/identity/tools", Json::Null),
        ("/prompt", json!("01")),
        ("/prompt", Json::Null),
        ("/sql", json!({"sql": {"class": "delete"}})),
        ("/provenance/values/0/origin", json!("nowhere")),
        ("/provenance/secret_read", json!(true)),
        ("/call/arguments", json!([])),
    ];
    let changed = changes.into_iter().map(|(place, value)| {
        let mut changed = input.clone();
        if let Some(member) = changed.pointer_mut(place) {
            *member = value;
        }
        changed
    });
    std::iter::once(input.clone()).chain(changed).collect()
}
