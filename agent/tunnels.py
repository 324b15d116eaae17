"""Calls through a proxy's tunnel belong to the two ends of the tunnel, not to the proxy.

A view knows the ends of its socket only: the client's names the proxy as the server, the server's names it as
the client. They are joined by what passes a proxy unchanged, or by what the proxy does:

| a client's view                         | the proxy's own connection to the server is       |
|-----------------------------------------|---------------------------------------------------|
| TLS, after CONNECT or not               | the last socket that sent the same client's hello |
| plain HTTP, captured in the proxy       | the view's, if its process answered one CONNECT   |
|                                         | to that port while it opened the socket           |

The view's server is then the peer of that connection, its client the end that asked for the tunnel, and `via`
the proxy's own end: that is the address which the server's view has for the client, and by which the two are
found to be one exchange. A TLS view after CONNECT without such a socket (the proxy is on another node) has
the authority's address as its server if it names one; else the server is unknown.
"""

from __future__ import annotations

import ipaddress
import re
from collections import OrderedDict, deque
from dataclasses import dataclass, replace
from typing import TypeVar

from agent.events import Address, Chunk, ConnectionKey, Direction, Hello, Opened, Role
from agent.http.connections import ObservedExchange
from agent.http.messages import Exchange
from agent.identity.directory import Directory
from agent.views import PLAIN, Settled

MOST = 4096
"""Entries of each table; the oldest give way."""
_HELLO = re.compile(rb"\x16\x03...\x01.....(.{32})", re.DOTALL)
"""A record's head, a client's hello's head and version, its random."""
MAX_PORT = 65_535
MOST_SOCKETS = 8
"""Sockets remembered of one hello, and tunnels of one process to one port."""

K = TypeVar("K")
V = TypeVar("V")
Ends = tuple[Address, Address]
"""Of one socket: local and peer."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A tunnel as its client asked for it."""

    host: str
    port: int
    pid: int | None


@dataclass(frozen=True, slots=True)
class _Answered:
    """A tunnel as a proxy granted it: when it was asked for and answered. `ends` are of the asked socket."""

    ends: Ends
    host: str
    start_ns: int
    end_ns: int


class Tunnels:
    """Learns from events and CONNECT exchanges. Bounded by MOST.

    A hello is told by the kernel, or is in the first bytes that a client sends through a tunnel: the kernel
    does not look into what it has taken for HTTP.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._asked: OrderedDict[Ends, _Asked] = OrderedDict()
        self.expected: OrderedDict[ConnectionKey, Ends] = OrderedDict()  # tunnels without a hello yet
        self._answered: OrderedDict[tuple[int, int], deque[_Answered]] = OrderedDict()  # by pid and port
        self._opened: OrderedDict[Ends, int] = OrderedDict()  # sockets of clients, when (ns)
        self._randoms: OrderedDict[Ends, bytes] = OrderedDict()
        self._hellos: OrderedDict[bytes, deque[Ends]] = OrderedDict()  # in the order they were sent

    def opened(self, event: Opened) -> None:
        """A new socket: what was known of one with the same ends is over."""
        if event.role is Role.CLIENT and event.local is not None and event.peer is not None:
            ends = event.local, event.peer
            self._asked.pop(ends, None)
            self._randoms.pop(ends, None)
            _add(self._opened, ends, event.time_ns)

    def hello(self, event: Hello) -> None:
        """A TLS client began on a socket, as itself or passing another's bytes on."""
        ends = event.local, event.peer
        _add(self._randoms, ends, event.random)
        sockets = self._hellos.get(event.random) or deque(maxlen=MOST_SOCKETS)
        if ends not in sockets:
            sockets.append(ends)
        _add(self._hellos, event.random, sockets)

    def chunk(self, event: Chunk) -> None:
        """Bytes while some are `expected`: of a tunnel, the first."""
        if event.direction is not Direction.SENT:
            return
        ends = self.expected.pop(event.connection, None)
        if ends is not None and (found := _HELLO.match(event.data)) is not None:
            self.hello(Hello(event.time_ns, *ends, found[1]))

    def observe(self, observed: ObservedExchange) -> None:
        """Takes note of an exchange that opened a tunnel."""
        connection, exchange = observed
        target = _tunnel(exchange)
        if target is None or connection.local is None or connection.peer is None:
            return
        host, port = target
        ends = connection.local, connection.peer
        if connection.role is Role.CLIENT:
            _add(self._asked, ends, _Asked(host, port, connection.pid))
            _add(self.expected, connection.connection, ends)
        elif connection.role is Role.SERVER and connection.pid is not None:
            assert exchange.request is not None
            assert exchange.response is not None
            known = self._answered.get((connection.pid, port)) or deque(maxlen=MOST_SOCKETS)
            known.append(_Answered(ends, host, exchange.request.start_ns, exchange.response.start_ns))
            _add(self._answered, (connection.pid, port), known)

    def through(self, view: Settled) -> Settled:
        """The view with the ends of the tunnel, where it went through one."""
        connection = view.connection
        if connection.role is not Role.CLIENT or connection.local is None or connection.peer is None:
            return view
        ends = connection.local, connection.peer
        if connection.connection.source in PLAIN:
            return self._from_client(view, ends)
        return self._to_server(view, ends)

    def _to_server(self, view: Settled, ends: Ends) -> Settled:
        random = self._randoms.get(ends)
        sockets = self._hellos.get(random, deque()) if random is not None else deque()
        if len(sockets) > 1 and sockets[-1] != ends:
            local, peer = sockets[-1]
            return replace(view, peer=self._directory.peer(peer), via=self._directory.endpoint(local, None))
        asked = self._asked.get(ends)
        if asked is None or _tunnel(view.exchange) is not None:
            return view
        return replace(view, peer=self._directory.peer(_literal(asked.host, asked.port)))

    def _from_client(self, view: Settled, ends: Ends) -> Settled:
        local, peer = ends
        pid, opened = view.connection.pid, self._opened.get(ends)
        if pid is None or opened is None or (pid, peer.port) not in self._answered:
            return view
        open_then = [
            one
            for one in self._answered[pid, peer.port]
            if one.start_ns <= opened <= one.end_ns and _may_be(one.host, peer.ip)
        ]
        if len(open_then) != 1:
            return view
        proxy, client = open_then[0].ends
        asked = self._asked.get((client, proxy))
        process = None if asked is None or asked.pid is None else self._directory.process(asked.pid)
        return replace(
            view,
            local=self._directory.peer(client),
            process=process,
            via=self._directory.endpoint(local, None),
        )


def _tunnel(exchange: Exchange) -> tuple[str, int] | None:
    """Host and port of the tunnel that an exchange opened; None if it opened none. One of HTTP/2 is a stream,
    beside which the connection goes on.
    """
    request = exchange.request
    if (
        exchange.upgraded != b"CONNECT"
        or request is None
        or exchange.response is None
        or request.version == b"2"
    ):
        return None
    host, _, port = request.target.decode("latin-1").rpartition(":")
    return (host.strip("[]"), int(port)) if port.isascii() and port.isdigit() and len(port) < 6 else None


def _literal(host: str, port: int) -> Address | None:
    """The address that is written; None for a name, and for one with a zone, which may be any text."""
    if "%" in host or port > MAX_PORT:
        return None
    try:
        return Address(str(ipaddress.ip_address(host)), port)
    except ValueError:
        return None


def _may_be(host: str, ip: str) -> bool:
    """Whether a host may have this address: a name may have any."""
    literal = _literal(host, 0)
    return literal is None or literal.ip == ip


def _add(table: OrderedDict[K, V], key: K, value: V) -> None:
    table[key] = value
    table.move_to_end(key)
    if len(table) > MOST:
        table.popitem(last=False)
