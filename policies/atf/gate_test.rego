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
	"call": {
		"method": "tools/call",
		"server": "ledger",
		"tool": "ledger.query",
		"arguments": {"sql": "SELECT 1"},
		"sink": false,
	},
	"sql": {"sql": {"class": "select"}},
	"provenance": {"values": [], "secret_read": false},
	"counters": {"calls": 0, "refusals": 0, "spent_cents": 0},
	"prompt": "aa",
	"time": {"now_ns": 1},
}

adjust(arguments) := object.union(query, {
	"call": {"method": "tools/call", "server": "ledger", "tool": "ledger.adjust", "arguments": arguments},
	"sql": {},
})

refused(decision, reason) if {
	decision.allow == false
	reason in decision.reasons
}

test_a_query_is_allowed if {
	decision := gate.decision with input as query
	decision == {"allow": true, "reasons": set(), "obligations": {"reserve_cents": 0}}
}

test_an_adjustment_reserves_its_amount if {
	decision := gate.decision with input as adjust({"amount_cents": 100})
	decision == {"allow": true, "reasons": set(), "obligations": {"reserve_cents": 100}}
}

test_the_cap_itself_is_allowed if {
	cap := data.limits.per_call_cents
	decision := gate.decision with input as adjust({"amount_cents": cap})
	decision.allow
}

test_nothing_is_refused if refused(gate.decision, "policy.denied") with input as {}

# A resource that is read of a server.
reading := object.union(object.remove(query, ["call"]), {
	"call": {"method": "resources/read", "server": "files", "target": "files+file:///a", "arguments": {}, "sink": true},
	"sql": {},
})

servers := {"files": {"methods": ["resources/read"]}}

test_a_method_that_the_data_names_of_a_server_is_allowed if {
	decision := gate.decision with input as reading with data.servers as servers
	decision == {"allow": true, "reasons": set(), "obligations": {"reserve_cents": 0}}
}

test_a_run_that_may_have_read_a_secret_asks_no_server if {
	read := object.union(reading, {"provenance": {"secret_read": true}})
	stay := {"demand": "named", "secrets_to_sinks": "deny"}
	control := gate.decision with input as reading with data.servers as servers with data.provenance as stay
	control.allow
	decision := gate.decision with input as read with data.servers as servers with data.provenance as stay
	refused(decision, "policy.secret_to_sink")
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
	decision == {"allow": false, "reasons": {"policy.prompt_digest"}, "obligations": {"reserve_cents": 0}}
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

# A query with one value of each origin given, by a run that has read a secret.
seen(origins) := object.union(query, {"provenance": {
	"values": [{"argument": "x", "at": "/x", "origin": origin} | some origin in origins],
	"secret_read": true,
}})

demanded(demand, origins) := decision if {
	decision := gate.decision with input as seen(origins) with data.provenance.demand as demand
}

test_no_demand_takes_every_value if {
	demanded("off", ["named", "trusted", "untrusted", "nowhere"]).allow
}

test_the_demand_known_takes_what_was_seen if demanded("known", ["named", "trusted", "untrusted"]).allow

test_the_demand_known_takes_nothing_else if {
	refused(demanded("known", ["named", "nowhere"]), "policy.provenance")
}

test_the_demand_trusted_takes_what_is_vouched_for if demanded("trusted", ["named", "trusted"]).allow

test_the_demand_trusted_takes_nothing_else if {
	refused(demanded("trusted", ["trusted", "untrusted"]), "policy.provenance")
}

test_the_demand_named_takes_what_the_task_names if demanded("named", ["named", "named"]).allow

test_the_demand_named_takes_nothing_else if {
	refused(demanded("named", ["named", "trusted"]), "policy.provenance")
}

test_a_tools_own_demand_counts_before_that_of_all if {
	own := {"ledger.query": {"sql": ["sql"], "provenance": "off"}}
	decision := gate.decision with input as seen(["nowhere"])
		with data.provenance.demand as "named"
		with data.tools as own
	decision.allow
}

# A query with two marked arguments, and a demand for one of them.
two(demand, x, y) := decision if {
	decision := gate.decision with input as object.union(query, {"provenance": {"values": [
		{"argument": "x", "at": "/x", "origin": x},
		{"argument": "y", "at": "/y/0", "origin": y},
	]}})
		with data.provenance.demand as "trusted"
		with data.tools as {"ledger.query": {"sql": ["sql"], "provenance": demand}}
}

test_an_arguments_own_demand_is_its_own if two({"y": "known"}, "trusted", "untrusted").allow

test_an_arguments_own_demand_is_held_to if {
	refused(two({"y": "named"}, "trusted", "trusted"), "policy.provenance")
}

test_the_other_argument_keeps_the_demand_of_all if {
	refused(two({"y": "known"}, "untrusted", "untrusted"), "policy.provenance")
}

test_an_arguments_demand_that_is_not_known_refuses if {
	refused(two({"y": "none"}, "named", "named"), "policy.provenance")
}

test_a_demand_for_arguments_that_is_no_word_refuses if {
	refused(two({"y": true}, "named", "named"), "policy.provenance")
}

test_a_demand_that_is_no_word_and_no_object_refuses if {
	refused(two(true, "named", "named"), "policy.provenance")
}

test_a_demand_that_is_not_known_refuses if {
	refused(demanded("none", ["named"]), "policy.provenance")
}

test_facts_that_are_missing_refuse if {
	decision := gate.decision with input as object.remove(query, ["provenance"])
	refused(decision, "policy.provenance")
}

sink := object.union(seen([]), {"call": {"sink": true}})

test_a_secret_does_not_reach_a_sink if {
	decision := gate.decision with input as sink with data.provenance.secrets_to_sinks as "deny"
	refused(decision, "policy.secret_to_sink")
}

test_a_secret_reaches_a_sink_where_the_data_allows_it if {
	decision := gate.decision with input as sink with data.provenance.secrets_to_sinks as "allow"
	decision.allow
}

test_a_run_without_a_secret_reaches_a_sink if {
	ignorant := object.union(sink, {"provenance": {"secret_read": false}})
	decision := gate.decision with input as ignorant with data.provenance.secrets_to_sinks as "deny"
	decision.allow
}

test_a_run_with_a_secret_reaches_what_is_no_sink if {
	decision := gate.decision with input as seen([]) with data.provenance.secrets_to_sinks as "deny"
	decision.allow
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

test_a_call_without_its_amount_says_nothing_of_what_it_spends if {
	decision := gate.decision with input as adjust({"reason": "x"})
	decision == {"allow": false, "reasons": {"cap.exceeded"}, "obligations": {}}
}

# From 100 cents on, a person is asked.
asks(value) := object.union(data.tools, {"ledger.adjust": {"approve_from_cents": value}})

test_a_person_is_asked_from_the_amount_on if {
	less := gate.decision with input as adjust({"amount_cents": 99}) with data.tools as asks(100)
	less == {"allow": true, "reasons": set(), "obligations": {"reserve_cents": 99}}
	more := gate.decision with input as adjust({"amount_cents": 100}) with data.tools as asks(100)
	more == {"allow": true, "reasons": set(), "obligations": {"reserve_cents": 100, "require_approval": true}}
}

test_a_person_is_asked_when_the_amount_is_no_number if {
	every value in ["100", null, false, [1000]] {
		decision := gate.decision with input as adjust({"amount_cents": 1}) with data.tools as asks(value)
		decision.obligations.require_approval == true
	}
}

test_a_server_asks_what_data_names_and_by_default_nothing if {
	servers := {"ledger": {"questions": ["roots/list"]}, "files": {"methods": ["prompts/get"], "questions": ["elicitation/create"]}}
	prompt := object.union(query, {"call": {"method": "prompts/get", "server": "files"}})
	of_tool := gate.decision with input as query with data.servers as servers
	of_tool.obligations.questions == ["roots/list"]
	of_prompt := gate.decision with input as prompt with data.servers as servers
	of_prompt.obligations.questions == ["elicitation/create"]
	nothing := gate.decision with input as query
	not nothing.obligations.questions
}

test_a_server_tells_what_data_names_and_by_default_nothing if {
	servers := {"ledger": {"notices": ["notifications/progress"]}, "files": {"methods": ["prompts/get"], "notices": ["notifications/message"]}}
	prompt := object.union(query, {"call": {"method": "prompts/get", "server": "files"}})
	of_tool := gate.decision with input as query with data.servers as servers
	of_tool.obligations.notices == ["notifications/progress"]
	of_prompt := gate.decision with input as prompt with data.servers as servers
	of_prompt.obligations.notices == ["notifications/message"]
	nothing := gate.decision with input as query
	not nothing.obligations.notices
}

test_a_server_that_is_no_object_may_nothing_and_denies_nothing if {
	every server in [null, 5, "files", []] {
		decision := gate.decision with input as query with data.servers as {"ledger": server}
		decision == {"allow": true, "reasons": set(), "obligations": {"reserve_cents": 0}}
	}
}
