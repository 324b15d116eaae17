"""Views of TLS whose socket is not known yet wait for it, up to a bound."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent import late_ends
from agent.events import Address, ConnectionKey, Role
from agent.identity.directory import Directory
from agent.late_ends import HOLD_NS, LateEnds
from agent.streams.conversation import ConnectionInfo
from agent.views import Settled
from agent.wire import Endpoint
from tests.agent.test_views import EXCHANGE

KEY, OTHER = ConnectionKey("openssl", 1, 1), ConnectionKey("openssl", 2, 1)
LOCAL, PEER = Address("127.0.0.1", 80, 7), Address("127.0.0.1", 50000, 7)


class Known:
    """The connection table's content."""

    def __init__(self) -> None:
        self.ends: dict[ConnectionKey, tuple[Address | None, Address | None]] = {}

    def __call__(self, key: ConnectionKey) -> tuple[Address | None, Address | None]:
        return self.ends.get(key, (None, None))


@pytest.fixture
def known() -> Known:
    return Known()


@pytest.fixture
def late(known: Known) -> LateEnds:
    return LateEnds(known, Directory())


def view(key: ConnectionKey = KEY, at_ns: int = 0) -> Settled:
    info = ConnectionInfo(key, 42, None, None, Role.SERVER)
    return Settled(info, EXCHANGE, None, None, None, None, at_ns)


def test_a_view_waits_for_the_ends_of_its_connection_and_gets_them(late: LateEnds, known: Known) -> None:
    assert [*late.take(view())] == []
    assert [*late.due(HOLD_NS - 1)] == []
    known.ends[KEY] = (LOCAL, PEER)
    (found,) = late.due(HOLD_NS - 1)
    assert (found.local, found.peer) == (
        Endpoint("127.0.0.1", 80, 7),
        Endpoint("127.0.0.1", 50000, 7),
    )
    assert (found.connection.local, found.connection.peer) == (LOCAL, PEER)
    assert len(late) == 0


def test_after_a_while_it_goes_without(late: LateEnds) -> None:
    waiting = view(at_ns=5)
    assert [*late.take(waiting)] == []
    assert [*late.due(5 + HOLD_NS)] == [waiting]


def test_what_has_ends_or_is_no_tls_does_not_wait(late: LateEnds) -> None:
    plain = view(ConnectionKey("socket", 1, 1))
    whole = replace(view(), peer=Endpoint("127.0.0.1", 80, 7))
    assert [*late.take(plain), *late.take(whole)] == [plain, whole]


def test_a_connections_end_passes_on_its_views_alone(late: LateEnds, known: Known) -> None:
    ours, others = view(), view(OTHER)
    assert [*late.take(ours), *late.take(others)] == []
    known.ends[KEY] = (LOCAL, PEER)
    (found,) = late.end(KEY)
    assert found.connection.peer == PEER
    assert [*late.finish()] == [others]


def test_beyond_the_bound_the_oldest_goes_first(late: LateEnds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late_ends, "MOST", 2)
    views = [view(at_ns=number) for number in range(3)]
    assert [one for each in views for one in late.take(each)] == [views[0]]
