"""The SDK of Python, major version 2: it asks for the stateless revision first."""

import httpx2
from asked import play, texts
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client


def transport(asked):
    if asked.door == "stdio":
        return stdio_client(StdioServerParameters(command=asked.atf, args=["connect"]))
    socket = httpx2.AsyncHTTPTransport(uds=asked.socket) if asked.socket else None
    by = httpx2.AsyncClient(transport=socket, headers=asked.headers)
    return streamable_http_client(asked.url, http_client=by)


async def client(asked):
    async with Client(transport(asked)) as session:
        asked.revision(session.protocol_version)
        asked.tools(tool.name for tool in (await session.list_tools()).tools)

        async def call(tool, arguments):
            result = await session.call_tool(tool, arguments)
            return result.is_error, texts(result.content)

        await asked.make(call)


if __name__ == "__main__":
    play(client)
