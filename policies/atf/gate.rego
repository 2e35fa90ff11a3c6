# The shipped policy: everything is denied but what is written here. `data.json` holds the numbers.
#
# A reason stands in `reasons` unless a rule proves the contrary, so that a rule that is undefined or
# fails denies. Known reasons: policy.denied, policy.prompt_digest, policy.provenance,
# policy.secret_to_sink, cap.exceeded.
#
# As it stands, word for word, it is served on the register machine, ten times as quick as the interpreter,
# which serves rules that are changed or added: `atf policy check` says which.
package atf.gate

import rego.v1

default decision := {
	"allow": false,
	"reasons": ["policy.denied"],
	"obligations": {},
}

decision := {
	"allow": reasons == set(),
	"reasons": reasons,
	"obligations": object.union(object.union(reserve, approval), passing),
}

reasons contains "policy.denied" if not call_is_entitled

reasons contains "policy.prompt_digest" if not prompt_is_the_tokens

reasons contains "policy.provenance" if not values_are_taken

reasons contains "policy.secret_to_sink" if not secrets_stay

reasons contains "cap.exceeded" if not amount_is_within_the_cap

# The tool as `data.json` knows it; undefined for any other, and for what is no tool.
tool := data.tools[input.call.tool] if input.call.method == "tools/call"

# What else a server may be asked for, by the server: methods as `resources/read`.
asked if {
	input.call.method != "tools/call"
	input.call.method in data.servers[input.call.server].methods
}

# The token names the tool; and each statement that the pin marks has been understood, and is of a class that
# `data.json` allows the tool, beside its pin: `select`, unless it says otherwise.
default call_is_entitled := false

call_is_entitled if {
	tool
	input.call.tool in input.identity.tools
	every argument in tool.sql {
		is_of_its_classes(argument)
	}
}

is_of_its_classes(argument) if input.sql[argument].class in object.get(tool, "sql_classes", ["select"])

# Whether the token covers the prompt or the resource, the gate has seen to before.
call_is_entitled if asked

# What the server may do while it works on the call: ask the run `questions`, as `elicitation/create`, beside what
# the token says; and tell it `notices`, as `notifications/progress`, as far as the run wants to be told. Nothing,
# unless `data.json` names it.
default passing := {}

passing := object.filter(data.servers[input.call.server], {"questions", "notices"}) if {
	is_object(data.servers[input.call.server])
}

default prompt_is_the_tokens := false

prompt_is_the_tokens if {
	is_string(input.prompt)
	input.prompt == input.identity.prompt
}

# Where the values of the arguments come from that the pin marks: the tool's own demand, for all of its
# arguments or by argument, or the one for all tools. A demand that is not known takes no value.
origins := {
	"off": {"named", "trusted", "untrusted", "nowhere"},
	"known": {"named", "trusted", "untrusted"},
	"trusted": {"named", "trusted"},
	"named": {"named"},
}

# The tool's one demand.
is_taken(value) if {
	has_one_demand
	value.origin in origins[tool.provenance]
}

# The tool's demand for this argument.
is_taken(value) if {
	is_object(tool.provenance)
	value.origin in origins[tool.provenance[value.argument]]
}

# The one for all tools.
is_taken(value) if {
	is_string(value.argument)
	not has_one_demand
	not has_demand_for(value.argument)
	value.origin in origins[data.provenance.demand]
}

has_one_demand if {
	"provenance" in object.keys(tool)
	not is_object(tool.provenance)
}

has_demand_for(argument) if {
	is_object(tool.provenance)
	argument in object.keys(tool.provenance)
}

default values_are_taken := false

values_are_taken if {
	every value in input.provenance.values {
		is_taken(value)
	}
}

# What has no pin has no marked arguments.
values_are_taken if asked

# A run that may have read a secret tells it to nobody.
default secrets_stay := false

secrets_stay if data.provenance.secrets_to_sinks == "allow"

secrets_stay if input.call.sink == false

secrets_stay if input.provenance.secret_read == false

# What the call spends: the argument that `data.json` names as the amount, or nothing where it names none; what is
# no tool spends nothing. A call without the argument that is named says nothing of what it spends, and no mode
# lets it pass.
cents := input.call.arguments[tool.amount] if {
	tool.amount
} else := 0 if {
	tool
	not "amount" in object.keys(tool)
} else := 0 if input.call.method != "tools/call"

default reserve := {}

reserve := {"reserve_cents": cents}

default amount_is_within_the_cap := false

amount_is_within_the_cap if {
	is_number(cents)
	cents >= 0
	cents <= data.limits.per_call_cents
}

# A person has to say yes to a call from so many cents on, where `data.json` says from how many. Whatever
# is not known to be less is asked about.
default approval := {"require_approval": true}

approval := {} if {
	tool
	not "approve_from_cents" in object.keys(tool)
}

approval := {} if {
	is_number(tool.approve_from_cents)
	is_number(cents)
	cents < tool.approve_from_cents
}

approval := {} if input.call.method != "tools/call"
