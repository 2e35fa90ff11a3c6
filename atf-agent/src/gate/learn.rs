//! What agents need of the tools in mode `learn`, by the calls that were made: proposals for a manifest, its
//! narrowing and a pin's SQL. Each is less than what holds now, so that to take one over never allows anything.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::hearing::Hearing;
use super::pins::{Pin, Pins};
use super::policy::Policy;
use super::sql::SqlProfile;
use crate::call::{AgentName, ToolName};

/// What is proposed.
#[derive(Debug, Default)]
pub struct Learnt {
    /// By agent and tool, a fragment for the agent's manifest.
    pub agents: BTreeMap<AgentName, BTreeMap<ToolName, Value>>,
    /// By tool and argument, what its `x-atf-sql` has to allow.
    pub sql: BTreeMap<ToolName, BTreeMap<String, SqlProfile>>,
    /// By tool, the calls that this was learnt from.
    pub calls: BTreeMap<ToolName, u64>,
}

/// The part of what the policy was told that is learnt from.
#[derive(Deserialize)]
struct Told {
    identity: Identity,
    call: Call,
    #[serde(default)]
    sql: BTreeMap<String, Statement>,
}

#[derive(Deserialize)]
struct Identity {
    agent: AgentName,
}

#[derive(Deserialize)]
struct Call {
    tool: Option<ToolName>,
    arguments: Value,
}

/// A statement that passed the rules.
#[derive(Deserialize)]
struct Statement {
    class: String,
    tables: BTreeSet<String>,
    columns: BTreeSet<String>,
    functions: BTreeSet<String>,
    offset: Option<u64>,
    rows: Option<u64>,
}

/// Learns from what was `heard` of calls that were allowed; the others teach nothing.
pub fn learn<'a>(policy: &Policy, pins: &Pins, heard: impl Iterator<Item = &'a Hearing>) -> Learnt {
    let learning: BTreeSet<ToolName> = policy.learning().into_iter().collect();
    let mut seen: BTreeMap<(AgentName, ToolName), (u64, BTreeMap<String, Bound>)> = BTreeMap::new();
    let mut sql: BTreeMap<(ToolName, String), Vec<Statement>> = BTreeMap::new();
    let mut learnt = Learnt::default();
    for hearing in heard.filter(|hearing| hearing.answer().allow) {
        let Ok(told) = serde_json::from_str::<Told>(hearing.told()) else { continue };
        let Some(tool) = told.call.tool.filter(|tool| learning.contains(tool)) else { continue };
        if pins.get(&tool).is_none() {
            continue;
        }
        *learnt.calls.entry(tool.clone()).or_default() += 1;
        let (calls, bounds) = seen.entry((told.identity.agent, tool.clone())).or_default();
        *calls += 1;
        for (name, value) in told.call.arguments.as_object().into_iter().flatten() {
            bounds.entry(name.clone()).or_default().widen(value);
        }
        for (argument, statement) in told.sql {
            sql.entry((tool.clone(), argument)).or_default().push(statement);
        }
    }
    for ((agent, tool), (calls, bounds)) in seen {
        learnt.agents.entry(agent).or_default().insert(tool, fragment(calls, bounds));
    }
    for ((tool, argument), statements) in sql {
        let profile = pins.get(&tool).and_then(|pin| needed(pin, &argument, &statements));
        if let Some(profile) = profile {
            learnt.sql.entry(tool).or_default().insert(argument, profile);
        }
    }
    learnt
}

/// The least bounds, on round numbers, that all values of an argument are within. No value is kept.
#[derive(Default)]
struct Bound {
    /// In how many calls it was.
    calls: u64,
    length: Option<u64>,
    items: Option<u64>,
    number: Option<u64>,
    /// There was a value that these do not bound.
    open: bool,
}

impl Bound {
    fn widen(&mut self, value: &Value) {
        let most =
            |known: &mut Option<u64>, found: u64| *known = Some(found.max(known.unwrap_or(0)));
        self.calls += 1;
        match value {
            Value::String(text) => most(&mut self.length, text.chars().count() as u64),
            Value::Array(items) => most(&mut self.items, items.len() as u64),
            Value::Number(number) => match number.as_u64() {
                Some(number) => most(&mut self.number, number),
                None => self.open = true,
            },
            Value::Null | Value::Bool(_) | Value::Object(_) => self.open = true,
        }
    }
}

/// The fragment that these bounds of so many calls make. What was in all of them is required.
fn fragment(calls: u64, bounds: BTreeMap<String, Bound>) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for (name, bound) in bounds.into_iter().filter(|(_, bound)| !bound.open) {
        if bound.calls == calls {
            required.push(name.clone());
        }
        let mut property = Map::new();
        if let Some(length) = bound.length {
            property.insert("maxLength".to_owned(), json!(length.max(8).next_power_of_two()));
        }
        if let Some(items) = bound.items {
            property.insert("maxItems".to_owned(), json!(items.max(1).next_power_of_two()));
        }
        if let Some(number) = bound.number {
            property.insert("minimum".to_owned(), json!(0));
            property.insert("maximum".to_owned(), json!(round(number)));
        }
        properties.insert(name, Value::Object(property));
    }
    json!({ "required": required, "properties": properties })
}

/// The next of 1, 2, 5, 10, 20, 50 and so on.
fn round(number: u64) -> u64 {
    let mut step = 1_u64;
    loop {
        for times in [1, 2, 5] {
            match step.checked_mul(times) {
                Some(bound) if bound >= number => return bound,
                Some(_) => {}
                None => return number,
            }
        }
        step = step.saturating_mul(10);
    }
}

/// What the pin allows of this argument, cut down to what the statements were.
fn needed(pin: &Pin, argument: &str, statements: &[Statement]) -> Option<SqlProfile> {
    let (_, profile) = pin.sql().iter().find(|(name, _)| name == argument)?;
    let mut needed = profile.clone();
    let of = |class: &str| {
        let of_class = statements.iter().filter(|statement| statement.class == class);
        of_class.flat_map(|statement| statement.tables.clone()).collect::<BTreeSet<String>>()
    };
    let columns: BTreeSet<&String> = statements.iter().flat_map(|s| &s.columns).collect();
    let functions: BTreeSet<&String> = statements.iter().flat_map(|s| &s.functions).collect();
    for (table, allowed) in &mut needed.tables {
        allowed.retain(|column| columns.contains(&format!("{table}.{column}")));
    }
    needed.tables.retain(|table, allowed| !allowed.is_empty() || of("select").contains(table));
    needed.functions.retain(|function| functions.contains(function));
    needed.select &= !of("select").is_empty();
    needed.insert.retain(|table, _| of("insert").contains(table));
    needed.update.retain(|table, _| of("update").contains(table));
    needed.delete.retain(|table, _| of("delete").contains(table));
    // One without a LIMIT is as many as there are: nothing is learnt of the number then.
    let rows: Option<Vec<u64>> = statements.iter().map(|statement| statement.rows).collect();
    if let Some(most) = rows.and_then(|rows| rows.into_iter().max()) {
        needed.limit_max = needed.limit_max.min(round(most));
    }
    let offset = statements.iter().filter_map(|statement| statement.offset).max();
    needed.offset_max = needed.offset_max.min(offset.map_or(0, round));
    Some(needed)
}

#[cfg(test)]
mod tests {
    use super::super::policy_rows::{DATA, read};
    use super::super::{lint_fragment, pins};
    use super::*;
    use crate::call::DecisionId;

    const YES: &str =
        "package atf.gate\ndecision := {\"allow\": true, \"reasons\": [], \"obligations\": {}}";

    fn pins() -> Pins {
        Pins::read(&super::super::policy_rows::shipped().join("tools")).unwrap()
    }

    fn policy(tools: &str) -> Policy {
        read(YES, &DATA.replace("\"seal\"", &format!("\"tools\":{tools},\"seal\""))).unwrap()
    }

    fn heard(agent: &str, tool: &str, arguments: &Value, sql: &Value, allow: bool) -> Hearing {
        let input = json!({
            "identity": {"agent": agent}, "sql": sql,
            "call": {"method": "tools/call", "tool": tool, "arguments": arguments},
        });
        let answer = json!({"allow": allow, "reasons": [], "obligations": {}});
        let decision = DecisionId::random();
        let line = format!(r#"{{"decision":"{decision}","input":{input},"answer":{answer}}}"#);
        Hearing::read(&line, crate::call::Digest::of(line.as_bytes())).unwrap()
    }

    fn adjusted(cents: u64, reason: &str, allow: bool) -> Hearing {
        let arguments = json!({"entry_id": 7, "amount_cents": cents, "reason": reason});
        heard("clerk", "ledger.adjust", &arguments, &json!({}), allow)
    }

    /// The attack: a run that is refused, or a tool that nobody wants learnt, in the hope to be proposed.
    #[test]
    fn what_was_made_of_the_tools_in_mode_learn_is_learnt_and_nothing_else() {
        let policy = policy(r#"{"ledger.adjust":{"mode":"learn"},"ledger.query":{}}"#);
        let query = heard("clerk", "ledger.query", &json!({"sql": "x"}), &json!({}), true);
        let unknown = heard("clerk", "ledger.other", &json!({"a": 1}), &json!({}), true);
        let all = [
            adjusted(130, "secret words", true),
            adjusted(70, "fee", true),
            adjusted(40_000, &"r".repeat(150), false),
            query,
            unknown,
        ];
        let learnt = learn(&policy, &pins(), all.iter());
        assert_eq!(learnt.calls.values().collect::<Vec<_>>(), [&2]);
        let of_clerk = &learnt.agents[&"clerk".parse::<AgentName>().unwrap()];
        let [(tool, fragment)] = of_clerk.iter().collect::<Vec<_>>()[..] else {
            panic!("{of_clerk:?}");
        };
        assert_eq!(tool.to_string(), "ledger.adjust");
        assert_eq!(fragment["properties"]["amount_cents"], json!({"minimum": 0, "maximum": 200}));
        assert_eq!(fragment["properties"]["reason"], json!({"maxLength": 16}));
        assert!(!fragment.to_string().contains("secret"), "no value is kept");
        lint_fragment(fragment).unwrap();
        let holds = pins::compile(&super::super::narrow::whole(fragment)).unwrap();
        let is_within = |cents: u64, reason: &str| {
            holds.is_valid(&json!({"entry_id": 7, "amount_cents": cents, "reason": reason}))
        };
        assert!(is_within(130, "secret words") && is_within(70, "fee"), "what was made");
        assert_eq!(fragment["required"], json!(["amount_cents", "entry_id", "reason"]));
        assert!(!is_within(201, "fee") && !is_within(70, &"r".repeat(17)), "and no more");
        let none = learn(&super::tests::policy("{}"), &pins(), all.iter());
        assert!(none.agents.is_empty() && none.calls.is_empty(), "the control");
    }

    #[test]
    fn sql_is_cut_down_to_what_the_statements_were() {
        let policy = policy(r#"{"ledger.query":{"mode":"learn"}}"#);
        let select = |columns: Value, rows: u64| {
            json!({"sql": {"class": "select", "tables": ["ledger_entries"], "columns": columns,
                "written": [], "functions": ["count"], "limit": rows, "offset": null, "rows": rows}})
        };
        let heard =
            |sql: &Value| heard("clerk", "ledger.query", &json!({"sql": "SELECT"}), sql, true);
        let all = [
            heard(&select(json!(["ledger_entries.id"]), 3)),
            heard(&select(json!(["ledger_entries.id", "ledger_entries.amount_cents"]), 12)),
        ];
        let pins = pins();
        let learnt = learn(&policy, &pins, all.iter());
        let tool: ToolName = "ledger.query".parse().unwrap();
        let (found, (_, held)) = (&learnt.sql[&tool]["sql"], &pins.get(&tool).unwrap().sql()[0]);
        assert!(held.tables.len() > 1 && held.functions.len() > 1, "the control");
        assert_eq!(found.tables.keys().collect::<Vec<_>>(), ["ledger_entries"]);
        assert_eq!(found.tables["ledger_entries"].len(), 2, "{found:?}");
        assert_eq!(found.functions.iter().collect::<Vec<_>>(), ["count"]);
        assert_eq!((found.limit_max, found.offset_max, found.select), (20, 0, true));
        assert!(found.check().is_ok());
        let less = |column: &String| held.tables["ledger_entries"].contains(column);
        assert!(found.tables["ledger_entries"].iter().all(less), "never more than what holds");
        let text = serde_json::to_string(found).unwrap();
        assert_eq!(serde_json::from_str::<SqlProfile>(&text).unwrap(), *found);
    }

    #[test]
    fn bounds_are_round() {
        for (number, bound) in [(0, 1), (1, 1), (3, 5), (5, 5), (51, 100), (130, 200)] {
            assert_eq!(round(number), bound, "{number}");
        }
        assert!(round(u64::MAX) >= u64::MAX - 1);
    }
}
