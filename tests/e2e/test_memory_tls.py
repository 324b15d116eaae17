"""TLS over memory buffers (Node, asyncio): each call is stored once, with both views and their peers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e import services
from tests.e2e.calls import echo_call, get_call
from tests.e2e.certificates import Certificate
from tests.e2e.judged import stored_truly
from tests.e2e.processes import wait_until
from tests.e2e.services import server_saw
from tests.e2e.spectap import Spectap, just_before, watching

pytestmark = pytest.mark.root

CALLS, CONNECTIONS = 200, 16


@pytest.fixture(scope="module")
def spectap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spectap]:
    with watching(tmp_path_factory.mktemp("memory")) as started:
        yield started


@pytest.mark.parametrize("client", ["node", "python"])
@pytest.mark.parametrize("server", ["node", "asyncio", "nginx"])
def test_each_call_is_stored_once_with_both_peers(
    spectap: Spectap, server: str, client: str, tmp_path: Path, certificate: Certificate
) -> None:
    with (
        services.any_server(server, tmp_path, certificate) as serving,
        services.caller("caller", tmp_path, serving.port, certificate=certificate, language=client) as caller,
    ):
        probed = {caller.process.pid} | (set() if server == "nginx" else {serving.process.pid})
        wait_until(lambda: spectap.sees(caller.make([echo_call("first")]), probed), "probes in both")
        calls = [
            echo_call(f"{client}-{server}", number % CONNECTIONS, size=number * 7 % 700)
            for number in range(CALLS)
        ]
        by_client = caller.make(calls)
        stored = stored_truly(spectap, serving.port, by_client, server_saw(serving, by_client), tls="openssl")
        known = spectap.at_port(serving.port, just_before(by_client))
        everything = [seen for seen in known if b"first" not in (seen.path or b"")]
    assert len(stored) == len(everything) == CALLS


def test_calls_pipelined_from_the_first_on_are_stored_once_and_true(
    spectap: Spectap, tmp_path: Path, certificate: Certificate
) -> None:
    """Node's TLS calls no handshake function: the bytes it reads show that this is the start."""
    paths = ("/echo", "/bytes/3000", "/echo", "/bytes/20000")
    connections = [[get_call("piped", path) for path in paths] for _ in range(4)]
    for connection in connections:
        connection[-1] = replace(connection[-1], headers=(*connection[-1].headers, (b"Connection", b"close")))
    with services.any_server("node", tmp_path, certificate) as server:
        curl = ("curl", tmp_path, server.port, certificate)
        wait_until(
            lambda: spectap.sees(services.any_client(*curl, [echo_call("first")]), {server.process.pid}),
            "probes in the server",
        )
        for connection in connections:
            services.s_client(server.port, connection)
        ids = {call.id for connection in connections for call in connection}
        wait_until(lambda: ids <= {seen.id for seen in server.observations()}, "the server's log")
        by_server = {seen.id: seen for seen in server.observations() if seen.id in ids}
        calls = list(by_server.values())
        stored_truly(spectap, server.port, calls, by_server, tls="openssl")
