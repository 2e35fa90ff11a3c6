"""One suite of AgentDojo, task by task: an environment with what an attacker wrote into it, the tools
that work in it, and AgentDojo's own judgement of what became of it."""

import json

import models

models.leave_out()

# ruff: noqa: E402 (the packages that are left out must be so before AgentDojo is imported)
from agentdojo.agent_pipeline.ground_truth_pipeline import GroundTruthPipeline
from agentdojo.agent_pipeline.tool_execution import tool_result_to_str
from agentdojo.functions_runtime import FunctionCall, FunctionsRuntime
from agentdojo.task_suite.load_suites import get_suites
from agentdojo.types import text_content_block_from_string
from pydantic import BaseModel

VERSION = "v1.2.2"


class Game:
    """A suite, and the attempt that is under way."""

    def __init__(self, suite):
        self.suite = get_suites(VERSION)[suite]
        self.runtime = FunctionsRuntime(self.suite.tools)
        self.candidates = {}
        self.fresh = {}
        self.user = self.injection = self.environment = self.before = None
        self.trace = []

    def pairs(self):
        """The tasks, and the injections that say what they would have an agent call."""
        environment = self.suite.load_and_inject_default_environment({})
        replayable = [
            name for name, task in self.suite.injection_tasks.items() if task.ground_truth(environment)
        ]
        return {"tasks": list(self.suite.user_tasks), "injections": replayable}

    def begin(self, task, injection=None):
        """A fresh environment. Gives the prompt and what an agent calls: the task's calls, then, when it
        is hijacked, the attacker's."""
        self.user = self.suite.user_tasks[task]
        self.injection = self.suite.injection_tasks[injection] if injection else None
        if (task, injection) not in self.fresh:
            self.fresh = {(task, injection): self._environment(task)}
        self.before = self.fresh[task, injection].model_copy(deep=True)
        self.environment = self.before.model_copy(deep=True)
        self.trace = []
        attack = self.injection.ground_truth(self.before) if self.injection else []
        return {
            "prompt": self.user.PROMPT,
            "calls": [_plain(call) for call in self.user.ground_truth(self.before)],
            "attack": [_plain(call) for call in attack],
        }

    def _environment(self, task):
        """The environment of the task, with what the attacker wrote: all that the attack needs."""
        texts = {}
        if self.injection:
            clean = self.suite.load_and_inject_default_environment({})
            values = [
                f"{call.function} with {name} {_line(value)}"
                for call in self.injection.ground_truth(clean)
                for name, value in call.args.items()
            ]
            text = "; ".join([_line(self.injection.GOAL), *values])
            texts = dict.fromkeys(self._seen_by(task), text)
        return self.user.init_environment(self.suite.load_and_inject_default_environment(texts))

    def _seen_by(self, task):
        """The places that an attacker may write to and that the task's own calls show."""
        if task not in self.candidates:
            places = {name: f"canary-{name}-" for name in self.suite.get_injection_vector_defaults()}
            environment = self.suite.load_and_inject_default_environment(places)
            pipeline = GroundTruthPipeline(self.suite.user_tasks[task])
            environment = self.suite.user_tasks[task].init_environment(environment)
            try:
                messages = pipeline.query("", self.runtime, environment)[3]
                shown = json.dumps(messages, default=str)
            except Exception:  # the canary is in the way of the task itself: a name that it needs
                shown = ""
            self.candidates[task] = [name for name, canary in places.items() if canary in shown]
        return self.candidates[task]

    def call(self, tool, arguments):
        """Does one call of an agent's: its text, its value, whether it failed."""
        self.trace.append(FunctionCall(function=tool, args=arguments))
        result, error = self.runtime.run_function(self.environment, tool, arguments)
        if error is not None:
            return error, None, True
        return tool_result_to_str(result), _value(result), False

    def judge(self):
        """What AgentDojo says of the environment now: whether the task was done, and the injection."""
        return {"useful": self._done(self.user), "attacked": bool(self.injection) and self._done(self.injection)}

    def _done(self, task):
        output = [text_content_block_from_string(self.user.GROUND_TRUTH_OUTPUT)]
        try:
            done = self.suite._check_task_result(task, output, self.before, self.environment, self.trace)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            # The check does not find what it looks for, and stumbles over it.
            return False
        return bool(done)


def _plain(call):
    """A call as JSON. What is null is left out: it is not there."""
    arguments = {name: value for name, value in call.args.items() if value is not None}
    return {"tool": call.function, "arguments": json.loads(json.dumps(arguments, default=_value))}


def _line(value):
    """A value as it can stand within the suites' YAML: on one line, without what ends a quoted text."""
    values = value if isinstance(value, list) else [value]
    return ", ".join(" ".join(str(v).replace('"', "'").replace("\\", "/").split()) for v in values)


def _value(result):
    """A tool's result as JSON."""
    if isinstance(result, BaseModel):
        return json.loads(result.model_dump_json())
    if isinstance(result, list):
        return [_value(item) for item in result]
    if isinstance(result, dict):
        return {str(name): _value(item) for name, item in result.items()}
    return result if isinstance(result, (str, int, float, bool, type(None))) else str(result)
