"""The world of the oracle's calls: nodes with agents, consumers, and servers behind addresses.

Of a virtual address the client sees the address, and the server itself. Everything here can be known to
agents; views.py says which of them know what of a call.
"""

from __future__ import annotations

from dataclasses import dataclass

CLUSTER = "test"
NODES = ("node-1", "node-2", "node-3")
HOST_NETNS = {node: 4026531840 + number for number, node in enumerate(NODES)}
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Caller:
    """A consumer. `node` is None without an agent. Pods have a netns of their own; a pod is known to the
    server's agent as well if it is `known_everywhere`.
    """

    name: str
    node: str | None
    ip: str
    netns: int | None = None
    namespace: str | None = None
    pod: str | None = None
    workload: str | None = None
    known_everywhere: bool = False
    process: str = "app"
    unit: str | None = None
    user_agent: str | None = None
    certificate: str | None = None


CALLERS = {
    one.name: one
    for one in (
        Caller("web", "node-1", "10.1.1.10", 11, "shop", "web-1", "web", True, user_agent="web/1"),
        Caller("batch", "node-2", "10.1.2.10", 12, "shop", "batch-1", "batch", user_agent="batch/2"),
        Caller("debug", "node-3", "10.1.3.10", 13, "shop", "debug", None, True, user_agent="curl/8"),
        Caller("cron", "node-1", "10.0.0.1", process="python3", unit="cron.service", user_agent="curl/8"),
        Caller("shell", "node-2", "10.0.0.2", process="curl"),
        Caller("partner", None, "203.0.113.7", certificate="partner.example", user_agent="partner/3"),
        Caller("browser", None, "203.0.113.8", user_agent="Mozilla/5.0"),
        Caller("scanner", None, "203.0.113.9"),
    )
}


@dataclass(frozen=True, slots=True)
class Place:
    """The address and node of one copy of a server."""

    node: str
    ip: str
    port: int
    netns: int
    pod: str | None = None


@dataclass(frozen=True, slots=True)
class Server:
    """A server. `host` is the Host header of its clients. A workload has a name and pods; without places it
    is external. `is_described` means that a specification is attached to it.
    """

    name: str
    host: str
    places: tuple[Place, ...] = ()
    namespace: str | None = None
    workload: str | None = None
    is_described: bool = False

    @property
    def api(self) -> tuple[str, str]:
        """Kind and name of the API, once the server was seen."""
        if not self.places:
            return "host", self.host
        if self.workload:
            return "workload", f"{self.namespace}/{self.workload}"
        return "process", f"{self.name}:{self.places[0].port}"


def _pods(name: str, last: int, nodes: tuple[str, ...]) -> tuple[Place, ...]:
    return tuple(
        Place(node, f"10.1.{node[-1]}.{last}", 8080, 100 * last + number, f"{name}-{number}")
        for number, node in enumerate(nodes)
    )


SERVERS = {
    one.name: one
    for one in (
        Server("orders", "orders.shop.svc", _pods("orders", 20, NODES), "shop", "orders", True),
        Server("users", "users.shop.svc", _pods("users", 21, ("node-1", "node-2")), "shop", "users"),
        Server("blue", "front.shop.svc", _pods("blue", 22, ("node-2",)), "shop", "blue"),
        Server("green", "front.shop.svc", _pods("green", 23, ("node-3", "node-1")), "shop", "green", True),
        Server("legacy", "legacy.local", (Place("node-2", "10.0.0.2", 9090, HOST_NETNS["node-2"]),)),
        Server("payments", "api.pay.example:443", is_described=True),
    )
}


@dataclass(frozen=True, slots=True)
class Address:
    """What clients connect to. `servers` are those that may answer there; with more than one, a call that
    only its client saw belongs to none of them. `local_to` is the node whose processes alone reach it.
    """

    ip: str
    port: int
    servers: tuple[str, ...]
    is_virtual: bool = False
    local_to: str | None = None

    @property
    def name(self) -> str:
        return f"{self.ip}:{self.port}"


ADDRESSES = {
    one.name: one
    for one in (
        Address("10.96.0.10", 80, ("orders",), True),
        Address("10.96.0.11", 80, ("users",), True),
        Address("10.96.0.12", 80, ("blue", "green"), True),
        Address("10.1.2.20", 8080, ("orders",)),  # a pod, called at its own address
        Address("10.0.0.2", 9090, ("legacy",)),
        Address(LOOPBACK, 9090, ("legacy",), local_to="node-2"),
        Address("93.184.216.34", 443, ("payments",)),
    )
}


DESCRIBED = ("workload=shop/orders", "workload=shop/green", "host=api.pay.example:443")
"""The target of the specification, as in the API's query."""
