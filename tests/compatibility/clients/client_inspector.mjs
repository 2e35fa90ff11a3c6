// The inspector's command line, started anew for each step. It can be told no unix socket, and is told a URL.

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { atf, door, headers, make, play, texts, tools, url } from "./asked.mjs";

const INSPECTOR = "node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js";

function server() {
  if (door === "stdio") {
    return [atf, "connect"];
  }
  const named = Object.entries(headers).flatMap(([name, value]) => ["--header", `${name}: ${value}`]);
  return [url.href, "--transport", "http", ...named];
}

function inspect(words) {
  const program = fileURLToPath(new URL(INSPECTOR, import.meta.url));
  const all = [program, "--cli", ...server(), ...words];
  const ended = spawnSync(process.execPath, all, { encoding: "utf8" });
  if (!ended.stdout.trim()) {
    throw new Error(ended.stderr.trim() || `status ${ended.status}`);
  }
  return JSON.parse(ended.stdout);
}

await play(async () => {
  tools(inspect(["--method", "tools/list"]).tools.map((tool) => tool.name));
  await make(async (name, args) => {
    const pairs = Object.entries(args).flatMap(([key, value]) => ["--tool-arg", `${key}=${value}`]);
    const result = inspect(["--method", "tools/call", "--tool-name", name, ...pairs]);
    return [result.isError === true, texts(result.content)];
  });
});
