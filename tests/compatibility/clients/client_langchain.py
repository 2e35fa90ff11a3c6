"""LangChain's adapters: each tool is one of LangChain's, called as its agents call it."""

import httpx
from asked import NotListed, play
from langchain_mcp_adapters.client import MultiServerMCPClient
from langchain_mcp_adapters.tools import load_mcp_tools


def connection(asked):
    if asked.door == "stdio":
        return {"transport": "stdio", "command": asked.atf, "args": ["connect"]}

    transport = "sse" if asked.door == "sse" else "streamable_http"
    known = {"transport": transport, "url": asked.url, "headers": asked.headers}
    if asked.socket is None:
        return known

    def http(headers=None, timeout=None, auth=None):
        transport = httpx.AsyncHTTPTransport(uds=asked.socket)
        return httpx.AsyncClient(transport=transport, headers=headers, timeout=timeout, auth=auth)

    return {**known, "httpx_client_factory": http}


async def client(asked):
    server = MultiServerMCPClient({"atf": connection(asked)})
    async with server.session("atf", auto_initialize=False) as session:
        asked.revision((await session.initialize()).protocolVersion)
        tools = {tool.name: tool for tool in await load_mcp_tools(session)}
        asked.tools(tools)

        async def call(name, arguments):
            if name not in tools:
                raise NotListed(name)
            call = {"type": "tool_call", "id": "1", "name": name, "args": arguments}
            message = await tools[name].ainvoke(call)
            return message.status == "error", message.text

        await asked.make(call)


if __name__ == "__main__":
    play(client)
