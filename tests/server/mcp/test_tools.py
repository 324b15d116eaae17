"""Each tool names a route of the API and parameters that it has."""

from __future__ import annotations

import re
from pathlib import Path

from server.mcp.answering import RENAMED
from server.mcp.tools import BY_NAME, QUERY_FIELDS, RESOURCES, TOOLS
from tests.server.running import Client


def test_each_argument_is_one_of_the_tools_route(client: Client) -> None:
    routes = client.http.get("/openapi.json").json()["paths"]
    anonymous = {re.sub(r"\{\w+\}", "{}", path): item for path, item in routes.items()}
    for tool in (*TOOLS, QUERY_FIELDS):
        route = anonymous[re.sub(r"\{\w+\}", "{}", f"/api/v1{tool.path}")]["get"]
        known = {one["name"] for one in route["parameters"]}
        named = set(re.findall(r"\{(\w+)\}", tool.path))
        given = {one.name for one in tool.arguments}
        assert named <= given, tool.name
        assert {RENAMED.get(name, name) for name in given - named - tool.own} <= known, tool.name


def test_the_documentation_lists_every_tool() -> None:
    page = (Path(__file__).parents[3] / "docs/assistants.md").read_text()
    assert re.findall(r"^\| `(\w+)` \|", page, flags=re.MULTILINE) == [*BY_NAME]


def test_tools_have_short_descriptions_and_distinct_names() -> None:
    assert len(BY_NAME) == len(TOOLS)
    assert all(len(one.description) < 400 for one in TOOLS)


def test_the_arguments_of_a_resource_are_those_its_tool_requires() -> None:
    for row in RESOURCES:
        required = {one.name for one in row.tool.arguments if one.required}
        assert set(re.findall(r"\{(\w+)\}", row.address)) == required
