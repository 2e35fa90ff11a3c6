// The SDK of TypeScript, major version 1.

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { atf, door, fetched, headers, make, play, revision, texts, tools, url } from "./asked.mjs";

function transport() {
  if (door === "stdio") {
    return new StdioClientTransport({ command: atf, args: ["connect"] });
  }
  if (door === "sse") {
    return new SSEClientTransport(url, { fetch: fetched(), requestInit: { headers } });
  }
  return new StreamableHTTPClientTransport(url, { fetch: fetched(), requestInit: { headers } });
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
    const result = await client.callTool({ name, arguments: args });
    return [result.isError === true, texts(result.content)];
  });
  await client.close();
});
