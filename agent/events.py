"""Events: the facts that a source reports, and the input of every later stage.

A source (the live kernel, a recording, a test's list) yields them in order; nothing downstream reads a clock,
/proc or a socket. Times are nanoseconds of CLOCK_MONOTONIC; `Clock` relates them to the wall clock. Positions
count bytes of one half of a connection from the first byte the source saw, so a missing chunk shows as a
jump.
"""

from __future__ import annotations

from enum import StrEnum

from agent.frozen import dataclass

PACKET = "packet"
"""The source of connections that were captured as packets."""


class Direction(StrEnum):
    """The direction of bytes, as the captured process sees it."""

    SENT = "sent"
    RECEIVED = "received"

    @property
    def opposite(self) -> Direction:
        """The other direction."""
        return Direction.RECEIVED if self is Direction.SENT else Direction.SENT


class Role(StrEnum):
    """Which end of the connection the captured process is."""

    CLIENT = "client"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class ConnectionKey:
    """One connection as one process sees it.

    `source` is "socket", PACKET or the name of a TLS library; `address` is the kernel's `struct sock *`, a
    hash of ends and first sequence number, or the library's connection pointer; `generation` tells apart two
    connections at one address. `pid` is None for sockets, which processes may share.
    """

    source: str
    address: int
    generation: int
    pid: int | None = None


@dataclass(frozen=True, slots=True)
class Address:
    """One end of a TCP connection; `netns` is the network namespace's inode number."""

    ip: str
    port: int
    netns: int | None = None


@dataclass(frozen=True, slots=True)
class Clock:
    """wall clock = monotonic clock + `offset_ns`; `boot_id` makes pids unique over reboots."""

    offset_ns: int
    boot_id: str


@dataclass(frozen=True, slots=True)
class ProcessSeen:
    """A process as /proc described it when the source first saw it; absent facts are None.

    `start_ticks` is field 22 of /proc/PID/stat; `cgroup` the path of /proc/PID/cgroup that says most; `image`
    that of its container, if the runtime has written it down.
    """

    time_ns: int
    pid: int
    start_ticks: int | None
    name: str
    executable: str | None
    cgroup: str | None
    image: str | None = None


@dataclass(frozen=True, slots=True)
class ProcessGone:
    """The last thread of `pid` has exited."""

    time_ns: int
    pid: int


@dataclass(frozen=True, slots=True)
class PodContainer:
    """A container of a pod: its id at the runtime, its image as the pod names it, and that image's digest
    ("sha256:…"); absent facts are None.
    """

    id: str | None
    name: str
    image: str | None
    digest: str | None


@dataclass(frozen=True, slots=True)
class PodsWatched:
    """From here on the pods of this node are reported. `unknown` says whether a pod is captured of which
    nothing is known; `others` whether processes are that belong to no pod.
    """

    time_ns: int
    unknown: bool
    others: bool


@dataclass(frozen=True, slots=True)
class PodSeen:
    """A pod of this node, as the Kubernetes API describes it now.

    `uid` is the one in the path of its cgroup. `ips` are its own: none if it has the node's network, or has
    ended. `workload` is the object that a person created, with its kind; `labels` are those chosen to leave
    the node. `captured` says whether its processes are captured. `aggregation_header` is the request header,
    in lower case, that its annotation names to group calls by.
    """

    time_ns: int
    uid: str
    name: str
    namespace: str
    node: str | None
    workload: str | None
    workload_kind: str | None
    labels: tuple[tuple[str, str], ...]
    ips: tuple[str, ...]
    containers: tuple[PodContainer, ...]
    captured: bool
    aggregation_header: str | None = None


@dataclass(frozen=True, slots=True)
class PodGone:
    """The pod with this UID was deleted."""

    time_ns: int
    uid: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection was established during capture, so its halves are captured from byte 0."""

    time_ns: int
    connection: ConnectionKey
    local: Address | None
    peer: Address | None
    role: Role | None


@dataclass(frozen=True, slots=True)
class Chunk:
    """`length` bytes at `position` of one half; `data` holds the captured prefix, possibly all of it.

    `capped`: the bytes missing after `data` are the part of a body beyond the cap, left out on purpose.

    `pid`, `local`, `peer` and `role` are None if the source does not know them. `from_start` is false if the
    connection is older than the source (a late join).
    """

    time_ns: int
    connection: ConnectionKey
    direction: Direction
    position: int
    length: int
    data: bytes
    pid: int | None
    local: Address | None
    peer: Address | None
    role: Role | None
    from_start: bool
    capped: bool = False


@dataclass(frozen=True, slots=True)
class Hello:
    """A TLS client began on this socket. `random` is the one of its hello (RFC 8446 section 4.1.2), which no
    other connection has, and which is the same on each socket that the bytes are passed on to.
    """

    time_ns: int
    local: Address
    peer: Address
    random: bytes


@dataclass(frozen=True, slots=True)
class Closed:
    """The connection was closed: no chunk of this key follows."""

    time_ns: int
    connection: ConnectionKey


@dataclass(frozen=True, slots=True)
class Lost:
    """The source counted `count` in the bucket `what` (agent/ledger.py); no chunk will carry them."""

    time_ns: int
    what: str
    count: int


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed; stages may give up waiting."""

    time_ns: int


PodEvent = PodsWatched | PodSeen | PodGone
Event = Clock | ProcessSeen | ProcessGone | PodEvent | Opened | Hello | Chunk | Closed | Lost | Tick
