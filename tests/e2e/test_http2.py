"""HTTP/2 and gRPC between real processes: how connections begin, how streams end, and late joins.

One agent serves the module.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.e2e import grpc_calls, nginx, services
from tests.e2e.calls import echo_call, get_call
from tests.e2e.certificates import Certificate
from tests.e2e.compare import disagreements
from tests.e2e.grpc_calls import Made
from tests.e2e.judged import stored_truly
from tests.e2e.observations import Observation
from tests.e2e.processes import PATIENCE, environment
from tests.e2e.seen import Seen
from tests.e2e.services import Caller, Echo, server_saw
from tests.e2e.spectap import Spectap, by_id, just_before, watching

pytestmark = pytest.mark.root

CONNECTIONS = 16
MANY = 1000


@dataclass(frozen=True, slots=True)
class Older:
    """An HTTP/2 connection, plain or TLS, with calls before the agent started."""

    server: Echo
    caller: Caller
    tls: str | None


@pytest.fixture(scope="module")
def older(folder: Path, certificate: Certificate) -> Iterator[list[Older]]:
    with ExitStack() as stack:

        def connected(name: str, trusted: Certificate | None) -> Older:
            server = stack.enter_context(
                services.echo(f"{name}-server", folder, certificate=trusted, language="h2")
            )
            caller = stack.enter_context(
                services.caller(f"{name}-caller", folder, server.port, certificate=trusted, language="h2")
            )
            caller.make([echo_call("before"), echo_call("before")])
            return Older(server, caller, "openssl" if trusted else None)

        yield [connected("plain", None), connected("tls", certificate)]


@pytest.fixture(scope="module")
def spectap(folder: Path, older: list[Older]) -> Iterator[Spectap]:
    with watching(folder) as both:
        yield both


@pytest.mark.parametrize("streams", [1, 8], ids=["one after the other", "eight at once"])
def test_http2_calls_over_tls_are_stored_once_and_true(
    spectap: Spectap, streams: int, tmp_path: Path, certificate: Certificate
) -> None:
    options: list[object] = ["--http2", "--cacert", certificate.certificate]
    options += ["--parallel", "--parallel-max", streams] if streams > 1 else []
    with (
        services.echo("backend", tmp_path) as backend,
        nginx.serving("front", tmp_path, backend.port, http2=True, certificate=certificate) as front,
    ):
        calls = [*(echo_call("h2", size=number % 7 * 1500) for number in range(24)), get_call("h2", "/echo")]
        by_client = services.curl(tmp_path, f"https://127.0.0.1:{front.port}", calls, *options)
        by_server = server_saw(front, by_client)
        stored_truly(spectap, front.port, by_client, by_server, tls="openssl", protocol="h2")
        hops = spectap.of_port(backend.port, by_client)
        assert {seen.protocol for seen in hops.values()} == {"h1"}


def test_http2_in_plain_text_is_stored_once_and_true(spectap: Spectap, tmp_path: Path) -> None:
    with (
        services.echo("backend", tmp_path) as backend,
        nginx.serving("front", tmp_path, backend.port, http2=True) as front,
    ):
        base = f"http://127.0.0.1:{front.port}"
        calls = [echo_call("h2c", size=2000), echo_call("h2c"), get_call("h2c", "/echo")]
        by_client = [services.curl(tmp_path, base, [call], "--http2-prior-knowledge")[0] for call in calls]
        stored_truly(spectap, front.port, by_client, server_saw(front, by_client), protocol="h2")


def test_1000_of_1000_over_16_http2_connections_of_8_streams(spectap: Spectap, tmp_path: Path) -> None:
    calls = [echo_call("streams", number % CONNECTIONS, size=number % 700) for number in range(MANY)]
    with (
        services.echo("backend", tmp_path) as backend,
        nginx.serving("front", tmp_path, backend.port, http2=True) as front,
        services.caller("caller", tmp_path, front.port, "--http2", 8, language="node") as client,
    ):
        by_client = client.make(calls)
        by_server = server_saw(front, by_client)
        stored = stored_truly(spectap, front.port, by_client, by_server, protocol="h2")
        everything = spectap.at_port(front.port, just_before(by_client))
    assert len(stored) == len(everything) == MANY
    assert len({seen.client for seen in stored.values()}) == CONNECTIONS


def test_an_upgrade_to_http2_is_one_exchange_in_curls_way(spectap: Spectap, tmp_path: Path) -> None:
    with services.echo("h2", tmp_path, language="h2") as server:
        base, calls = f"http://127.0.0.1:{server.port}", [get_call("h2c", "/echo") for _ in range(3)]
        by_client = [services.curl(tmp_path, base, [call], "--http2")[0] for call in calls]
        stored = stored_truly(spectap, server.port, by_client, server_saw(server, by_client), protocol="h2")
        everything = spectap.at_port(server.port, just_before(by_client))
    assert len(everything) == len(calls)
    assert {seen.raw["upgraded"] for seen in stored.values()} == {"h2c"}


def test_an_upgrade_to_http2_and_the_streams_after_it_are_exchanges_in_nghttps_way(
    spectap: Spectap, tmp_path: Path
) -> None:
    calls = [get_call("nghttp", path) for path in ("/echo", "/echo", "/trailers", "/trailers")]
    with services.echo("h2", tmp_path, language="h2") as server:
        urls = [f"http://127.0.0.1:{server.port}{call.target.decode()}" for call in calls]
        subprocess.run(["nghttp", "-un", *urls], check=True, env=environment(), timeout=PATIENCE)
        by_server = server_saw(server, [services.bare(call) for call in calls])
        stored = spectap.of_port(server.port, by_server.values())
        everything = spectap.at_port(server.port, just_before(by_server.values()))
    assert len(everything) == len(calls)
    assert {(seen.protocol, seen.status, seen.completeness) for seen in stored.values()} == {
        ("h2", 200, "complete")
    }
    assert [stored[call.id].path for call in calls] == [call.target for call in calls]
    assert {trailers(stored[call.id]) for call in calls[2:]} == {("x-checksum", "x-after")}


def trailers(seen: Seen) -> tuple[str, ...]:
    return tuple(
        name["text"] if isinstance(name, dict) else name for name, _ in seen.raw["response"]["trailers"]
    )


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_trailers_resets_and_goaway_end_what_they_should_and_nothing_else(
    spectap: Spectap, tls: bool, tmp_path: Path, certificate: Certificate
) -> None:
    trusted = certificate if tls else None
    paths = ["/echo", "/trailers", "/hang", "/echo", "/reset", "/echo", "/goaway", "/echo"]
    calls = [echo_call("ends", path=path, size=600) for path in paths]
    with (
        services.echo("h2", tmp_path, certificate=trusted, language="h2") as server,
        services.caller("caller", tmp_path, server.port, certificate=trusted, language="h2") as client,
    ):
        by_client = client.make(calls)
        whole = [call for call in by_client if not call.target.startswith((b"/hang", b"/reset"))]
        tls_name = "openssl" if tls else None
        by_server = server_saw(server, whole)
        stored = stored_truly(spectap, server.port, whole, by_server, tls=tls_name, protocol="h2")
        cut = spectap.of_port(server.port, [call for call in by_client if call not in whole])
    assert trailers(stored[calls[1].id]) == ("x-checksum", "x-after")
    assert stored[calls[6].id].client != stored[calls[7].id].client, "GOAWAY ends the connection"
    for seen in cut.values():
        assert (seen.status, seen.completeness) == (200, "incomplete")
        assert seen.request is not None
        assert seen.request.state == "complete"


def test_on_an_older_connection_newer_fields_are_exact_and_older_ones_unknown(
    spectap: Spectap, older: list[Older]
) -> None:
    for one in older:
        first, *rest = one.caller.make([echo_call("late") for _ in range(3)])
        seen = spectap.of_port(one.server.port, [first], witnesses=1)[first.id]
        assert seen.raw["fields_unknown"] > 0, "the names that calls before the agent have brought"
        newer = [echo_call("late") for _ in range(3)]
        rest += one.caller.make(
            replace(call, headers=(*call.headers, (b"accept-language", b"de"))) for call in newer
        )
        stored, by_server = spectap.of_port(one.server.port, rest), server_saw(one.server, rest)
        for call in [first, *rest]:
            check_late(stored.get(call.id, seen), call)
        for call in rest:
            later = stored[call.id]
            assert (later.tls, later.completeness) == (one.tls, "complete")
            told = disagreements(later, [call, by_server[call.id]])
            assert [text for text in told if not text.startswith("aggregation header")] == []
        for name in newer:
            request = stored[name.id].request
            assert request is not None
            assert (b"accept-language", b"de") in request.headers, "inserted since, and only pointed at after"


def check_late(seen: Seen, call: Observation) -> None:
    """Asserts that every reported fact is true, and that no earlier field is reported."""
    assert (seen.method, seen.path) == (call.method, call.target)
    assert seen.request is not None
    assert call.request_headers is not None
    true = {name.lower() for name, _ in call.request_headers} | {b":authority", b":scheme"}
    assert {name for name, _ in seen.request.headers} <= true


def test_no_call_made_before_the_agent_is_invented(spectap: Spectap) -> None:
    assert [seen for seen in spectap.server.settled().exchanges() if b"/before-" in (seen.path or b"")] == []


def test_grpc_calls_of_every_kind_in_plain_text_are_true_from_both_ends(
    spectap: Spectap, tmp_path: Path
) -> None:
    with grpc_calls.serving(tmp_path) as server:
        made = grpc_calls.by_grpcio(server.port, "h2c-grpc", "--each", 3, "--cancel")
        stored = spectap.of_port(server.port, [one.seen for one in made])
        assert grpc_calls.wrong(stored, made) == []
        assert sides(stored) == {("client", "server")}

        cancelled = "h2c-grpc-cancel"

        def both_saw(found: list[Seen]) -> bool:
            return [len(seen.witnesses) for seen in by_id(found, {cancelled}).get(cancelled, [])] == [2]

        found = spectap.wait_for(both_saw, "the call that was cancelled", since=just_before([made[0].seen]))
    (cut,) = by_id(found, {cancelled})[cancelled]
    assert cut.completeness == "incomplete"
    told = cut.raw["grpc"]
    assert (told["status"], told["request_messages"], told["response_messages"]) == (None, 1, 1)


def sides(stored: dict[str, Seen]) -> set[tuple[str, ...]]:
    return {tuple(sorted(witness.side for witness in seen.witnesses)) for seen in stored.values()}


def test_grpc_over_openssl_is_true_from_both_ends(
    spectap: Spectap, tmp_path: Path, certificate: Certificate
) -> None:
    message = b"words|5|of a message"
    kinds = {"Unary": (1, 1, 0), "Collect": (4, 1, 0), "Expand": (1, 5, 0), "Chat": (3, 3, 0)}
    kinds |= {"Refuse": (1, 0, 5), "Break": (1, 2, 15)}
    calls = {kind: grpc_calls.call(kind, [message] * sent) for kind, (sent, _, _) in kinds.items()}
    with (
        grpc_calls.serving(tmp_path) as backend,
        nginx.serving(
            "grpc-front", tmp_path, 1, http2=True, certificate=certificate, grpc=backend.port
        ) as front,
        services.caller("caller", tmp_path, front.port, certificate=certificate, language="h2") as client,
    ):
        by_client = client.make(calls.values())
        stored = spectap.of_port(front.port, by_client)
    made = [
        Made(seen, status, [len(message)] * sent, [len(message)] * received)
        for seen, (sent, received, status) in zip(by_client, kinds.values(), strict=True)
    ]
    assert grpc_calls.wrong(stored, made) == []
    assert sides(stored) == {("client", "server")}
    assert {seen.tls for seen in stored.values()} == {"openssl"}
