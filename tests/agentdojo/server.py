"""A tool server (MCP over standard input and output, revision 2025-11-25) with the tools of one suite of
AgentDojo, and three for whoever plays it: `pairs`, `begin`, `judge`."""

import json
import sys

from game import Game
from schemas import bounded
from variants import variants

REVISION = "2025-11-25"

TASK = {"type": "string", "maxLength": 64, "pattern": "^[a-z0-9_]+$"}

PLAYED = {
    "pairs": {},
    "begin": {"task": TASK, "injection": TASK},
    "judge": {},
}


def listed(game):
    """All tools as they are listed."""
    for tool in game.suite.tools:
        schema = bounded(tool.parameters.model_json_schema())
        yield {"name": tool.name, "description": tool.description, "inputSchema": schema}
    for name, properties in PLAYED.items():
        schema = {"type": "object", "properties": properties, "additionalProperties": False}
        yield {"name": name, "description": "For the one who plays the suite.", "inputSchema": schema}


def called(game, name, arguments):
    """The result of one call."""
    failed = False
    if name == "pairs":
        value = game.pairs()
        text = json.dumps(value)
    elif name == "begin":
        value = game.begin(**arguments)
        value["variants"] = list(variants(value))
        text = ""
    elif name == "judge":
        value = game.judge()
        text = ""
    else:
        text, value, failed = game.call(name, arguments)
    result = {"content": [{"type": "text", "text": text}], "isError": failed}
    if not failed:
        result["structuredContent"] = {"result": value}
    return result


def answered(game, message):
    """The answer to a request."""
    method, parameters = message["method"], message.get("params", {})
    if method == "initialize":
        about = {"name": "agentdojo", "version": "0.1.35"}
        return {"protocolVersion": REVISION, "capabilities": {"tools": {}}, "serverInfo": about}
    if method == "tools/list":
        return {"tools": list(listed(game))}
    if method == "tools/call":
        return called(game, parameters["name"], parameters.get("arguments", {}))
    if method == "ping":
        return {}
    return None


def main():
    """Serves until nothing more comes."""
    game = Game(sys.argv[1])
    for line in sys.stdin:
        message = json.loads(line)
        if "id" not in message:
            continue
        answer = {"jsonrpc": "2.0", "id": message["id"]}
        result = answered(game, message)
        if result is None:
            answer["error"] = {"code": -32601, "message": "no such method"}
        else:
            answer["result"] = result
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
