"""AutoGen's tools. Its parameters name no unix socket, so that it is handed a session of the SDK over one."""

import contextlib

from asked import NotListed, play
from autogen_core import CancellationToken
from autogen_ext.tools.mcp import (
    StdioServerParams,
    StreamableHttpServerParams,
    create_mcp_server_session,
    mcp_server_tools,
)
from client_mcp1 import http
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client


@contextlib.asynccontextmanager
async def connected(asked):
    if asked.door == "stdio":
        server = StdioServerParams(command=asked.atf, args=["connect"])
    else:
        server = StreamableHttpServerParams(url=asked.url, headers=asked.headers)
    if asked.socket is None or asked.door == "stdio":
        async with create_mcp_server_session(server) as session:
            yield server, session
    else:
        async with http(asked) as by, streamable_http_client(asked.url, http_client=by) as (read, write, _):
            async with ClientSession(read, write) as session:
                yield server, session


async def client(asked):
    async with connected(asked) as (server, session):
        asked.revision((await session.initialize()).protocolVersion)
        tools = {tool.name: tool for tool in await mcp_server_tools(server, session)}
        asked.tools(tools)

        async def call(name, arguments):
            if name not in tools:
                raise NotListed(name)
            content = await tools[name].run_json(arguments, CancellationToken())
            return False, tools[name].return_value_as_string(content)

        await asked.make(call)


if __name__ == "__main__":
    play(client)
