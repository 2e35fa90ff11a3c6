# Runs under `opa test policies/atf policies/data.json` too.
package atf.gate_test

import rego.v1

import data.atf.gate

# A query that is allowed. Each test changes one thing.
query := {
	"caller": {"run": "00000000000000000000000000000000", "cgroup": 1},
	"identity": {
		"agent": "ledger-agent",
		"user": "alice",
		"task": "task-1",
		"tools": ["ledger.query", "ledger.adjust"],
		"prompt": "aa",
	},
	"call": {"method": "tools/call", "tool": "ledger.query", "arguments": {"sql": "SELECT 1"}},
	"sql": {"sql": {"class": "select"}},
	"counters": {"calls": 0, "refusals": 0, "spent_cents": 0},
	"prompt": "aa",
	"time": {"now_ns": 1},
}

adjust(arguments) := object.union(query, {
	"call": {"method": "tools/call", "tool": "ledger.adjust", "arguments": arguments},
	"sql": {},
})

refused(decision, reason) if {
	decision.allow == false
	reason in decision.reasons
}

test_a_query_is_allowed if {
	decision := gate.decision with input as query
	decision == {"allow": true, "reasons": [], "obligations": {"reserve_cents": 0}}
}

test_an_adjustment_reserves_its_amount if {
	decision := gate.decision with input as adjust({"amount_cents": 100})
	decision == {"allow": true, "reasons": [], "obligations": {"reserve_cents": 100}}
}

test_the_cap_itself_is_allowed if {
	cap := data.limits.per_call_cents
	decision := gate.decision with input as adjust({"amount_cents": cap})
	decision.allow
}

test_nothing_is_refused if refused(gate.decision, "policy.denied") with input as {}

# A resource that is read of a server.
reading := object.union(object.remove(query, ["call"]), {
	"call": {"method": "resources/read", "server": "files", "target": "files+file:///a", "arguments": {}},
	"sql": {},
})

servers := {"files": {"methods": ["resources/read"]}}

test_a_method_that_the_data_names_of_a_server_is_allowed if {
	decision := gate.decision with input as reading with data.servers as servers
	decision == {"allow": true, "reasons": [], "obligations": {"reserve_cents": 0}}
}

test_a_server_that_is_not_in_the_data_is_refused if {
	decision := gate.decision with input as reading with data.servers as {}
	refused(decision, "policy.denied")
}

test_a_method_that_the_data_does_not_name_is_refused if {
	changed := object.union(reading, {"call": {"method": "prompts/get"}})
	decision := gate.decision with input as changed with data.servers as servers
	refused(decision, "policy.denied")
}

test_a_tool_is_not_allowed_as_a_method if {
	methods := {"files": {"methods": ["tools/call"]}}
	changed := object.union(query, {"call": {"tool": "files.x", "server": "files"}, "identity": {"tools": []}})
	decision := gate.decision with input as changed with data.servers as methods
	refused(decision, "policy.denied")
}

test_a_resource_with_another_prompt_is_refused if {
	changed := object.union(reading, {"prompt": "bb"})
	decision := gate.decision with input as changed with data.servers as servers
	refused(decision, "policy.prompt_digest")
}

test_a_tool_that_is_not_in_the_data_is_refused if {
	changed := object.union(query, {"call": {"tool": "shell.run"}, "identity": {"tools": ["shell.run"]}})
	decision := gate.decision with input as changed
	refused(decision, "policy.denied")
}

test_a_tool_that_the_token_does_not_name_is_refused if {
	decision := gate.decision with input as object.union(query, {"identity": {"tools": []}})
	refused(decision, "policy.denied")
}

test_a_statement_that_was_not_understood_is_refused if {
	decision := gate.decision with input as object.union(object.remove(query, ["sql"]), {"sql": {}})
	refused(decision, "policy.denied")
}

test_a_statement_that_writes_is_refused if {
	decision := gate.decision with input as object.union(query, {"sql": {"sql": {"class": "update"}}})
	refused(decision, "policy.denied")
}

test_a_statement_that_writes_is_allowed_where_the_data_says_so if {
	tools := {"ledger.query": {"sql": ["sql"], "sql_classes": ["select", "update"]}}
	changed := object.union(query, {"sql": {"sql": {"class": "update"}}})
	decision := gate.decision with input as changed with data.tools as tools
	decision.allow
	other := gate.decision with input as object.union(query, {"sql": {"sql": {"class": "delete"}}})
		with data.tools as tools
	refused(other, "policy.denied")
}

test_another_prompt_is_refused if {
	decision := gate.decision with input as object.union(query, {"prompt": "bb"})
	decision == {"allow": false, "reasons": ["policy.prompt_digest"], "obligations": {"reserve_cents": 0}}
}

test_no_prompt_is_refused if {
	decision := gate.decision with input as object.union(query, {"prompt": null})
	refused(decision, "policy.prompt_digest")
}

test_a_prompt_that_is_missing_on_both_sides_is_refused if {
	changed := object.union(query, {"prompt": null, "identity": {"prompt": null}})
	decision := gate.decision with input as changed
	refused(decision, "policy.prompt_digest")
}

test_an_amount_over_the_cap_is_refused if {
	over := data.limits.per_call_cents + 1
	decision := gate.decision with input as adjust({"amount_cents": over})
	refused(decision, "cap.exceeded")
}

test_a_negative_amount_is_refused if {
	decision := gate.decision with input as adjust({"amount_cents": -1})
	refused(decision, "cap.exceeded")
}

test_an_amount_that_is_no_number_is_refused if {
	decision := gate.decision with input as adjust({"amount_cents": "1"})
	refused(decision, "cap.exceeded")
}

test_an_amount_that_is_missing_is_refused if {
	decision := gate.decision with input as adjust({})
	refused(decision, "cap.exceeded")
}
