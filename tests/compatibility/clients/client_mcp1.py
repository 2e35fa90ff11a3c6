"""The SDK of Python, major version 1."""

import functools

import httpx
from asked import play, texts
from mcp import ClientSession, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, ServerNotification, TaskStatusNotification


def http(asked, headers=None, timeout=None, auth=None):
    transport = httpx.AsyncHTTPTransport(uds=asked.socket) if asked.socket else None
    return httpx.AsyncClient(transport=transport, headers=headers or asked.headers, timeout=timeout, auth=auth)


async def speak(asked, read, write):
    told = []

    async def hear(message):
        if isinstance(message, ServerNotification) and isinstance(message.root, TaskStatusNotification):
            told.append(message.root.params.taskId)

    async with ClientSession(read, write, message_handler=hear) as session:
        asked.revision((await session.initialize()).protocolVersion)
        asked.tools(tool.name for tool in (await session.list_tools()).tools)

        async def call(tool, arguments):
            result = await session.call_tool(tool, arguments)
            return result.isError, texts(result.content)

        async def later(tool, arguments):
            tasks = session.experimental
            task = (await tasks.call_tool_as_task(tool, arguments)).task.taskId
            if (await tasks.get_task(task)).status != "working":
                raise ValueError("it is not deferred")
            result = await tasks.get_task_result(task, CallToolResult)
            if task not in {one.taskId for one in (await tasks.list_tasks()).tasks}:
                raise ValueError("it is not listed")
            how = "told how far it is" if told and set(told) == {task} else f"told of {told}"
            told.clear()
            return result.isError, f"{how}\n{texts(result.content)}"

        await asked.make(later if asked.deferred else call)


async def client(asked):
    if asked.door == "stdio":
        server = StdioServerParameters(command=asked.atf, args=["connect"])
        async with stdio_client(server) as (read, write):
            await speak(asked, read, write)
    elif asked.door == "sse":
        by = functools.partial(http, asked)
        async with sse_client(asked.url, asked.headers, httpx_client_factory=by) as (read, write):
            await speak(asked, read, write)
    else:
        async with http(asked) as by, streamable_http_client(asked.url, http_client=by) as (read, write, _):
            await speak(asked, read, write)


if __name__ == "__main__":
    play(client)
