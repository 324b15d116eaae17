"""TLS over memory buffers (Node and undici, asyncio, uvicorn, httpx, aiohttp, puma): each call is stored
once, with both views and their peers.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import nginx, services
from tests.e2e.calls import echo_call, get_call
from tests.e2e.certificates import Certificate
from tests.e2e.judged import BOTH, stored_truly
from tests.e2e.processes import PATIENCE, environment, node, wait_until
from tests.e2e.services import server_saw
from tests.e2e.spectap import Spectap, just_before, watching

pytestmark = pytest.mark.root

EVERYTHING = os.environ.get("TIERS") == "all"
CONNECTIONS = 16
CALLS = 1000 if EVERYTHING else 200


@pytest.fixture(scope="module")
def spectap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spectap]:
    with watching(tmp_path_factory.mktemp("memory")) as started:
        yield started


PAIRS = [
    *itertools.product(("node", "asyncio", "nginx"), ("node", "python")),
    ("uvicorn", "httpx"),
]
MORE_PAIRS = [  # of programs that only TIERS=all installs
    *itertools.product(("puma", "node"), ("undici", "aiohttp")),
    *(("puma", "python"), ("puma", "node"), ("uvicorn", "aiohttp"), ("nginx", "undici")),
]


@pytest.mark.parametrize(("server", "client"), PAIRS + MORE_PAIRS * EVERYTHING)
def test_each_call_is_stored_once_with_both_peers(
    spectap: Spectap, server: str, client: str, tmp_path: Path, certificate: Certificate
) -> None:
    with (
        services.any_server(server, tmp_path, certificate) as serving,
        services.caller("caller", tmp_path, serving.port, certificate=certificate, language=client) as caller,
    ):
        probed = {caller.process.pid} | (set() if server == "nginx" else {serving.process.pid})
        wait_until(lambda: spectap.sees(caller.make([echo_call("first")]), probed, views=2), "probes in both")
        calls = [
            echo_call(f"{client}-{server}", number % CONNECTIONS, size=number * 7 % 700)
            for number in range(CALLS)
        ]
        by_client = caller.make(calls)
        stored = stored_truly(spectap, serving.port, by_client, server_saw(serving, by_client), tls="openssl")
        known = spectap.at_port(serving.port, just_before(by_client))
        # Of the first calls' connection, which may be older than the probes, an answer may be seen alone.
        everything = [
            seen for seen in known if b"first" not in (seen.path or b"") and seen.completeness != "late-join"
        ]
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


def test_calls_of_a_proxy_are_stored_once_with_both_peers(
    spectap: Spectap, tmp_path: Path, certificate: Certificate
) -> None:
    """nginx keeps connections to Node: its TLS is in the socket's calls, that of Node is not."""
    with (
        services.any_server("node", tmp_path, certificate) as server,
        nginx.serving("front", tmp_path, server.port, backend_tls=True) as front,
        services.caller("caller", tmp_path, front.port) as caller,
    ):
        wait_until(lambda: spectap.sees(caller.make([echo_call("first")]), {server.process.pid}), "probes")
        calls = [echo_call("proxied", number % CONNECTIONS, size=number * 7 % 700) for number in range(CALLS)]
        made = caller.make(calls)
        by_server = server_saw(server, made)
        stored = spectap.of_port(server.port, made)
    for id, seen in stored.items():
        assert (seen.client, seen.server) == (by_server[id].peer, by_server[id].local)
        assert sorted(witness.side for witness in seen.witnesses) == BOTH


def test_of_connections_with_equal_lengths_at_once_none_gets_the_peer_of_another(
    spectap: Spectap, tmp_path: Path, certificate: Certificate
) -> None:
    """Lengths cannot tell these apart: an unknown peer is right, another connection's is wrong."""
    with services.any_server("node", tmp_path, certificate) as server:
        curl = ("curl", tmp_path, server.port, certificate)
        wait_until(
            lambda: spectap.sees(services.any_client(*curl, [echo_call("first")]), {server.process.pid}),
            "probes in the server",
        )
        argv = node("pipelined.js", "--port", server.port, "--ca", certificate.certificate)
        argv += ["--connections", str(CONNECTIONS), "--depth", "4", "--rounds", str(CALLS // 40)]
        lines = subprocess.run(argv, check=True, capture_output=True, timeout=PATIENCE, env=environment())
        ports = {one["id"]: one["port"] for one in map(json.loads, lines.stdout.splitlines())}
        views = views_of(spectap, set(ports))
    known = [(id, view["client"]["port"]) for id, view in views if view["client"] is not None]
    assert known == [(id, ports[id]) for id, _ in known]
    assert {id for id, _ in views} == ports.keys()


def views_of(spectap: Spectap, ids: set[str]) -> list[tuple[str, dict[str, Any]]]:
    """The views of these calls at their servers, each with its call's id, once there is one of each."""

    def found() -> list[tuple[str, dict[str, Any]]] | None:
        exchanges = spectap.server.settled().items("/exchanges", path_prefix="/echo/piped-")
        views = [
            (id, view)
            for one in exchanges
            if (id := one["path"]["text"].rpartition("/")[2]) in ids
            for view in one["witnesses"]
        ]
        return views if {id for id, view in views if view["side"] == "server"} == ids else None

    return wait_until(found, f"{len(ids)} views")
