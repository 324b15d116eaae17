"""Bodies beyond the cap on connections that continue: every size is exact, small bodies are complete, and
nothing after them is lost. Most of a large body never leaves the kernel.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import services
from tests.e2e.calls import Call, echo_call, get_call
from tests.e2e.certificates import Certificate
from tests.e2e.judged import stored_truly
from tests.e2e.observations import Observation
from tests.e2e.services import server_saw
from tests.e2e.spectap import Spectap, watching

pytestmark = pytest.mark.root

LARGE, SMALL = 1_000_000, 100  # bytes
ROUNDS = 8


@pytest.fixture(scope="module")
def spectap(folder: Path) -> Iterator[Spectap]:
    with watching(folder) as running:
        yield running


def states(calls: list[Observation], spectap: Spectap, port: int) -> list[tuple[int | None, str]]:
    stored = spectap.of_port(port, calls)
    answers = [stored[call.id].response for call in calls]
    return [(answer.size, answer.state) for answer in answers if answer]


@pytest.mark.parametrize(
    ("language", "secure"),
    [("python", False), ("python", True), ("node", False)],
    ids=["python-plain", "python-tls", "node-plain"],
)
def test_large_and_small_answers_in_turns_on_one_connection(
    folder: Path, spectap: Spectap, certificate: Certificate, language: str, secure: bool
) -> None:
    trusted = certificate if secure else None
    name = f"{language}-{'tls' if secure else 'plain'}"
    before = spectap.agent.bytes_in("capped")
    with (
        services.echo(name, folder, certificate=trusted, language="python") as server,
        services.caller(
            f"{name}-caller", folder, server.port, certificate=trusted, language=language
        ) as client,
    ):
        sizes = [LARGE, SMALL] * ROUNDS
        calls = [get_call(name, f"/bytes/{size}") for size in sizes]
        by_client = client.make(calls)
        tls = "openssl" if secure else None
        stored_truly(spectap, server.port, by_client, server_saw(server, by_client), tls=tls)
        expected = [(size, "truncated" if size == LARGE else "complete") for size in sizes]
        assert states(by_client, spectap, server.port) == expected
    assert spectap.agent.bytes_in("capped") - before > 0.8 * ROUNDS * LARGE


def test_large_uploads_and_chunked_answers_on_one_connection(folder: Path, spectap: Spectap) -> None:
    with (
        services.echo("chunked", folder) as server,
        services.caller("chunked-caller", folder, server.port) as client,
    ):
        calls: list[Call] = []
        for _ in range(2):
            calls += [
                echo_call("up", size=LARGE),
                echo_call("small"),
                echo_call("chunked", path="/chunked", size=LARGE * 7 // 10),
            ]
            calls += [get_call("down", f"/bytes/{LARGE}"), get_call("down", f"/bytes/{SMALL}")]
        by_client = client.make(calls)
        stored_truly(spectap, server.port, by_client, server_saw(server, by_client))
        truncated = [state for _, state in states(by_client, spectap, server.port)]
        assert truncated == ["truncated", "complete", "truncated", "truncated", "complete"] * 2
