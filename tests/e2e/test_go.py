"""Go's crypto/tls: each call of a real client and server is stored once, with both ends and their peers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e import go_programs, grpc_calls, our_programs, services
from tests.e2e.calls import Call, echo_call, fresh_id, get_call
from tests.e2e.certificates import Certificate
from tests.e2e.go_programs import BUILDS, STRIPPED, Build
from tests.e2e.observations import Observation
from tests.e2e.processes import wait_until
from tests.e2e.services import Caller, Echo
from tests.e2e.spectap import Spectap, watching

pytestmark = pytest.mark.root

GOROUTINES, CALLS = 200, 600  # on two threads


@pytest.fixture(scope="module")
def spectap(programs: dict[Build, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spectap]:
    """After the programs, whose compiler is of no interest."""
    with watching(tmp_path_factory.mktemp("go")) as started:
        yield started


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[Build, Path]:
    folder = tmp_path_factory.mktemp("programs")
    return {build: build.make(folder) for build in BUILDS}


def until_probed(spectap: Spectap, make: Callable[[], list[Observation]], pids: set[int]) -> None:
    """Has calls made until one is seen in all of these processes: probing a new program takes a moment."""
    wait_until(lambda: spectap.sees(make(), pids), "probes in both")


def until_both_are_probed(spectap: Spectap, server: Echo, client: Caller) -> None:
    pids = {client.process.pid, server.process.pid}
    until_probed(spectap, lambda: client.make([echo_call("first")]), pids)


def many(about: str) -> list[Call]:
    return [
        echo_call(about, number % GOROUTINES, size=number * 7 % 700)
        if number % 3
        else get_call(about, f"/bytes/{number * 37}", number % GOROUTINES)
        for number in range(1, CALLS + 1)
    ]


@pytest.mark.parametrize("protocol", ["h1", "h2"])
@pytest.mark.parametrize("build", BUILDS, ids=str)
def test_each_call_of_many_goroutines_on_two_threads_is_stored_once(
    spectap: Spectap,
    programs: dict[Build, Path],
    build: Build,
    protocol: str,
    tmp_path: Path,
    certificate: Certificate,
) -> None:
    options = ["-h2"] if protocol == "h2" else []
    with (
        our_programs.server(programs[build], tmp_path, certificate, *options) as server,
        our_programs.client(programs[build], tmp_path, server.port, certificate, *options) as client,
    ):
        until_both_are_probed(spectap, server, client)
        our_programs.stored_once(spectap, server, client.make(many(f"{build}-{protocol}")), "go", protocol)


@pytest.mark.parametrize("option", ["-wrap", "-stack"])
def test_connections_of_a_programs_own_type_and_stacks_that_move_make_no_difference(
    spectap: Spectap, programs: dict[Build, Path], option: str, tmp_path: Path, certificate: Certificate
) -> None:
    options = [option] if option == "-wrap" else []
    with (
        our_programs.server(programs[STRIPPED], tmp_path, certificate, *options) as server,
        our_programs.client(programs[STRIPPED], tmp_path, server.port, certificate, option) as client,
    ):
        until_both_are_probed(spectap, server, client)
        our_programs.stored_once(spectap, server, client.make(many(option.strip("-"))), "go")


@pytest.mark.skipif(not go_programs.EVERYTHING, reason="TIERS=all runs it: gRPC-Go takes the network")
def test_grpc_calls_of_many_goroutines_over_one_connection_are_stored_once(
    spectap: Spectap, tmp_path: Path, certificate: Certificate
) -> None:
    program = STRIPPED.make(tmp_path, go_programs.GRPC)
    with go_programs.grpc(program, tmp_path, certificate) as (server, port, client):
        until_probed(
            spectap,
            lambda: [call.seen for call in client.make([fresh_id("first")])],
            {server.pid, client.process.pid},
        )
        made = client.make([fresh_id("grpc") for _ in range(CALLS)])
        stored = spectap.of_port(port, [call.seen for call in made])
        assert not grpc_calls.wrong(stored, made)
    assert {seen.tls for seen in stored.values()} == {"go"}


def test_a_call_between_go_and_openssl_is_seen_from_both_ends(
    spectap: Spectap, programs: dict[Build, Path], tmp_path: Path, certificate: Certificate
) -> None:
    with (
        our_programs.server(programs[STRIPPED], tmp_path, certificate) as server,
        services.caller("caller", tmp_path, server.port, certificate=certificate) as client,
    ):
        until_both_are_probed(spectap, server, client)
        calls = client.make([echo_call("mixed", number % 8, size=number) for number in range(40)])
        stored = spectap.of_port(server.port, calls)
    assert {len(seen.witnesses) for seen in stored.values()} == {2}
