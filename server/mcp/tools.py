"""The tools, one row each, and the resources, which are calls of tools under an address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from server.analysis.coverage.counts import By
from server.query.fields import ListName, fields_of
from server.query.sorting import SORTS

LIMIT, MOST_ITEMS = 20, 100  # of a list: usual, and at most
MOST_VALUE = 4_000  # characters of an argument

Shape = Literal["item", "list", "text", "coverage"]
"""How a route's answer becomes a result: as it is; page by page; a text, part by part; or coverage."""


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a tool; one with `values` has one of these."""

    name: str
    meaning: str
    kind: Literal["string", "integer"] = "string"
    required: bool = False
    values: Sequence[str] = ()

    @property
    def schema(self) -> dict[str, Any]:
        """As JSON Schema."""
        known: dict[str, Any] = {"type": self.kind, "description": self.meaning}
        if self.values:
            known["enum"] = [*self.values]
        if self.kind == "integer":
            known |= {"minimum": 1, "maximum": MOST_ITEMS, "default": LIMIT}
        return known


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that reads the route at `path`, below /api/v1; arguments that the path names are parts of it,
    and those in `own` are not for the route.
    """

    name: str
    title: str
    description: str
    path: str
    arguments: Sequence[Argument] = ()
    shape: Shape = "item"
    own: frozenset[str] = field(default_factory=frozenset)

    @property
    def schema(self) -> dict[str, Any]:
        """Its arguments as JSON Schema."""
        return {
            "type": "object",
            "properties": {one.name: one.schema for one in self.arguments},
            "required": [one.name for one in self.arguments if one.required],
            "additionalProperties": False,
        }


CURSOR = Argument("cursor", "`next` of the previous answer, for the following part")
API = Argument("api", "The API's id, as list_apis gives it", required=True)
CLUSTER = Argument("cluster", "Only of this cluster")
STATES = ("shadow", "zombie", "unused")


def _list(
    name: str,
    of: ListName,
    title: str,
    description: str,
    *more: Argument,
    path: str = "",
    ordered: bool = True,
) -> Tool:
    """A tool for a list that takes queries."""
    fields = ", ".join(fields_of(of))
    orders = ", ".join(SORTS[of])
    arguments = (
        *more,
        Argument(
            "query",
            f'Terms such as `field:value -field:value since:1h "some words"`, all of which must hold.'
            f" Fields: {fields}. The resource spectap://query-fields/{of.value} explains them",
        ),
        *([Argument("sort", f"One of {orders}; from the highest with - before it")] if ordered else []),
        Argument("limit", f"Items of this answer, at most {MOST_ITEMS}", "integer"),
        CURSOR,
    )
    return Tool(name, title, description, path or f"/{of.value}", arguments, "list")


TOOLS: Sequence[Tool] = (
    _list(
        "list_apis",
        ListName.APIS,
        "APIs",
        "The APIs that are called or specified, most recently called first: name, hosts, workload, numbers of"
        " exchanges and operations, verdicts, specifications.",
    ),
    _list(
        "list_operations",
        ListName.OPERATIONS,
        "Operations",
        "Operations (method and path template) of all APIs, busiest first: statuses, verdicts, latency,"
        " consumers. state=shadow: called and not described by the API's specification; zombie: called"
        " though deprecated; unused: described and never called (of these, query api:ID at most).",
        Argument("state", "Only operations of this state", values=STATES),
    ),
    _list(
        "list_deviations",
        ListName.DEVIATIONS,
        "Deviations",
        "Differences between traffic and specifications, each once, most recently seen first: operation,"
        " kind, place, message, severity, fault, count, consumers. Without ignored ones, unless the query has"
        " state:all or state:ignored.",
    ),
    Tool(
        "get_deviation",
        "A deviation",
        "One deviation with its evidence: its exact places in an exchange that shows it (whose id leads to"
        " get_exchange), and what the specification says there.",
        "/deviations/{deviation}",
        (Argument("deviation", "Its id", required=True),),
    ),
    _list(
        "list_consumers",
        ListName.CONSUMERS,
        "Consumers",
        "Who calls, busiest first, with the calls that the query selects. deprecated:yes lists those who must"
        " be told before something is removed.",
    ),
    _list(
        "list_consumer_operations",
        ListName.CONSUMERS,
        "Operations of a consumer",
        "The operations that one consumer calls, most called first, by status.",
        Argument("consumer", "The consumer's id, as list_consumers gives it", required=True),
        path="/consumers/{consumer}/operations",
        ordered=False,
    ),
    _list(
        "list_exchanges",
        ListName.EXCHANGES,
        "Exchanges",
        "Stored exchanges (requests with their responses), newest first; long values are cut, get_exchange"
        " has more. Secrets were replaced by placeholders before they were stored.",
    ),
    Tool(
        "get_exchange",
        "An exchange",
        "One exchange with headers, bodies, deviations and both views of it. Secrets were replaced by"
        " placeholders before it was stored.",
        "/exchanges/{exchange}",
        (Argument("exchange", "Its id", required=True),),
    ),
    Tool(
        "get_coverage",
        "Coverage",
        "How much of an API's specifications live traffic exercised: operations, parameters and fields, in"
        " all, by level, tag and consumer, and what capture missed. With an operation: its parameters and"
        " fields.",
        "/apis/{api}/coverage",
        (
            API,
            Argument("operation", 'Only this operation, such as "GET /users/{id}"'),
            Argument("consumer", "Only by consumers of this name; * and ? match anything"),
            Argument("by", "What consumers are distinguished by", values=[*By]),
            Argument("level", "Only operations of this level", values=("stable", "beta", "alpha")),
            Argument("tag", "Only operations with this tag"),
        ),
        "coverage",
        frozenset({"operation"}),
    ),
    Tool(
        "get_specification",
        "Specification",
        "An API's specification as it was uploaded, part by part: the newest, or the one with the id `spec`.",
        "/apis/{api}/spec",
        (API, Argument("spec", "The specification's id, as list_apis gives it"), CURSOR),
        "text",
        frozenset({"cursor"}),
    ),
    Tool(
        "get_specification_part",
        "Part of a specification",
        "What an API's newest specification says of an operation, or at a JSON pointer, such as that of a"
        " reference ($ref).",
        "/apis/{api}/spec/part",
        (
            API,
            Argument("operation", 'Such as "GET /users/{id}"'),
            Argument("place", 'Else a JSON pointer, such as "/components/schemas/User"'),
        ),
    ),
    Tool(
        "get_ledger",
        "Ledger",
        "The account of every byte and exchange, from kernel to database: what was lost or left out, and the"
        " largest lag of an agent. Look here before concluding that something is never called.",
        "/ledger",
        (CLUSTER,),
    ),
    Tool(
        "list_agents",
        "Agents",
        "Every start of every agent, the latest report first: node, what it captures, lag, and its ledger.",
        "/agents",
        (
            CLUSTER,
            Argument("node", "Only of this node"),
            Argument("limit", f"Items of this answer, at most {MOST_ITEMS}", "integer"),
            CURSOR,
        ),
        "list",
    ),
)
BY_NAME: Mapping[str, Tool] = {one.name: one for one in TOOLS}
QUERY_FIELDS = Tool(
    "query_fields",
    "Fields of queries",
    "The fields that the query of a list takes, with their meaning and usual values.",
    "/query/fields",
    (Argument("list", "The list", required=True, values=[*ListName]),),
)


@dataclass(frozen=True, slots=True)
class ResourceRow:
    """A tool's answer at an address; `{name}` in it is an argument of the tool."""

    address: str
    tool: Tool


SCHEME = "spectap://"
RESOURCES: Sequence[ResourceRow] = (
    ResourceRow("apis", BY_NAME["list_apis"]),
    ResourceRow("deviations", BY_NAME["list_deviations"]),
    ResourceRow("deviations/{deviation}", BY_NAME["get_deviation"]),
    ResourceRow("consumers", BY_NAME["list_consumers"]),
    ResourceRow("ledger", BY_NAME["get_ledger"]),
    ResourceRow("agents", BY_NAME["list_agents"]),
    ResourceRow("apis/{api}/coverage", BY_NAME["get_coverage"]),
    ResourceRow("apis/{api}/specification", BY_NAME["get_specification"]),
    ResourceRow("exchanges/{exchange}", BY_NAME["get_exchange"]),
    ResourceRow("query-fields/{list}", QUERY_FIELDS),
)
