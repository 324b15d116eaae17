"""Many concurrent HTTP/2 streams, as a load generator makes them: each exchange is the right one, and
complete or cut at the cap.

h2load reports the number of responses only; nginx logs each request. The bodies are compared with the files
that nginx serves: each contains its own id.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.e2e import nginx
from tests.e2e.calls import fresh_id
from tests.e2e.certificates import Certificate
from tests.e2e.compare import BODY_CAP
from tests.e2e.observations import Observation, Payload
from tests.e2e.processes import PATIENCE, Running, running, wait_until
from tests.e2e.seen import Seen
from tests.e2e.spectap import watching

pytestmark = pytest.mark.root

STREAMS = 8  # at once, on each connection
SMALL, LARGE = 100, 1_000_000  # bytes
EVERY = 4  # one in this many bodies is large


def body_of(name: str, size: int) -> bytes:
    """JSON of exactly `size` bytes with the id first, since the cap cuts the end."""
    empty = json.dumps({"id": name, "text": ""}).encode()
    text = ("word " * (size // 5))[: size - len(empty)].encode()
    return empty[:-2] + text + empty[-2:]


def planted(server: nginx.Nginx, count: int) -> dict[str, bytes]:
    """The files that nginx serves at /files/ID, by id."""
    folder = server.folder / "www/files"
    folder.mkdir()
    names = [fresh_id("stream") for _ in range(count)]
    bodies = {name: body_of(name, SMALL if n % EVERY else LARGE) for n, name in enumerate(names)}
    for name, body in bodies.items():
        (folder / name).write_bytes(body)
    return bodies


@contextmanager
def clients(folder: Path, base: str, names: list[str], connections: int) -> Iterator[list[Running]]:
    """One h2load per connection: with several, all connections of one h2load would request the same paths."""
    with ExitStack() as stack:
        started = []
        for n in range(connections):
            share = names[n::connections]
            uris = folder / f"uris-{n}"
            uris.write_text("".join(f"{base}/files/{name}\n" for name in share))
            argv = ["h2load", "-n", str(len(share)), "-c", "1", "-m", str(STREAMS), "-i", str(uris)]
            started.append(stack.enter_context(running(f"h2load-{n}", argv, folder)))
        yield started


def asked(name: str, body: bytes, start_ns: int) -> Observation:
    return Observation(
        end="client",
        id=name,
        method="GET",
        target=f"/files/{name}".encode(),
        status=200,
        request_headers=None,
        request=None,
        response_headers=None,
        response=Payload.of(body),
        local=None,
        peer=None,
        start_ns=start_ns,
        end_ns=None,
        pid=None,
    )


def wrong_with(seen: Seen, name: str, body: bytes, ends: dict[str, set[int]]) -> list[str]:
    """Stored exchanges that differ from what was served under their id."""
    response = seen.response
    assert response is not None
    whole = len(body) <= BODY_CAP
    sides = {witness.side: witness.pid for witness in seen.witnesses}
    claims = {
        "protocol": seen.protocol == "h2",
        "status": seen.status == 200,
        "size": response.size == len(body),
        "state": response.state == ("complete" if whole else "truncated"),
        "completeness": seen.completeness == ("complete" if whole else "truncated"),
        "body": _id_in(response.data) == name and (response.data == body or not whole),
        "witnesses": len(seen.witnesses) == 2 and sides.keys() == ends.keys(),
        "processes": all(sides[side] in pids for side, pids in ends.items() if side in sides),
        "client": seen.client is not None,
    }
    return [f"{name}: {what}" for what, holds in claims.items() if not holds]


def _id_in(body: bytes | None) -> str | None:
    if body is None:
        return None
    start = b'{"id": "'
    return body.removeprefix(start).split(b'"')[0].decode() if body.startswith(start) else None


@pytest.mark.parametrize(
    ("connections", "requests", "tls"),
    [(4, 1000, True), (1, 80, True), (1, 80, False)],
    ids=["1000-tls", "80-tls", "80-h2c"],
)
def test_answers_on_many_streams_at_once_are_each_the_right_one_with_both_witnesses(
    tmp_path: Path, certificate: Certificate, connections: int, requests: int, tls: bool
) -> None:
    trusted = certificate if tls else None
    with (
        nginx.serving("nginx", tmp_path, 1, certificate=trusted, http2=True) as server,
        watching(tmp_path) as spectap,
    ):
        bodies = planted(server, requests)
        base = f"{'https' if tls else 'http'}://127.0.0.1:{server.port}"
        start = time.time_ns()
        with clients(tmp_path, base, list(bodies), connections) as started:
            assert [one.finish() for one in started] == [0] * connections
            for one in started:
                assert f" {requests // connections} succeeded" in one.output(), one.output()
        wait_until(
            lambda: spectap.agent.exchanges_in("shipped") >= 2 * requests, "both ends' views", 2 * PATIENCE
        )
        stored = spectap.of_port(server.port, [asked(name, body, start) for name, body in bodies.items()])
        workers = {line.pid for line in server.observations() if line.pid is not None}
        ends = {"client": {one.pid for one in started}, "server": workers}
        wrong = [text for name, seen in stored.items() for text in wrong_with(seen, name, bodies[name], ends)]
        assert wrong == []
        assert {seen.tls for seen in stored.values()} == {"openssl" if tls else None}
        assert len(stored) == requests
        large = sum(len(body) for body in bodies.values() if len(body) == LARGE)
        assert spectap.agent.bytes_in("capped") > 2 * 0.9 * large
