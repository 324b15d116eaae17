"""The responses of the API, as documented at /openapi.json."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, Field

from server.analysis.inventory import ApiKind
from server.store.rows import DeviationState

Time = Annotated[str, Field(description="RFC 3339, UTC.", examples=["2026-11-23T12:00:00.123456789Z"])]

T = TypeVar("T")


class Problem(BaseModel):
    """RFC 9457. It never contains captured values."""

    type: str
    title: str
    status: int
    detail: str


class Page(BaseModel, Generic[T]):
    items: list[T]
    next: str | None = Field(
        description="The cursor of the next page; null on the last page. Of exchanges, a page before that may"
        " be short or empty: 20,000 are searched for one."
    )


class FacetValue(BaseModel):
    value: str | None = Field(description="Null where there is none, such as a status without a response.")
    count: int


class Facets(BaseModel):
    """Counts of the newest 10,000 exchanges that a query selects."""

    total: int
    more: bool = Field(description="Whether the query selects more: `total` is then 10,000.")
    facets: dict[str, list[FacetValue]] = Field(description="By field, the 20 most frequent values.")


class QueryFieldInfo(BaseModel):
    name: str = Field(examples=["status"])
    meaning: str
    example: str = Field(description="A value.", examples=["5xx"])
    values: list[str] = Field(description="Its usual values, if these are few.")


class QueryFields(BaseModel):
    items: list[QueryFieldInfo]


class Text(BaseModel):
    """Bytes that are UTF-8."""

    text: str


class Base64(BaseModel):
    """Bytes that are not UTF-8."""

    base64: str


Bytes = Text | Base64
Header = Annotated[
    tuple[Bytes, Bytes],
    Field(description="Name and value.", json_schema_extra={"items": {}}),  # linters want items, too
]


class Acked(BaseModel):
    acked: int = Field(description="The sequence number of the batch, which is now stored.")


class Named(BaseModel):
    id: str
    title: str
    version: str


class HostRoute(BaseModel):
    host: str
    path: str
    source: str = Field(description="The object of Kubernetes that says so: Ingress or HTTPRoute.")


class Api(BaseModel):
    id: str = Field(
        description="Opaque and stable. GET of an earlier id, or of one in `merged`, is redirected to this."
    )
    name: str
    kind: ApiKind = Field(
        description="How it is identified. address and host: only clients were captured; declared: a"
        " specification was uploaded before any traffic."
    )
    internal: bool
    hosts: list[str] = Field(description="Names that clients used.")
    routes: list[HostRoute] = Field(
        description="Hosts and paths that Ingresses and HTTPRoutes lead to its workload, at most 100."
    )
    node: str | None
    process: str | None
    executable: str | None
    port: int | None
    namespace: str | None
    workload: str | None
    cluster: str | None
    exchanges: int
    uncertain: int = Field(
        description="Exchanges not in `exchanges`, each of which may be another one, seen from the other end."
    )
    operations: int
    verdicts: dict[str, int] = Field(
        description="Of both, under the present specifications. Calls past retention when these changed"
        " are unjudged, or shadow if their operation is not described."
    )
    first_seen: Time | None
    last_seen: Time | None
    specs: list[Named]
    merged: list[str]


class Caller(BaseModel):
    kind: str
    name: str
    count: int


class OperationCaller(Caller):
    first_seen: Time = Field(description="To the hour; older ones to the day.")
    last_seen: Time


class ConsumerCalls(BaseModel):
    """A consumer with the calls that were asked for."""

    id: str = Field(description="Opaque and stable.")
    kind: str = Field(examples=["workload"])
    name: str = Field(examples=["front/till"])
    calls: int = Field(description="Including uncertain ones.")
    deprecated_calls: int = Field(description="Those of deprecated operations.")
    operations: int
    apis: int
    first_seen: Time = Field(description="To the hour; older ones to the day.")
    last_seen: Time


class ConsumerOperation(BaseModel):
    """A consumer's calls of an operation."""

    id: str
    api: str = Field(description="The id of its API.")
    api_name: str
    operation: str = Field(examples=["GET /users/{id}"])
    deprecated: bool
    calls: int
    statuses: dict[str, int] = Field(description='By status; "none" if there was no response.')
    first_seen: Time = Field(description="To the hour; older ones to the day.")
    last_seen: Time


class PeriodCalls(BaseModel):
    """The calls of a period."""

    time: Time = Field(description="Its beginning.")
    statuses: dict[str, int] = Field(description='Calls by class, such as "2xx"; "none" had no response.')
    verdicts: dict[str, int] = Field(
        description="Of judged calls, under the present specifications. Decisions change those of calls that"
        " are stored."
    )
    faults: dict[str, int] = Field(
        description="Whose the difference is, of calls with one: `server`, `server-lax` or `caller`;"
        " `unknown` of those that an earlier version judged."
    )


class Stats(BaseModel):
    items: list[PeriodCalls]


class Latency(BaseModel):
    """Milliseconds, from the request's first byte to the response's last; accurate to 4.5 %."""

    p50: float | None
    p95: float | None
    p99: float | None


class ShownKind(StrEnum):
    """Why an operation is listed."""

    SPECIFIED = "specified"
    PROVISIONAL = "provisional"
    OVERFLOW = "overflow"
    UNSEEN = "unseen"
    UNUSED = "unused"


class SubOperation(BaseModel):
    """What a request asked for in its body or query, by a protocol above HTTP."""

    protocol: str = Field(description="graphql, jsonrpc or mcp.")
    kind: str = Field(
        description="GraphQL: query, mutation, subscription, persisted (without its document) or unknown (one"
        " of several in it); JSON-RPC and MCP: call or notification."
    )
    name: str = Field(
        description='The operation\'s name, or of GraphQL without one its root fields: "{cart, user}"; the'
        ' method, in MCP with the tool or prompt: "tools/call search". "" if there is none, "redacted" if it'
        " looked like a secret.",
        examples=["GetUser", "tools/call search"],
    )


class SubOperationCount(SubOperation):
    """How often; "(other)" counts names beyond 500 of an operation."""

    count: int
    failed: int = Field(
        description="Answers with an error: GraphQL's errors, JSON-RPC's error, MCP's isError."
    )
    unknown: int = Field(description="Answers not captured, or that do not say.")


class Answered(SubOperation):
    failed: bool | None = Field(description="Whether the answer has an error; null if it does not say.")


class Operation(BaseModel):
    id: str | None = Field(description="Opaque; null for one that was never called.")
    api: str = Field(description="The id of its API.")
    operation: str = Field(description='Such as "GET /users/{id}".')
    method: str
    template: str
    kind: ShownKind = Field(
        description="provisional: the template was made from traffic; overflow: beyond the bound;"
        " unseen: the request was not captured, or asks a proxy for a tunnel (CONNECT);"
        " unused: described, but never called."
    )
    operation_id: str | None
    deprecated: bool
    count: int
    uncertain: int = Field(
        description="Exchanges not in `count`, each of which may be another one, seen from the other end."
        " Statuses, verdicts, faults, latency and callers are of both."
    )
    statuses: dict[str, int] = Field(description='By status; "none" if there was no response.')
    verdicts: dict[str, int]
    faults: dict[str, int] = Field(description="Whose the difference is, of calls with one.")
    latency_ms: Latency
    callers: list[OperationCaller] = Field(description="The most active ones.")
    sub_operations: list[SubOperationCount] = Field(
        description="What its requests asked for in their bodies, most frequent first, at most 100."
    )
    first_seen: Time | None
    last_seen: Time | None


Warnings = Annotated[
    list[str], Field(description="Parts of the document that are not validated, each with its place.")
]


class SpecInfo(Named):
    api: str
    host: str | None
    base_path: str | None
    uploaded: Time
    warnings: Warnings


class Fetch(BaseModel):
    url: str = Field(
        description="URL of the document, or of the service (well-known paths are tried).", max_length=2000
    )
    host: str | None = Field(None, description="Host that it describes, if another.", max_length=200)
    workload: str | None = Field(
        None, description="Workload that it describes: NAMESPACE/NAME.", max_length=400
    )
    cluster: str | None = Field(
        None, description="Cluster of that host or workload; default: any.", max_length=300
    )
    base_path: str | None = Field(None, pattern="^/", max_length=400)
    api: str | None = Field(None, description="Id of the API that it describes.", max_length=100)
    token: str | None = Field(
        None, description="Sent as a bearer token; not kept.", max_length=10_000, repr=False
    )
    verify: bool = Field(True, description="Whether the service's certificate is checked.")


class Uploaded(BaseModel):
    id: str
    api: str
    title: str
    version: str
    operations: int
    warnings: Warnings


class Deviation(BaseModel):
    kind: str
    where: str
    pointer: str
    message: str
    severity: str = Field(description="high, medium or low, by kind and part.")
    fault: str = Field(description="server-lax: the server accepts what it must not; or server.")


class StoredDeviation(Deviation):
    id: str = Field(description="Opaque and stable: the same deviation has it again.")
    state: DeviationState
    reason: str | None = Field(description="Why it is ignored or accepted.")
    decided_by: str | None
    decided: Time | None
    api: str
    operation: str
    count: int
    callers: list[Caller]
    first_seen: Time
    last_seen: Time
    exchange: str | None = Field(description="The id of an exchange with it; null once deleted by retention.")


class Change(BaseModel):
    """One operation of a JSON Patch (RFC 6902)."""

    op: Literal["add", "replace", "remove"]
    path: str
    value: Any = None


class SpecPart(BaseModel):
    """A part of a specification as it was uploaded; references are left as they are written."""

    spec: Named
    place: str = Field(description="A JSON pointer (RFC 6901).", examples=["/paths/~1users/get"])
    content: Any
    marked: list[str] = Field(description="The keys that lead to what is in question in it; none if all is.")


class DeviationPlace(BaseModel):
    pointer: str = Field(description="A parameter's name, or a JSON pointer into the body.")
    message: str


class DeviationInContext(StoredDeviation):
    """A deviation with its evidence."""

    places: list[DeviationPlace] = Field(description="Its exact places in the exchange.")
    specified: list[SpecPart] = Field(description="What the specification says there.")
    patch: list[Change] = Field(description="If it is accepted: the change of the specification.")


class Ignore(BaseModel):
    reason: str = Field(min_length=1, max_length=1000)
    by: str | None = Field(None, description="Name of the person who decides.", max_length=200)


class Accept(BaseModel):
    reason: str | None = Field(None, max_length=1000)
    by: str | None = Field(None, description="Name of the person who decides.", max_length=200)


class Proposal(BaseModel):
    """A change of a specification under which an accepted deviation conforms."""

    operation: str
    kind: str
    where: str
    pointer: str
    spec: str = Field(description="The id of the specification that would change.")
    patch: list[Change]
    reason: str | None
    by: str | None
    time: Time


class Agent(BaseModel):
    agent: str
    epoch: str
    node: str | None
    cluster: str | None
    last_seq: int
    records: int
    first_seen: Time
    last_seen: Time
    watching: str | None = Field(
        description="What it captured when it last reported: `everything`, `heads` (no bodies, since it "
        "could not keep up), `sampled` (some connections, without bodies) or `nothing`. Null of an agent "
        "of an earlier version."
    )
    lag_s: float | None = Field(
        description="Seconds from the kernel to this database when it last reported; null if it captured "
        "nothing or did not report it."
    )
    ledger: dict[str, dict[str, int]]


class Balance(BaseModel):
    total: int
    settled: int = Field(description="The sum of the other buckets, each counted where it happened.")
    open: int = Field(description="The part in no bucket yet, or at work when an agent was killed.")
    ahead: int = Field(
        description="The part of the buckets beyond the total, which is older: for `delivery`, records that "
        "no ledger of their agent counts yet. If it is not 0, `open` is 0 and unknown."
    )
    left_out: list[str] = Field(
        description="Agents, at most 100, with a start that is left out of these sums: its version does not "
        "report the total."
    )


class Ledger(BaseModel):
    agents: dict[str, dict[str, int]] = Field(
        description="Totals over all agents and their starts, by bucket."
    )
    server: dict[str, int] = Field(
        description="The outcomes of the records that the server received; `received` are those of a cluster"
        " from before outcomes were counted by cluster."
    )
    lag_s: float | None = Field(
        description="The largest lag of an agent that captures, in seconds from the kernel to this database; "
        "null if none reports one."
    )
    balance: dict[str, Balance] = Field(
        description="`bytes` of those seen, `exchanges` of those parsed, `delivery` of those shipped. Agents "
        "report these with their next batch, so a total may be behind the server's counts."
    )
