"""Both views of a call are one exchange although the client called another address than the server's.

Real processes in their own network namespaces, with netfilter between them; one agent that captures both
ends, or two with different node names that capture one end each.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.agent.ship.proxy import Weather, between
from tests.e2e.calls import Call, echo_call
from tests.e2e.namespaces import SERVER, SERVER_PORT, SERVICE, SERVICE_PORT, TO_SERVER, translated, within
from tests.e2e.observations import Observation
from tests.e2e.processes import python, running, wait_until
from tests.e2e.seen import Seen
from tests.e2e.services import Caller, Echo, server_saw
from tests.e2e.spectap import Agent, Server, agent, by_id, just_before, serving

pytestmark = pytest.mark.root


@dataclass(frozen=True, slots=True)
class Pair:
    """A client and a server in different network namespaces."""

    client: Caller
    server: Echo

    def make(self, calls: list[Call]) -> list[Observation]:
        """Makes the calls. Returns the client's observations: with the service's address, which is not the
        server's.
        """
        made = self.client.make(calls)
        by_server = server_saw(self.server, made)
        assert {call.peer for call in made} == {(SERVICE, SERVICE_PORT)}
        assert {by_server[call.id].local for call in made} == {(SERVER, SERVER_PORT)}
        return made


@contextmanager
def talking(folder: Path, where: str, masquerade: bool = False) -> Iterator[Pair]:
    with translated(where, masquerade) as namespaces:
        served, asked = folder / "server.jsonl", folder / "client.jsonl"
        serve = python("echo", "--log", served, "--host", SERVER, "--port", SERVER_PORT)
        ask = python("caller", "--log", asked, "--host", SERVICE, "--port", SERVICE_PORT)
        with (
            running("nat-server", within(namespaces.server, serve), folder) as server,
            running("nat-client", within(namespaces.client, ask), folder, stdin=True) as client,
        ):
            server.first_line()
            yield Pair(Caller(client, asked), Echo(server, SERVER_PORT, served))


def stored(server: Server, calls: list[Observation], witnesses: int) -> dict[str, Seen]:
    """The exchange of each call, once there are this many views in total. Asserts that each call is stored
    once.
    """
    ids, since = {call.id for call in calls}, just_before(calls)

    def found() -> dict[str, list[Seen]] | None:
        known = by_id(server.exchanges(since=since), ids)
        count = sum(len(seen.witnesses) for one in known.values() for seen in one)
        return known if count >= witnesses and len(known) == len(ids) else None  # a lone view is held first

    known = wait_until(found, f"{witnesses} witnesses of {len(ids)} calls")
    assert Counter(len(one) for one in known.values()) == {1: len(ids)}
    return {name: one[0] for name, one in known.items()}


def check_pairs(exchanges: dict[str, Seen], calls: list[Observation]) -> None:
    for call in calls:
        seen = exchanges[call.id]
        assert sorted(witness.side for witness in seen.witnesses) == ["client", "server"]
        assert (seen.client, seen.server) == (call.local, (SERVER, SERVER_PORT))
        assert seen.aggregation == call.id


@pytest.mark.parametrize("where", ["router", "client"])
def test_one_agent_sees_both_ends_of_a_translated_call(tmp_path: Path, where: str) -> None:
    with talking(tmp_path, where) as pair, serving(tmp_path) as server:
        pids = ("--pid", pair.client.process.pid, "--pid", pair.server.process.pid)
        with agent(tmp_path, server, *pids):
            calls = pair.make([echo_call("nat", number % 4, size=500) for number in range(40)])
            check_pairs(stored(server, calls, 80), calls)
        assert server.get("/ledger")["server"] == {"stored": 40, "witness": 40}
        (api,) = server.items("/apis")
        assert api["exchanges"] == 40


@contextmanager
def two_agents(folder: Path, pair: Pair, server: Server, url: str, *options: object) -> Iterator[Agent]:
    """One agent at each end, on its own node; the server's agent reports to `url`. Yields that one."""
    client, end = pair.client.process.pid, pair.server.process.pid
    elsewhere = replace(server, url=url)
    with (
        agent(folder, server, "--pid", client, "--agent", "a", "--node", "node-a", name="agent-a"),
        agent(
            folder, elsewhere, "--pid", end, "--agent", "b", "--node", "node-b", *options, name="agent-b"
        ) as other,
    ):
        yield other


def agents_of(seen: Seen) -> list[str]:
    return sorted(witness["agent"] for witness in seen.raw["witnesses"])


def test_two_agents_see_one_end_each_and_one_of_them_delivers_late(tmp_path: Path) -> None:
    with (
        talking(tmp_path, "router") as pair,
        serving(tmp_path) as server,
        between(server.port) as proxy,
        two_agents(tmp_path, pair, server, f"http://127.0.0.1:{proxy.port}"),
    ):
        calls = pair.make([echo_call("both", number % 4, size=500) for number in range(40)])
        exchanges = stored(server, calls, 80)
        check_pairs(exchanges, calls)
        assert {tuple(agents_of(seen)) for seen in exchanges.values()} == {("a", "b")}
        proxy.weather = Weather.BUSY
        proxy.cut_all()
        late = pair.make([echo_call("late", number % 4, size=500) for number in range(40)])
        alone = stored(server, late, 40)
        assert {tuple(agents_of(seen)) for seen in alone.values()} == {("a",)}
        proxy.weather = Weather.FAIR
        check_pairs(stored(server, late, 80), late)
        assert server.get("/ledger")["server"] == {"stored": 80, "witness": 80}


def test_where_the_clients_address_is_translated_too_each_view_stays_alone(tmp_path: Path) -> None:
    """The server does not know the client then: two exchanges are counted rather than two calls merged."""
    with talking(tmp_path, "router", masquerade=True) as pair, serving(tmp_path) as server:
        pids = ("--pid", pair.client.process.pid, "--pid", pair.server.process.pid)
        with agent(tmp_path, server, *pids):
            calls = pair.make([echo_call("masquerade", number % 4) for number in range(20)])
            wait_until(lambda: server.get("/ledger")["server"].get("stored", 0) >= 40, "all views")
        known = by_id(server.settled().exchanges(), {call.id for call in calls})
        made = {call.id: call for call in calls}
        for name, both in known.items():
            ends = {one.side: (one.client, one.server) for one in both}
            assert ends["client"] == (made[name].local, (SERVICE, SERVICE_PORT))
            caller, own = ends["server"]
            assert caller is not None
            assert (caller[0], own) == (TO_SERVER, (SERVER, SERVER_PORT))
            assert caller[1] in range(20000, 30000)  # the router's port, not the client's
            assert [view["via"] for one in both for view in one.raw["witnesses"]] == [None, None]
        sides = [sorted(w.side for seen in one for w in seen.witnesses) for one in known.values()]
        assert sides == [["client", "server"]] * 20
        assert {len(one) for one in known.values()} == {2}


def test_where_one_of_two_agents_has_lost_calls_the_others_keep_both_witnesses(tmp_path: Path) -> None:
    """On a connection with lost responses the agent may stop pairing: the calls are on new connections."""
    with (
        talking(tmp_path, "router") as pair,
        serving(tmp_path) as server,
        two_agents(tmp_path, pair, server, server.url, "--ring-mib", 1) as lossy,
    ):
        before = pair.make([echo_call("before", number % 2, size=500) for number in range(20)])
        check_pairs(stored(server, before, 40), before)
        os.kill(lossy.process.pid, signal.SIGSTOP)  # its ring overflows
        during = pair.make([echo_call("during", number % 2, size=9000) for number in range(120)])
        os.kill(lossy.process.pid, signal.SIGCONT)
        wait_until(lambda: lossy.bytes_in("ring_full") > 0, "the loss to be told, the ring being empty again")
        after = pair.make([echo_call("after", 10 + number % 2, size=500) for number in range(20)])
        check_pairs(stored(server, after, 40), after)
        partly = stored(server, during, 121)
        seen = Counter(tuple(agents_of(one)) for one in partly.values())
        assert seen.keys() == {("a",), ("a", "b")}
