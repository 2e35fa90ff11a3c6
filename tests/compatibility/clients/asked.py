"""What every client of the suite is asked to do in its run, and how it says what it saw: one line of JSON."""

import asyncio
import json
import os
import sys

# Of one step; a client that hangs is one that failed.
LONGEST_S = 60


class NotListed(Exception):
    """The client knows the tools that were listed to it, and this is none."""


class Asked:
    """The job, and what has been seen of it."""

    def __init__(self):
        job = json.loads(sys.argv[1])
        self.door, self.atf, self.calls = job["door"], job["atf"], job["calls"]
        # Whether the calls are answered later.
        self.deferred = job["deferred"]
        at = os.environ["ATF_BRIDGE_URL"] if self.door == "bridge" else "http://localhost"
        self.url = f"{at}/{'sse' if self.door == 'sse' else 'mcp'}"
        # Of no use where a URL says it all.
        self.socket = None if self.door == "bridge" else os.environ["ATF_SOCKET"]
        with open(os.environ["ATF_TOKEN_FILE"], encoding="ascii") as token:
            bearer = f"Bearer {token.read().strip()}"
        self.headers = {
            "Authorization": bearer,
            "ATF-Prompt-SHA256": os.environ["ATF_PROMPT_SHA256"],
        }
        self.seen = {"revision": None, "tools": None, "calls": {}, "broke": None}

    def revision(self, spoken):
        self.seen["revision"] = str(spoken)

    def tools(self, names):
        self.seen["tools"] = sorted(names)

    async def make(self, call):
        """Makes each call by `call(tool, arguments)`, which gives whether the result is an error, and its text."""
        for asked in self.calls:
            try:
                async with asyncio.timeout(LONGEST_S):
                    is_error, text = await call(asked["tool"], asked["arguments"])
                saw = {"how": "error" if is_error else "result", "text": text}
            except asyncio.CancelledError:
                # The client's session is over, and its own tasks with it.
                self.seen["calls"][asked["id"]] = {"how": "CancelledError", "text": ""}
                raise
            except Exception as error:
                saw = {"how": type(error).__name__, "text": reason(error)}
            self.seen["calls"][asked["id"]] = saw


def reason(error):
    """The innermost of what went wrong together."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"


def texts(content):
    return "\n".join(part.text for part in content if getattr(part, "text", None))


def play(client):
    """Has the client `client(asked)` do the job, and says what it saw, whatever happens."""

    async def whole():
        async with asyncio.timeout(3 * LONGEST_S):
            await client(asked)

    asked = Asked()
    try:
        asyncio.run(whole())
    except BaseException as error:
        asked.seen["broke"] = reason(error)
    print(json.dumps(asked.seen), flush=True)
