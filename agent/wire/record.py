"""The record's fields: what leaves the node of an exchange, redacted.

Absent is None, times are integer nanoseconds since the epoch (UTC), header names and values, paths
and bodies are raw bytes. A field with a default can be added to any of these classes without a new version:
an agent that does not send it gets the default, and a server that does not know it ignores it.

Trees of plain values form no cycles, so the garbage collector does not track them (`gc=False`): in bulk that
was an eighth of the cost of making records.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from msgspec import Meta, Struct, field

MAX_FIELDS = 16_384
"""Header or trailer fields of a message: agents read 64 KiB of it (agent/http/h1/heads.py), and a field has
at least four bytes.
"""
MAX_MASKS = 256  # agent/redact/mask_log.py; further ones are counted
MAX_SUB_OPERATIONS = 50  # agent/redact/sub_operations.py
MAX_TEXTS = 200  # agent/http/ws/texts.py: 100 each way
MAX_INTERIM = 16  # agent/http/h1/draft.py
MAX_NAMED = 1024  # labels, facts of a credential, rules of redaction: agents send some dozens

Pairs: TypeAlias = Annotated[tuple[tuple[bytes, bytes], ...], Meta(max_length=MAX_FIELDS)]
Texts: TypeAlias = Annotated[dict[str, str], Meta(max_length=MAX_NAMED)]
Counts: TypeAlias = Annotated[dict[str, int], Meta(max_length=MAX_NAMED)]
FROM_FILES = "file"
"""The agent and node of records whose file names none: their times are what the file says."""


class Endpoint(Struct, frozen=True, gc=False, omit_defaults=True):
    """One end of the connection. `netns` is the network namespace's inode, known for ends on this node.

    All further fields are of the Kubernetes pod at this end: its name, the object that a person created
    (Deployment, CronJob…), chosen labels, the node that runs it, and of the container its name, its image as
    the pod names it and that image's digest. A pod that is the peer has no container. At the address of a
    Service, `service` is its name and the workload that of the pods behind it; the server names these.
    """

    ip: str
    port: int
    netns: int | None = None
    pod: str | None = None
    namespace: str | None = None
    workload: str | None = None
    labels: Texts = field(default_factory=dict)
    workload_kind: str | None = None
    node: str | None = None
    container: str | None = None
    image: str | None = None
    digest: str | None = None
    service: str | None = None


class Process(Struct, frozen=True, gc=False):
    """The captured process; (boot_id, pid, start_ticks) is unique. `pod` is the UID of its pod, `image` the
    name of its container's image as the runtime was given it.
    """

    pid: int
    name: str
    boot_id: str
    start_ticks: int | None = None
    executable: str | None = None
    unit: str | None = None
    container: str | None = None
    pod: str | None = None
    image: str | None = None


class Body(Struct, frozen=True, gc=False):
    """A payload after transfer coding; `size` is its true length on the wire, `data` is content-decoded,
    redacted and at most the cap. `state` is one of agent.http.messages.BodyState; or "masked" if the text has
    no structure and was masked as a whole (data is None); or "malformed" if it is complete and not the JSON
    that its type declares (data is the readable prefix, or None). `events` counts the server-sent events of
    an event stream, also beyond the cap; None if it is none, is coded, or bytes are missing.
    """

    size: int | None
    data: bytes | None
    state: str
    events: int | None = None


class Request(Struct, frozen=True, gc=False):
    method: str
    scheme: str
    authority: bytes | None
    path: bytes  # as sent: percent-encoded, without query; the authority for CONNECT
    query: bytes | None  # without "?"; None if there was no "?"
    headers: Pairs
    trailers: Pairs
    body: Body
    content_type: str | None


class Response(Struct, frozen=True, gc=False):
    status: int
    headers: Pairs
    trailers: Pairs
    body: Body
    content_type: str | None
    interim: Annotated[tuple[int, ...], Meta(max_length=MAX_INTERIM)] = ()


class Timing(Struct, frozen=True, gc=False):
    """Wall-clock ns: the request's first and last byte, the response's first and last byte."""

    request_start: int | None
    request_end: int | None
    first_byte: int | None
    end: int | None


class Consumer(Struct, frozen=True, gc=False):
    """Hints at who called. `credential` is a keyed fingerprint (hex), never the secret; `facts` describe the
    credential, such as {"jwt.alg": "RS256", "basic": "true"}.
    """

    user_agent: str | None = None
    credential_scheme: str | None = None
    credential: str | None = None
    client_name: str | None = None
    test_name: str | None = None
    aggregation: str | None = None
    facts: Texts = field(default_factory=dict)


class Grpc(Struct, frozen=True, gc=False):
    """gRPC's status, and the messages of each direction: how many, bytes of all and of the largest, as sent
    and without their prefix; None if not seen.
    """

    status: int | None
    request_messages: int | None
    response_messages: int | None
    request_bytes: int | None = None
    response_bytes: int | None = None
    request_largest: int | None = None
    response_largest: int | None = None


class WebSocketHalf(Struct, frozen=True, gc=False):
    """What one end of a WebSocket connection sent: whole frames of any kind, text and binary messages, Ping
    and Pong frames, messages that were compressed, bytes of payload. `unseen` bytes were lost or not readable
    as frames: what they held is in no other count.
    """

    frames: int
    text: int
    binary: int
    pings: int
    pongs: int
    compressed: int
    bytes: int
    unseen: int


class WebSocketText(Struct, frozen=True, gc=False):
    """A text message of JSON, redacted. `sender` is client or server, `time` that of its last byte."""

    sender: str
    data: bytes
    time: int


class WebSocket(Struct, frozen=True, gc=False):
    """A connection after its upgrade to WebSocket.

    `close_code` is that of the first Close frame, which `closed_by` (client, server) sent: 1005 if it has
    none, 1006 if the connection ended without one, None if that is not known: it was still open when this was
    reported, or bytes are unseen. `end` is the time of the last frame. `texts` are only shipped if the
    operator asks for them.
    """

    client: WebSocketHalf
    server: WebSocketHalf
    close_code: int | None
    closed_by: str | None
    end: int | None
    texts: Annotated[tuple[WebSocketText, ...], Meta(max_length=MAX_TEXTS)] = ()


class SubOperation(Struct, frozen=True, gc=False):
    """One thing that a request asked for in its body or query, by a protocol above HTTP.

    `protocol` is graphql, jsonrpc or mcp. `kind` is query, mutation, subscription, persisted (the document is
    the server's) or unknown in GraphQL, call or notification in the others. `name` is the operation's, or of
    GraphQL without one its root fields as "{a, b}"; the method; in MCP also the tool: "tools/call search". It
    is "" where there is none, "redacted" where it was masked. `failed` is None if the answer does not say.
    """

    protocol: str
    kind: str
    name: str
    failed: bool | None


class Mask(Struct, frozen=True, gc=False):
    """A value that was replaced by a placeholder, which keeps its JSON type, format and length class.

    `where` is path, query, header, cookie, request.body, response.header, response.cookie or response.body;
    `pointer` the parameter's or header's name, the segment's index in the path, or the JSON pointer in the
    body; `rule` names the rule that found it. Enum, pattern and bounds there cannot be validated.
    """

    where: str
    pointer: str
    rule: str


class Record(Struct, frozen=True, gc=False):
    id: str  # hex of a hash over (agent, boot id, connection, generation, ordinal, side)
    agent: str
    node: str
    cluster: str | None
    time: int  # wall ns of the first byte seen
    monotonic: int
    protocol: str  # "h1", "h2", "h3" (reported in files only), "grpc"
    tls: str | None  # the library's name
    side: str  # client, server, unknown
    connection: str
    stream: int  # HTTP/2: the stream's number; HTTP/1: the exchange's ordinal in its connection
    client: Endpoint | None
    server: Endpoint | None
    process: Process | None
    request: Request | None
    response: Response | None
    timing: Timing
    consumer: Consumer
    completeness: str  # one of agent.http.messages.Completeness
    upgraded: str | None = None
    error: str | None = None
    masks: Annotated[tuple[Mask, ...], Meta(max_length=MAX_MASKS)] = ()
    masks_left_out: int = 0  # masks beyond the bound: then nothing below `where` can be validated
    redactions: Counts = field(default_factory=dict)
    grpc: Grpc | None = None
    fields_unknown: int = (
        0  # header fields not captured: HPACK entries older than the capture; 1 if none are reported
    )
    via: Endpoint | None = None  # of a client's view through a tunnel: the proxy's end that the server sees
    sub_operations: Annotated[tuple[SubOperation, ...], Meta(max_length=MAX_SUB_OPERATIONS)] = ()
    websocket: WebSocket | None = None
    absolute: bool = False  # both ends of the connection number their exchanges as `stream` does


def values_of(record: Record) -> int:
    """How many values its lists and maps hold: what bounds the memory of a batch beside its bytes."""
    request, response, websocket = record.request, record.response, record.websocket
    count = len(record.masks) + len(record.redactions) + len(record.sub_operations)
    count += len(record.consumer.facts)
    if request is not None:
        count += len(request.headers) + len(request.trailers)
    if response is not None:
        count += len(response.headers) + len(response.trailers) + len(response.interim)
    if websocket is not None:
        count += len(websocket.texts)
    for end in (record.client, record.server, record.via):
        if end is not None:
            count += len(end.labels)
    return count
