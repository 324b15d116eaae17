"""Java's own TLS, captured by --java: each call of a real client and server is stored once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import java_programs, services
from tests.e2e.calls import Call, echo_call, get_call
from tests.e2e.certificates import Certificate
from tests.e2e.compare import disagreements
from tests.e2e.java_programs import EVERYTHING, JDKS, LIBRARIES, Jdk, Programs
from tests.e2e.judged import unexpected
from tests.e2e.observations import Observation
from tests.e2e.processes import wait_until
from tests.e2e.spectap import Spectap, just_before, watching

pytestmark = pytest.mark.root

CALLS = 60
EITHER = frozenset({"java", "openssl"})
SERVERS = ("socket", "netty", "netty-native", "tomcat") if EVERYTHING and LIBRARIES else ()
CLIENTS = (
    ("h1", "url", "bare", "netty", "netty-native", "apache4", "apache5") if EVERYTHING and LIBRARIES else ()
)


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory, certificate: Certificate) -> Programs:
    java_programs.require()
    return Programs.make(tmp_path_factory.mktemp("classes"), certificate)


@pytest.fixture(scope="module")
def spectap(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spectap]:
    with watching(tmp_path_factory.mktemp("java"), "--java") as started:
        yield started


def probed(spectap: Spectap) -> set[str | None]:
    return {one["path"] for one in spectap.agent.status()["watching"]}


def until_attached(spectap: Spectap, pid: int) -> None:
    def attached() -> bool:
        said = [note for note in spectap.agent.status()["notes"] if f"process {pid} " in note]
        assert not any("not captured" in note for note in said), said
        return bool(said) and java_programs.stub_of(pid) in probed(spectap)

    wait_until(attached, f"attachment to {pid}")


def many(about: str) -> list[Call]:
    return [
        echo_call(about, number % 4, size=number * 700)
        if number % 3
        else get_call(about, f"/bytes/{number * 1000}", number % 4)
        for number in range(1, CALLS + 1)
    ]


def stored_once(
    spectap: Spectap,
    port: int,
    made: list[Observation],
    pid: int,
    protocol: str = "h1",
    tls: frozenset[str] = EITHER,
) -> None:
    """Each of these calls is one exchange, seen at both ends, and as this end logged it."""
    stored = spectap.of_port(port, made)
    wrong = [
        f"{call.id}: {text}"
        for call in made
        for text in [*disagreements(stored[call.id], [call]), *unexpected(stored[call.id], tls, protocol)]
    ]
    assert not wrong, "\n".join(wrong[:12])
    assert all(pid in [one.pid for one in seen.witnesses] for seen in stored.values())
    everything = [
        seen for seen in spectap.at_port(port, just_before(made)) if b"first" not in (seen.path or b"")
    ]
    assert len(everything) == len(stored) == len(made)


@pytest.mark.parametrize("how", ["engine", *SERVERS])
@pytest.mark.parametrize("jdk", JDKS, ids=str)
def test_each_call_to_a_java_server_is_stored_once(
    spectap: Spectap, programs: Programs, jdk: Jdk, how: str, tmp_path: Path, certificate: Certificate
) -> None:
    with (
        programs.server(jdk, how, tmp_path) as (server, port),
        services.caller("client", tmp_path, port, certificate=certificate) as client,
    ):
        until_attached(spectap, server.pid)
        client.make([echo_call("first", 9)])
        stored_once(spectap, port, client.make(many(how)), server.pid)


@pytest.mark.parametrize("how", ["h2", *CLIENTS])
@pytest.mark.parametrize("jdk", JDKS, ids=str)
def test_each_call_of_a_java_client_is_stored_once(
    spectap: Spectap, programs: Programs, jdk: Jdk, how: str, tmp_path: Path, certificate: Certificate
) -> None:
    language = "h2" if how == "h2" else "python"
    with (
        services.echo("server", tmp_path, certificate=certificate, language=language) as server,
        programs.client(jdk, how, server.port, tmp_path) as client,
    ):
        until_attached(spectap, client.process.pid)
        client.make(many(how))
        wait_until(lambda: len(server.observations()) >= CALLS, "the server's log")
        protocol = "h2" if how == "h2" else "h1"
        stored_once(spectap, server.port, server.observations(), client.process.pid, protocol)
