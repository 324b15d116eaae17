"""rustls: each call of a real client and server is stored once, with both ends and their peers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import our_programs, services
from tests.e2e.calls import Call, echo_call, get_call
from tests.e2e.certificates import Certificate
from tests.e2e.processes import wait_until
from tests.e2e.rust_programs import BUILDS, RELEASE, Build
from tests.e2e.services import Caller, Echo
from tests.e2e.spectap import Spectap, watching

pytestmark = pytest.mark.root

CALLS = 1000
LARGE = 200_000  # bytes of a body: many records
BODY_CAP = 262_144


@pytest.fixture(scope="module")
def spectap(programs: dict[Build, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spectap]:
    """After the programs, whose compiler is of no interest. On a busy machine it is late, but whole."""
    options = ("--body-cap", str(BODY_CAP), "--no-step-down")
    with watching(tmp_path_factory.mktemp("rustls"), *options) as started:
        yield started


@pytest.fixture(scope="module")
def programs() -> dict[Build, Path]:
    return {build: build.make() for build in BUILDS}


def until_both_are_probed(spectap: Spectap, server: Echo, client: Caller, connection: int) -> None:
    """Has calls made on a connection of their own until one is seen in both processes."""
    pids = {client.process.pid, server.process.pid}
    wait_until(lambda: spectap.sees(client.make([echo_call("first", connection)]), pids), "probes in both")


def many(about: str, connections: int) -> list[Call]:
    return [
        echo_call(about, number % connections, size=number * 7 % 700)
        if number % 3
        else get_call(about, f"/bytes/{LARGE if number % 90 == 0 else number * 37}", number % connections)
        for number in range(1, CALLS + 1)
    ]


WAYS = {
    "blocking": ("h1", ()),
    "tokio": ("h1", ("-tokio",)),
    "tokio-h2": ("h2", ("-tokio", "-h2")),
    "blocking-tls12": ("h1", ("-tls12",)),
    "tokio-tls12": ("h1", ("-tokio", "-tls12")),
    "tokio-h2-tls12": ("h2", ("-tokio", "-h2", "-tls12")),
    "tokio-no-tickets": ("h1", ("-tokio", "-no-tickets")),
    "blocking-chacha": ("h1", ("-chacha",)),
    "tokio-chacha-tls12": ("h1", ("-tokio", "-chacha", "-tls12")),
}


@pytest.mark.parametrize("connections", [1, 16])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("build", BUILDS, ids=str)
def test_each_of_a_thousand_calls_is_stored_once(
    spectap: Spectap,
    programs: dict[Build, Path],
    build: Build,
    way: str,
    connections: int,
    tmp_path: Path,
    certificate: Certificate,
) -> None:
    protocol, options = WAYS[way]
    with (
        our_programs.server(programs[build], tmp_path, certificate, *options) as server,
        our_programs.client(programs[build], tmp_path, server.port, certificate, *options) as client,
    ):
        until_both_are_probed(spectap, server, client, connections)
        made = client.make(many(f"{build}-{way}-{connections}", connections))
        assert len(made) == CALLS
        our_programs.stored_once(spectap, server, made, "rustls", protocol, BODY_CAP)


def test_a_call_between_rustls_and_openssl_is_seen_from_both_ends(
    spectap: Spectap, programs: dict[Build, Path], tmp_path: Path, certificate: Certificate
) -> None:
    with (
        our_programs.server(programs[RELEASE], tmp_path, certificate) as server,
        services.caller("caller", tmp_path, server.port, certificate=certificate) as client,
    ):
        until_both_are_probed(spectap, server, client, 8)
        calls = client.make([echo_call("mixed", number % 8, size=number) for number in range(40)])
        stored = spectap.of_port(server.port, calls)
    assert {len(seen.witnesses) for seen in stored.values()} == {2}
