// The SDK of TypeScript, major version 2: asked to, it speaks the stateless revision where a server has it.

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { atf, door, fetched, headers, make, play, revision, texts, tools, url } from "./asked.mjs";

function transport() {
  if (door === "stdio") {
    return new StdioClientTransport({ command: atf, args: ["connect"] });
  }
  return new StreamableHTTPClientTransport(url, { fetch: fetched(), requestInit: { headers } });
}

await play(async () => {
  const about = { name: "compatibility", version: "1.0.0" };
  const client = new Client(about, { versionNegotiation: { mode: "auto" } });
  await client.connect(transport());
  revision(client.getNegotiatedProtocolVersion());
  tools((await client.listTools()).tools.map((tool) => tool.name));
  await make(async (name, args) => {
    const result = await client.callTool({ name, arguments: args });
    return [result.isError === true, texts(result.content)];
  });
  await client.close();
});
