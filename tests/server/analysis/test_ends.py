from __future__ import annotations

from typing import Any

from agent.wire import Endpoint
from server.analysis.ends import is_other_end_internal, other_ends, own_end
from tests.server.records import record

ENDS: dict[str, Any] = {"client": Endpoint("10.0.0.1", 40000), "server": Endpoint("10.0.0.2", 8080)}


def test_one_views_own_end_is_the_others_other_end() -> None:
    client, server = record(0, "client", **ENDS), record(0, "server", **ENDS)
    assert other_ends(client) == [own_end(server)]
    assert other_ends(server) == [own_end(client)]
    assert own_end(client) != own_end(server)


def test_a_view_from_between_watches_no_end_and_may_be_seen_at_both() -> None:
    between, client, server = (record(0, side, **ENDS) for side in ("unknown", "client", "server"))
    assert own_end(between) is None
    assert {*other_ends(between)} == {own_end(client), own_end(server)}


def test_no_agent_is_on_the_public_internet() -> None:
    outside = Endpoint("93.184.216.34", 443)
    assert is_other_end_internal(record(0, "client", **ENDS))
    assert is_other_end_internal(record(0, "server", **ENDS))
    assert not is_other_end_internal(record(0, "client", **ENDS | {"server": outside}))
    assert not is_other_end_internal(record(0, "server", **ENDS | {"client": None}))


def test_an_end_that_is_not_known_is_none() -> None:
    assert own_end(record(0, "client", client=None)) is None
    assert other_ends(record(0, "client", server=None)) == []


def test_a_loopback_address_is_one_of_its_node_and_an_address_one_of_its_cluster() -> None:
    def end(**changed: Any) -> str | None:
        return own_end(record(0, "client", **changed))

    assert end() == end(port=40001)
    assert len({end(), end(node="node-2"), end(client=Endpoint("127.0.0.1", 1, 7))}) == 3
    one, other = (end(client=ENDS["client"], node=node) for node in ("node-1", "node-2"))
    assert one == other != end(client=ENDS["client"], cluster="other")
