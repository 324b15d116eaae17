"""BoringSSL in Java, captured without --java: each call is stored once, with both ends' peers.

Netty (tcnative) and Conscrypt unpack that library into a temporary file, and delete the file as soon as it is
loaded.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import java_programs, services
from tests.e2e.calls import echo_call
from tests.e2e.certificates import Certificate
from tests.e2e.java_programs import DISTRIBUTION, LIBRARIES, Programs
from tests.e2e.processes import wait_until
from tests.e2e.spectap import Spectap, watching
from tests.e2e.test_java import CALLS, many, stored_once

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not LIBRARIES, reason="tools/setup tests fetches the libraries with TIERS=all"),
]
NETTY = ("netty-native", "netty-native-epoll")
SERVERS = (
    *((kind, protocol) for kind in NETTY for protocol in ("h1", "h2")),
    ("conscrypt-engine", "h1"),
    ("conscrypt-socket", "h1"),
)
CLIENTS = (*NETTY, "conscrypt-h1", "conscrypt-url", "conscrypt-bare")
EITHER = frozenset({"openssl", "boringssl"})


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory, certificate: Certificate) -> Programs:
    java_programs.require()
    return Programs.make(tmp_path_factory.mktemp("classes"), certificate)


@pytest.fixture(scope="module")
def spectap(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spectap]:
    """After the programs, whose compiler is of no interest."""
    with watching(tmp_path_factory.mktemp("java")) as started:
        yield started


@pytest.mark.parametrize(("kind", "protocol"), SERVERS)
def test_each_call_to_a_server_is_stored_once(
    spectap: Spectap, programs: Programs, kind: str, protocol: str, tmp_path: Path, certificate: Certificate
) -> None:
    language = "h2" if protocol == "h2" else "python"
    with (
        programs.server(DISTRIBUTION, kind, tmp_path) as (server, port),
        services.caller("client", tmp_path, port, certificate=certificate, language=language) as client,
    ):
        connections = itertools.count(9)  # one that began before the probes stays unseen for a while

        def seen() -> bool:
            return spectap.sees(client.make([echo_call("first", next(connections))]), {server.pid})

        wait_until(seen, "probes")
        made = client.make(many(kind))
        stored_once(spectap, port, made, server.pid, protocol, EITHER)


@pytest.mark.parametrize("kind", CLIENTS)
def test_each_call_of_a_client_is_stored_once(
    spectap: Spectap, programs: Programs, kind: str, tmp_path: Path, certificate: Certificate
) -> None:
    with (
        services.echo("server", tmp_path, certificate=certificate) as server,
        programs.client(DISTRIBUTION, kind, server.port, tmp_path) as client,
    ):
        pid = client.process.pid

        def seen() -> bool:
            before = len(server.observations())
            client.make([echo_call("first")])
            return spectap.sees(server.observations()[before:], {pid})

        wait_until(seen, "probes")
        before = len(server.observations())
        client.make(many(kind))
        wait_until(lambda: len(server.observations()) >= before + CALLS, "the server's log")
        stored_once(spectap, server.port, server.observations()[before:], pid, "h1", EITHER)
