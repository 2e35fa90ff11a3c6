// The SDK of TypeScript, major version 1.

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { atf, deferred, door, fetched, headers, make, play, revision, texts, tools, url } from "./asked.mjs";

function transport() {
  if (door === "stdio") {
    return new StdioClientTransport({ command: atf, args: ["connect"] });
  }
  if (door === "sse") {
    return new SSEClientTransport(url, { fetch: fetched(), requestInit: { headers } });
  }
  return new StreamableHTTPClientTransport(url, { fetch: fetched(), requestInit: { headers } });
}

// The result of a call that is answered later, and how often its client asked.
async function later(client, name, args) {
  let asked = 0;
  for await (const said of client.experimental.tasks.callToolStream({ name, arguments: args })) {
    if (said.type === "error") {
      throw said.error;
    }
    if (said.type === "taskStatus") {
      asked += 1;
    }
    if (said.type === "result") {
      const how = asked > 0 ? "asked how far it is" : "never asked";
      return [said.result.isError === true, `${how}\n${texts(said.result.content)}`];
    }
  }
  throw new Error("no result");
}

await play(async () => {
  const client = new Client({ name: "compatibility", version: "1.0.0" });
  const by = transport();
  let spoken;
  // Over HTTP the transport knows the revision, over stdio it is told it.
  const told = by.setProtocolVersion?.bind(by);
  by.setProtocolVersion = (version) => {
    spoken = version;
    told?.(version);
  };
  await client.connect(by);
  revision(spoken);
  tools((await client.listTools()).tools.map((tool) => tool.name));
  await make(async (name, args) => {
    if (deferred) {
      return later(client, name, args);
    }
    const result = await client.callTool({ name, arguments: args });
    return [result.isError === true, texts(result.content)];
  });
  await client.close();
});
