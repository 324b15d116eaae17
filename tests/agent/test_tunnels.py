"""Calls through a proxy's tunnel get the ends of the tunnel; what is not proven is left unknown."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count

import pytest

from agent import tunnels
from agent.events import (
    Address,
    Chunk,
    Clock,
    ConnectionKey,
    Direction,
    Event,
    Hello,
    Opened,
    ProcessSeen,
    Role,
)
from agent.ledger import Bytes, Ledger
from agent.pipeline import Pipeline
from agent.redact.policy import Policy
from agent.redact.redactor import Redactor
from agent.streams.table import Limits
from agent.views import Origin
from agent.wire import Endpoint, Record, pack_record
from server.analysis.witnesses import mark_of

CURL, PROXY, NGINX = 10, 20, 30
CLIENT, ASKED = Address("10.0.0.1", 40000, 7), Address("10.0.0.2", 8888, 7)
OWN, SERVER = Address("10.0.0.2", 50000, 7), Address("10.0.0.3", 443, 7)
RANDOM = bytes(range(32))
HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + RANDOM + b"rest"
SECRET = b"ghp_16C7e42F292c6912E7710c838347Ae178B4a"
CONNECT = b"CONNECT shop:443 HTTP/1.1\r\nHost: shop:443\r\n\r\n"
GRANTED = b"HTTP/1.0 200 Connection established\r\n\r\n"
GET, ANSWER = b"GET /a HTTP/1.1\r\nHost: shop\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Socket:
    """One end of a connection, and what passed there."""

    numbers = count(1)

    def __init__(self, local: Address, peer: Address, role: Role, pid: int, source: str = "socket") -> None:
        tls = None if source == "socket" else pid
        self.key = ConnectionKey(source, next(self.numbers), 1, tls)
        self.local, self.peer, self.role, self.pid = local, peer, role, pid
        self._at = dict.fromkeys(Direction, 0)

    def opened(self, time_ns: int) -> Opened:
        return Opened(time_ns, self.key, self.local, self.peer, self.role)

    def passed(self, time_ns: int, direction: Direction, data: bytes) -> Chunk:
        at = self._at[direction]
        self._at[direction] += len(data)
        ends = self.local, self.peer, self.role
        return Chunk(time_ns, self.key, direction, at, len(data), data, self.pid, *ends, True)

    def call(self, time_ns: int, asked: bytes, answered: bytes) -> list[Event]:
        way = Direction.SENT if self.role is Role.CLIENT else Direction.RECEIVED
        return [self.passed(time_ns, way, asked), self.passed(time_ns + 5, way.opposite, answered)]


def read(events: Iterable[Event], ledger: Ledger | None = None) -> list[Record]:
    pipeline = Pipeline(
        Origin("agent", "node", None), Policy(), Redactor(Policy(), b"k" * 32), ledger or Ledger(), Limits()
    )
    seen = [ProcessSeen(1, pid, 1, name, None, None) for pid, name in ((CURL, "curl"), (PROXY, "proxy"))]
    records = [
        record for event in (Clock(0, "boot"), *seen, *events) for record in pipeline.process(event).records
    ]
    return records + pipeline.finish().records


def inner(records: Iterable[Record], side: str = "client") -> Record:
    (found,) = [one for one in records if one.side == side and one.request and one.request.path == b"/a"]
    return found


def asking(connect: bytes = CONNECT) -> tuple[Socket, list[Event]]:
    """The client's socket, which asked for a tunnel at 100 and was answered at 105."""
    socket = Socket(CLIENT, ASKED, Role.CLIENT, CURL)
    return socket, [socket.opened(90), *socket.call(100, connect, GRANTED)]


def tls(socket: Socket) -> Socket:
    """The connection of a TLS library on that socket."""
    return Socket(socket.local, socket.peer, socket.role, socket.pid, "openssl")


def answering(start: int = 101, connect: bytes = CONNECT, client: Address = CLIENT) -> list[Event]:
    """The proxy's side of the same, answered 3 later."""
    socket = Socket(ASKED, client, Role.SERVER, PROXY)
    return [
        socket.opened(91),
        socket.passed(start, Direction.RECEIVED, connect),
        socket.passed(start + 3, Direction.SENT, GRANTED),
    ]


def test_the_client_of_a_tunnelled_tls_call_names_the_server_that_the_proxy_sent_its_hello_to() -> None:
    socket, events = asking()
    events += [Hello(110, CLIENT, ASKED, RANDOM), Hello(111, OWN, SERVER, RANDOM)]
    client = inner(read([*events, *tls(socket).call(120, GET, ANSWER)]))
    served = Socket(SERVER, OWN, Role.SERVER, NGINX, "openssl")
    server = inner(read(served.call(121, GET, ANSWER)), "server")
    assert (client.client, client.server) == (Endpoint("10.0.0.1", 40000, 7), Endpoint("10.0.0.3", 443))
    assert client.via == Endpoint("10.0.0.2", 50000, 7)
    assert server.via is None
    assert mark_of(client) == mark_of(server)  # they are one exchange


def test_through_several_proxies_the_last_ones_server_is_named() -> None:
    further = Address("10.0.0.4", 50001, 7), Address("10.0.0.5", 443, 7)
    socket, events = asking()
    events += [
        Hello(110, CLIENT, ASKED, RANDOM),
        Hello(111, OWN, SERVER, RANDOM),
        Hello(112, *further, RANDOM),
    ]
    client = inner(read([*events, *tls(socket).call(120, GET, ANSWER)]))
    assert client.server == Endpoint("10.0.0.5", 443)


def test_a_client_whose_tls_is_fed_from_memory_shows_its_hello_in_the_tunnels_first_bytes() -> None:
    socket, events = asking()
    events += [socket.passed(110, Direction.SENT, HELLO), Hello(111, OWN, SERVER, RANDOM)]
    client = inner(read([*events, *tls(socket).call(120, GET, ANSWER)]))
    assert client.server == Endpoint("10.0.0.3", 443)


@pytest.mark.parametrize("authority", [b"[fe80::1%" + SECRET + b"]:443", b"10.0.0.9:99999"])
def test_an_authority_with_a_zone_or_an_impossible_port_names_no_server(authority: bytes) -> None:
    """A zone may be any text, which a record's address must not carry away."""
    socket, events = asking(CONNECT.replace(b"shop:443", authority))
    records = read([*events, *tls(socket).call(120, GET, ANSWER)])
    assert inner(records).server is None
    assert not any(SECRET in pack_record(record) for record in records)


@pytest.mark.parametrize(
    ("connect", "server"),
    [(CONNECT, None), (CONNECT.replace(b"shop:443", b"[2001:db8::1]:443"), Endpoint("2001:db8::1", 443))],
    ids=["a name", "an address"],
)
def test_where_the_proxy_is_elsewhere_the_server_is_what_the_authority_says(
    connect: bytes, server: Endpoint | None
) -> None:
    socket, events = asking(connect)
    client = inner(read([*events, Hello(110, CLIENT, ASKED, RANDOM), *tls(socket).call(120, GET, ANSWER)]))
    assert (client.server, client.via) == (server, None)


def test_a_tls_call_without_a_tunnel_keeps_its_ends() -> None:
    socket = Socket(CLIENT, SERVER, Role.CLIENT, CURL)
    events = [socket.opened(90), Hello(110, CLIENT, SERVER, RANDOM), *tls(socket).call(120, GET, ANSWER)]
    assert inner(read(events)).server == Endpoint("10.0.0.3", 443)


def test_a_new_connection_from_the_same_port_is_not_taken_for_the_tunnel_before() -> None:
    socket, events = asking()
    events += [Hello(110, CLIENT, ASKED, RANDOM), Hello(111, OWN, SERVER, RANDOM), socket.opened(200)]
    assert inner(read([*events, *tls(socket).call(220, GET, ANSWER)])).server == Endpoint("10.0.0.2", 8888)


def test_the_connect_call_itself_is_one_of_the_proxy() -> None:
    _, events = asking()
    (record,) = read([*events, Hello(110, CLIENT, ASKED, RANDOM), Hello(111, OWN, SERVER, RANDOM)])
    assert record.request is not None
    assert (record.request.path, record.request.authority) == (b"shop:443", b"shop:443")
    assert (record.server, record.upgraded) == (Endpoint("10.0.0.2", 8888), "connect")


def test_plain_http_that_the_proxy_sends_on_is_a_call_of_the_client_that_asked() -> None:
    _, asked = asking()
    own = Socket(OWN, SERVER, Role.CLIENT, PROXY)
    begun, taken, granted = answering()
    client = inner(read([*asked, begun, taken, own.opened(102), granted, *own.call(110, GET, ANSWER)]))
    assert (client.client, client.server) == (Endpoint("10.0.0.1", 40000), Endpoint("10.0.0.3", 443))
    assert client.via == Endpoint("10.0.0.2", 50000, 7)
    assert client.process is not None
    assert client.process.name == "curl"


@pytest.mark.parametrize("opened", [100, 105], ids=["before", "after"])
def test_a_connection_that_the_proxy_did_not_open_while_it_was_asked_is_its_own(opened: int) -> None:
    own = Socket(OWN, SERVER, Role.CLIENT, PROXY)
    client = inner(read([*answering(), own.opened(opened), *own.call(110, GET, ANSWER)]))
    assert (client.client, client.via) == (Endpoint("10.0.0.2", 50000, 7), None)


def test_where_a_proxy_was_asked_twice_at_once_nobody_is_named_for_the_other() -> None:
    own = Socket(OWN, SERVER, Role.CLIENT, PROXY)
    both = [*answering(), *answering(client=Address("10.0.0.9", 40001, 7))]
    client = inner(read([*both, own.opened(102), *own.call(110, GET, ANSWER)]))
    assert (client.client, client.via) == (Endpoint("10.0.0.2", 50000, 7), None)


def test_a_tunnel_to_another_address_does_not_explain_a_connection() -> None:
    own = Socket(OWN, SERVER, Role.CLIENT, PROXY)
    other = answering(connect=CONNECT.replace(b"shop:443", b"10.0.0.8:443"))
    assert inner(read([*other, own.opened(102), *own.call(110, GET, ANSWER)])).via is None


def test_the_bytes_of_a_tunnel_are_counted_by_what_they_begin_as() -> None:
    for first, bucket in ((HELLO, Bytes.TLS_CIPHERTEXT), (GET, Bytes.OPAQUE)):
        ledger, (socket, events) = Ledger(), asking()
        read([*events, socket.passed(110, Direction.SENT, first)], ledger)
        assert ledger.bytes[bucket] == len(first)
        assert ledger.bytes[Bytes.SEEN] == sum(
            amount for name, amount in ledger.bytes.items() if name != Bytes.SEEN
        )


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tunnels, "MOST", 2)
    socket, events = asking()
    events += [Hello(110, CLIENT, ASKED, RANDOM), Hello(111, OWN, SERVER, RANDOM)]
    later = [Hello(112, CLIENT, Address("10.0.0.9", port), bytes([port]) * 32) for port in (1, 2)]
    assert inner(read([*events, *later, *tls(socket).call(120, GET, ANSWER)])).via is None
