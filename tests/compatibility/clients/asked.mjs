// What every client of the suite is asked to do in its run, and how it says what it saw: one line of JSON.

import { readFileSync } from "node:fs";
import { Agent, fetch } from "undici";

// Of it all; a client that hangs is one that failed.
const LONGEST_MS = 180_000;

const job = JSON.parse(process.argv[2]);
const seen = { revision: null, tools: null, calls: {}, broke: null };

export const door = job.door;
export const atf = job.atf;
// Whether the calls are answered later.
export const deferred = job.deferred;
const at = door === "bridge" ? process.env.ATF_BRIDGE_URL : "http://localhost";
export const url = new URL(door === "sse" ? "/sse" : "/mcp", at);
export const headers = {
  Authorization: `Bearer ${readFileSync(process.env.ATF_TOKEN_FILE, "ascii").trim()}`,
  "ATF-Prompt-SHA256": process.env.ATF_PROMPT_SHA256,
};

// fetch(), over the run's socket; its own where a URL says it all.
export function fetched() {
  if (door === "bridge") {
    return globalThis.fetch;
  }
  const dispatcher = new Agent({ connect: { socketPath: process.env.ATF_SOCKET } });
  return (input, init) => fetch(input, { ...init, dispatcher });
}

export function revision(spoken) {
  seen.revision = String(spoken);
}

export function tools(names) {
  seen.tools = [...names].sort();
}

export function texts(content) {
  return content.flatMap((part) => part.text ?? []).join("\n");
}

// Makes each call by call(tool, arguments), which gives whether the result is an error, and its text.
export async function make(call) {
  for (const asked of job.calls) {
    try {
      const [isError, text] = await call(asked.tool, asked.arguments);
      seen.calls[asked.id] = { how: isError ? "error" : "result", text };
    } catch (error) {
      seen.calls[asked.id] = { how: error.constructor.name, text: String(error.message) };
    }
  }
}

function say(status) {
  process.stdout.write(`${JSON.stringify(seen)}\n`, () => process.exit(status));
}

// Has the client do the job, and says what it saw, whatever happens.
export async function play(client) {
  const watch = setTimeout(() => {
    seen.broke = "it hangs";
    say(1);
  }, LONGEST_MS);
  try {
    await client();
  } catch (error) {
    seen.broke = `${error.constructor.name}: ${error.message}`;
  }
  clearTimeout(watch);
  say(0);
}
