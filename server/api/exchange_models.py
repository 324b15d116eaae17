"""An exchange in the responses of the API."""

from __future__ import annotations

from pydantic import BaseModel, Field

from server.api.models import Answered, Bytes, Deviation, Header, Time


class Endpoint(BaseModel):
    """One end of the connection; all but the first three are of the Kubernetes pod there."""

    ip: str
    port: int
    netns: int | None
    pod: str | None
    namespace: str | None
    workload: str | None = Field(description="The Deployment, StatefulSet, CronJob… that the pod is of.")
    workload_kind: str | None
    labels: dict[str, str] = Field(description="app.kubernetes.io/…, helm.sh/chart, Helm's release.")
    node: str | None
    container: str | None
    image: str | None = Field(description="The container's image as the pod names it.")
    digest: str | None = Field(description="That image's digest.")
    service: str | None = Field(
        description="The Service that has this address; the workload is that of the pods behind it."
    )


class Process(BaseModel):
    pid: int
    name: str
    executable: str | None
    unit: str | None = Field(description="systemd unit, of the host or within the container.")
    container: str | None = Field(description="Id of the innermost container.")
    pod: str | None = Field(description="UID of the Kubernetes pod.")
    image: str | None = Field(description="The container's image, as its runtime was given it.")
    boot_id: str
    start_ticks: int | None


class Timing(BaseModel):
    request_start: Time | None
    request_end: Time | None
    first_byte: Time | None
    end: Time | None


class Witness(BaseModel):
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
    via: Endpoint | None = Field(
        description="Of a client's view through a proxy's tunnel: the proxy's end of its connection to the"
        " server."
    )
    process: Process | None
    timing: Timing
    completeness: str
    error: str | None


class Message(BaseModel):
    headers: list[Header]
    trailers: list[Header]
    content_type: str | None
    size: int | None = Field(description="Size of the body on the wire, in bytes; null if unknown.")
    body: Bytes | None = Field(description="Decoded and redacted; null if none of it was kept.")
    events: int | None = Field(
        description="Server-sent events of an event stream, also beyond the part that is stored; null if it"
        " is none, is compressed, or bytes are missing."
    )
    complete: bool = Field(description="Whether the body is complete.")
    state: str = Field(description="How much of the body was captured.")


class Consumer(BaseModel):
    kind: str
    name: str
    user_agent: str | None
    credential_scheme: str | None
    credential: str | None = Field(description="A keyed fingerprint, never the secret.")
    client_name: str | None
    test_name: str | None
    aggregation: str | None
    facts: dict[str, str]


class Grpc(BaseModel):
    status: int | None
    request_messages: int | None
    response_messages: int | None
    request_bytes: int | None = Field(description="Content of all messages, as sent: perhaps compressed.")
    response_bytes: int | None
    request_largest: int | None = Field(description="Content of the largest message.")
    response_largest: int | None


class WebSocketHalf(BaseModel):
    """What one end of a WebSocket connection sent."""

    messages: int = Field(description="Text and binary messages.")
    text: int
    binary: int
    frames: int = Field(description="Of any kind, also control frames; a message may have several.")
    pings: int
    pongs: int
    compressed: int = Field(description="Messages that were compressed.")
    bytes: int = Field(description="Payload of all frames, as sent: perhaps compressed.")
    unseen: int = Field(description="Bytes that were lost, or could not be read as frames.")


class WebSocketText(BaseModel):
    sender: str = Field(description="client or server")
    time: Time
    data: Bytes = Field(description="JSON, redacted.")


class WebSocket(BaseModel):
    """A connection after its upgrade to WebSocket."""

    client: WebSocketHalf
    server: WebSocketHalf
    close_code: int | None = Field(
        description="Of the first Close frame: 1005 if it has none, 1006 if the connection ended without one;"
        " null if the connection was still open when it was reported, or bytes are unseen."
    )
    closed_by: str | None = Field(description="Which end sent the first Close frame: client or server.")
    open_ms: float | None = Field(description="From the upgrade to the last frame.")
    texts: list[WebSocketText] = Field(description="Text messages of JSON; kept only with --websocket.")


class Exchange(BaseModel):
    id: str = Field(description="The id of the first witness; every witness's id leads here.")
    time: Time
    api: str
    operation: str | None
    verdict: str | None = Field(description="Null if the API has no specification.")
    why: str | None = Field(
        description="What could not be checked, and what was wrong with a request that the server refused."
    )
    fault: str | None = Field(
        description="Whose the difference is: caller (a wrong request, refused), server-lax (a wrong request,"
        " accepted), server, or unknown (judged by an earlier version); null if there is none."
    )
    deprecated: bool
    uncertain: bool = Field(
        description="Whether it may be another exchange, seen from the other end: its only view has no ends."
    )
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
    request: Message | None
    response: Message | None
    duration_ms: float | None
    client: Endpoint | None
    server: Endpoint | None
    process: Process | None
    consumer: Consumer
    completeness: str
    upgraded: str | None
    error: str | None
    redactions: dict[str, int]
    grpc: Grpc | None = Field(description="For gRPC calls: gRPC's status, counts and sizes of messages.")
    sub_operations: list[Answered] = Field(description="What its body or query asks for, in that order.")
    websocket: WebSocket | None = Field(description="What followed an upgrade to WebSocket.")
    fields_unknown: int = Field(
        description="HTTP/2 header fields lost because capture started mid-connection."
    )
    witnesses: list[Witness]
