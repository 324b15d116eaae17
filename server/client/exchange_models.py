"""An exchange, with all that is known of it."""

from __future__ import annotations

from base64 import b64decode

from server.client.models import Model


class Bytes(Model, frozen=True):
    """Captured bytes: `text` if they are UTF-8, else `base64`."""

    text: str | None = None
    base64: str | None = None

    def __bytes__(self) -> bytes:
        return b64decode(self.base64) if self.base64 is not None else (self.text or "").encode()


class Deviation(Model, frozen=True):
    """A difference of one exchange from a specification."""

    kind: str
    where: str
    pointer: str
    message: str
    severity: str
    fault: str


class HttpMessage(Model, frozen=True):
    """A request or response; `size` is that of the body on the wire, None if unknown."""

    headers: list[tuple[Bytes, Bytes]]
    trailers: list[tuple[Bytes, Bytes]]
    content_type: str | None
    size: int | None
    body: Bytes | None
    events: int | None
    complete: bool
    state: str


class Endpoint(Model, frozen=True):
    """One end of the connection; all but the first three are of the Kubernetes pod there."""

    ip: str
    port: int
    netns: int | None
    pod: str | None
    namespace: str | None
    workload: str | None
    workload_kind: str | None
    labels: dict[str, str]
    node: str | None
    container: str | None
    image: str | None
    digest: str | None
    service: str | None


class Process(Model, frozen=True):
    """The process that a view was captured in."""

    pid: int
    name: str
    executable: str | None
    unit: str | None
    container: str | None
    pod: str | None
    image: str | None
    boot_id: str
    start_ticks: int | None


class Consumer(Model, frozen=True):
    """Who calls; `credential` is a keyed fingerprint."""

    kind: str
    name: str
    user_agent: str | None
    credential_scheme: str | None
    credential: str | None
    client_name: str | None
    test_name: str | None
    aggregation: str | None
    facts: dict[str, str]


class Grpc(Model, frozen=True):
    """gRPC's status, counts and sizes in bytes."""

    status: int | None
    request_messages: int | None
    response_messages: int | None
    request_bytes: int | None
    response_bytes: int | None
    request_largest: int | None
    response_largest: int | None


class Answered(Model, frozen=True):
    """A sub-operation, and whether its answer has an error."""

    protocol: str
    kind: str
    name: str
    failed: bool | None


class WebSocketHalf(Model, frozen=True):
    """What one end of a WebSocket connection sent."""

    messages: int
    text: int
    binary: int
    frames: int
    pings: int
    pongs: int
    compressed: int
    bytes: int
    unseen: int


class WebSocketText(Model, frozen=True):
    """A text message of JSON."""

    sender: str
    time: str
    data: Bytes


class WebSocket(Model, frozen=True):
    """A connection after its upgrade to WebSocket."""

    client: WebSocketHalf
    server: WebSocketHalf
    close_code: int | None
    closed_by: str | None
    open_ms: float | None
    texts: list[WebSocketText]


class Timing(Model, frozen=True):
    """When the parts of an exchange passed."""

    request_start: str | None
    request_end: str | None
    first_byte: str | None
    end: str | None


class Witness(Model, frozen=True):
    """One view of the exchange."""

    id: str
    agent: str
    node: str
    cluster: str | None
    side: str
    tls: str | None
    connection: str
    stream: int
    client: Endpoint | None
    server: Endpoint | None
    via: Endpoint | None
    process: Process | None
    timing: Timing
    completeness: str
    error: str | None


class Exchange(Model, frozen=True):
    """A request and its answer, redacted. `verdict` is None if the API has no specification."""

    id: str
    time: str
    api: str
    operation: str | None
    verdict: str | None
    why: str | None
    fault: str | None
    deprecated: bool
    uncertain: bool
    deviations: list[Deviation]
    side: str
    protocol: str
    tls: str | None
    method: str | None
    scheme: str | None
    host: str | None
    path: Bytes | None
    query: Bytes | None
    status: int | None
    interim: list[int]
    request: HttpMessage | None
    response: HttpMessage | None
    duration_ms: float | None
    client: Endpoint | None
    server: Endpoint | None
    process: Process | None
    consumer: Consumer
    completeness: str
    upgraded: str | None
    error: str | None
    redactions: dict[str, int]
    grpc: Grpc | None
    sub_operations: list[Answered]
    websocket: WebSocket | None
    fields_unknown: int
    witnesses: list[Witness]
