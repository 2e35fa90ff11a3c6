"""fastmcp's client, which raises what a tool calls an error."""

import httpx2
from asked import play, texts
from fastmcp import Client
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport


def transport(asked):
    if asked.door == "stdio":
        return StdioTransport(command=asked.atf, args=["connect"])

    if asked.socket is None:
        return StreamableHttpTransport(asked.url, headers=asked.headers)

    def http(**settings):
        return httpx2.AsyncClient(transport=httpx2.AsyncHTTPTransport(uds=asked.socket), **settings)

    return StreamableHttpTransport(asked.url, headers=asked.headers, httpx_client_factory=http)


async def client(asked):
    async with Client(transport(asked)) as session:
        asked.revision(session.protocol_version)
        asked.tools(tool.name for tool in await session.list_tools())

        async def call(tool, arguments):
            result = await session.call_tool(tool, arguments)
            return result.is_error, texts(result.content)

        await asked.make(call)


if __name__ == "__main__":
    play(client)
