"""Other deciders, each asked the nearest that it has to one decision of the gate.

Reads one JSON object from standard input: `peer` (regopy, cmcp or agt), `policy` and `data` (the texts
of the shipped policy), `warm_up`, and `calls`, each with `tool`, `arguments` and `input` (what the shipped
policy reads of it). Prints the nanoseconds that each call took after the warm-up, as a JSON list. A peer
that refuses one of the calls, or allows a tool that it was not told of, ends with an error: it did not
decide.
"""

import json
import logging
import sys
import time

TOOLS = ["ledger.query", "ledger.adjust"]
STRANGE = {"tool": "files.delete", "arguments": {}}


def regopy(job):
    """The same policy and data in rego-cpp, an engine of its own."""
    from regopy import Input, Interpreter

    engine = Interpreter()
    engine.add_module("gate.rego", job["policy"])
    engine.add_data_json(job["data"])
    bundle = engine.build("x=data.atf.gate.decision")

    def decide(call):
        engine.set_input(Input(call["input"]))
        answer = engine.query_bundle(bundle)
        return json.loads(str(answer))["bindings"]["x"]["allow"] is True

    strange = dict(job["calls"][0]["input"])
    strange["call"] = dict(strange["call"], tool=STRANGE["tool"])
    return decide, dict(STRANGE, input=strange)


def cmcp(_job):
    """cmcp-runtime's Cedar: who, which tool, and a bound on the amount."""
    from cmcp_runtime.policy.action_name import cedar_action_name
    from cmcp_runtime.policy.cedar import CedarBackend

    actions = ", ".join(f'Action::"{cedar_action_name(name)}"' for name in TOOLS)
    backend = CedarBackend(policy_content=f"""
permit (principal == Agent::"bench", action in [{actions}], resource);
forbid (principal, action, resource)
when {{ context.arguments has amount_cents && context.arguments.amount_cents > 50000 }};
""")

    def decide(call):
        return backend.evaluate(
            {"agent_id": "bench", "tool_name": call["tool"], "arguments": call["arguments"]}
        ).allowed

    return decide, STRANGE


def agt(_job):
    """agent-governance-toolkit-core's gateway: a list of tools, patterns in the arguments, its audit list."""
    from agent_os.integrations.base import GovernancePolicy
    from agent_os.mcp_gateway import MCPGateway

    policy = GovernancePolicy(
        name="bench",
        max_tool_calls=10**9,
        allowed_tools=TOOLS,
        blocked_patterns=["DROP TABLE"],
        log_all_calls=False,
    )
    gateway = MCPGateway(policy)

    def decide(call):
        return gateway.intercept_tool_call("bench", call["tool"], call["arguments"])[0]

    return decide, STRANGE


def main():
    logging.disable(logging.CRITICAL)
    job = json.load(sys.stdin)
    decide, strange = {"regopy": regopy, "cmcp": cmcp, "agt": agt}[job["peer"]](job)
    if decide(strange):
        sys.exit(f"{job['peer']} allows a tool that nobody named")
    times = []
    for call in job["calls"]:
        began = time.perf_counter_ns()
        allowed = decide(call)
        times.append(time.perf_counter_ns() - began)
        if not allowed:
            sys.exit(f"{job['peer']} refuses {call['tool']}")
    print(json.dumps(times[job["warm_up"]:]))


main()
