"""An assistant: the official client of the Model Context Protocol."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from mcp import Client, StdioServerParameters

from server.mcp.tools import TOOLS
from tests.server.running import PATIENCE_S

T = TypeVar("T")
SPECTAP = str(Path(sys.executable).with_name("spectap"))


def program(*arguments: str) -> StdioServerParameters:
    """`spectap mcp`, on stdin and stdout."""
    return StdioServerParameters(command=SPECTAP, args=["mcp", *arguments])


def with_client(server: Any, use: Callable[[Client], Awaitable[T]], **options: Any) -> T:
    """What `use` returns, given a client of a server: a program, a transport or a URL."""

    async def whole() -> T:
        async with asyncio.timeout(PATIENCE_S), Client(server, **options) as client:
            return await use(client)

    return asyncio.run(whole())


async def text_of(client: Client, name: str, **arguments: Any) -> str:
    """The text of a tool's answer, which is no error."""
    text, wrong = await _called(client, name, arguments)
    assert not wrong, text
    return text


async def _called(client: Client, name: str, arguments: dict[str, Any]) -> tuple[str, bool]:
    result = await client.call_tool(name, arguments)
    (content,) = result.content
    assert content.type == "text"
    return str(content.text), bool(result.is_error)


async def result_of(client: Client, name: str, **arguments: Any) -> Any:
    """A tool's answer: items, or one thing."""
    found = json.loads(await text_of(client, name, **arguments))
    return found["items"] if "items" in found else found.get("result", found)


async def error_of(client: Client, name: str, **arguments: Any) -> str:
    """The message of a tool's error."""
    text, wrong = await _called(client, name, arguments)
    assert wrong
    return text


async def everything(client: Client) -> dict[str, str]:
    """The answers of all tools and resources, for each id that the lists have."""
    found = {one.name: await text_of(client, one.name) for one in TOOLS if not _required(one)}
    for one in TOOLS:
        if names := _required(one):
            (name,) = names
            for id in _ids(found[f"list_{name}s"]):
                found[f"{one.name} {id}"], _ = await _called(client, one.name, {name: id})
    for resource in (await client.list_resources()).resources:
        (content,) = (await client.read_resource(str(resource.uri))).contents
        found[str(resource.uri)] = content.model_dump_json()
    return found


def _required(tool: Any) -> list[str]:
    return [one.name for one in tool.arguments if one.required]


def _ids(text: str) -> Iterator[str]:
    for item in json.loads(text)["items"]:
        yield item["id"]
