"""A call through a proxy's tunnel is one exchange, of the client and the server at its two ends.

A real proxy (tinyproxy), clients that reach TLS by CONNECT (curl's OpenSSL; Python's, fed from memory), and
`curl --proxytunnel` for plain HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e import services
from tests.e2e.calls import Call, echo_call, get_call
from tests.e2e.certificates import Certificate
from tests.e2e.observations import Observation
from tests.e2e.processes import free_port, listening, running, wait_until
from tests.e2e.seen import Seen
from tests.e2e.spectap import Spectap, by_id, just_before, watching

pytestmark = pytest.mark.root

CONFIGURATION = """
Port {port}
Listen 127.0.0.1
Timeout 60
MaxClients 50
LogLevel Error
"""


@pytest.fixture(scope="module")
def spectap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spectap]:
    with watching(tmp_path_factory.mktemp("tunnels")) as started:
        yield started


@contextmanager
def proxy(folder: Path) -> Iterator[int]:
    """A tinyproxy; its port."""
    port, file = free_port(), folder / "tinyproxy.conf"
    file.write_text(CONFIGURATION.format(port=port))
    with running("tinyproxy", ["tinyproxy", "-d", "-c", str(file)], folder) as process:
        process.wait_for(lambda: listening(port), "the proxy")
        yield port


def curl(folder: Path, base: str, port: int, calls: list[Call], *options: object) -> list[Observation]:
    through = ("--http1.1", "--noproxy", "", "--proxy", f"http://127.0.0.1:{port}")
    return services.curl(folder, base, calls, *through, *options)


def stored(spectap: Spectap, calls: list[Observation], views: int) -> list[Seen]:
    """The exchanges of these calls, once they have so many views in all."""
    ids, since = {call.id for call in calls}, just_before(calls)

    def found() -> dict[str, list[Seen]] | None:
        known = by_id(spectap.server.exchanges(since=since), ids)
        count = sum(len(seen.witnesses) for one in known.values() for seen in one)
        return known if count >= views else None

    wait_until(found, f"{views} views")
    known = by_id(spectap.server.settled().exchanges(since=since), ids)
    assert {name: len(one) for name, one in known.items()} == dict.fromkeys(ids, 1)
    return [one[0] for one in known.values()]


def check(spectap: Spectap, exchanges: list[Seen], calls: list[Observation], port: int, through: int) -> None:
    """Each is of the client that called and the server at `port`, seen at both ends."""
    by_path = {(call.target.rsplit(b"/", 1)[-1]): call for call in calls}
    for seen in exchanges:
        call = by_path[(seen.path or b"").rsplit(b"/", 1)[-1]]
        assert sorted(witness.side for witness in seen.witnesses) == ["client", "server"]
        assert seen.server == ("127.0.0.1", port)
        assert seen.client == call.local
        (client,) = [one for one in seen.raw["witnesses"] if one["side"] == "client"]
        (server,) = [one for one in seen.raw["witnesses"] if one["side"] == "server"]
        assert client["via"]["port"] == server["client"]["port"] != client["client"]["port"]
        assert client["process"]["name"] == "curl"
    asked = [
        seen
        for seen in spectap.server.exchanges(since=just_before(calls))
        if seen.method == "CONNECT" and seen.server == ("127.0.0.1", through)
    ]
    assert {seen.path for seen in asked} == {b"localhost:%d" % port}
    assert {seen.raw["upgraded"] for seen in asked} == {"connect"}
    assert {seen.raw["host"] for seen in asked} == {None}
    (api,) = {seen.raw["api"] for seen in asked}
    kinds = {one["kind"] for one in spectap.server.items(f"/apis/{api}/operations")}
    assert kinds == {"unseen"}


@pytest.mark.parametrize(("server", "path"), [("python", "/bytes/500"), ("nginx", "/static")])
def test_a_tls_call_through_a_tunnel_is_the_servers_once(
    spectap: Spectap, server: str, path: str, tmp_path: Path, certificate: Certificate
) -> None:
    with services.any_server(server, tmp_path, certificate) as serving, proxy(tmp_path) as through:
        options = ("--cacert", certificate.certificate)
        base = f"https://localhost:{serving.port}"
        calls = [
            call
            for _ in range(3)
            for call in curl(
                tmp_path, base, through, [get_call(f"tunnel-{server}", path) for _ in range(3)], *options
            )
        ]
        check(spectap, stored(spectap, calls, 2 * len(calls)), calls, serving.port, through)


def test_a_plain_call_through_a_tunnel_is_the_servers_once(spectap: Spectap, tmp_path: Path) -> None:
    with services.echo("plain", tmp_path) as serving, proxy(tmp_path) as through:
        made = [echo_call("tunnel-plain", size=500) for _ in range(3)]
        calls = curl(tmp_path, f"http://localhost:{serving.port}", through, made, "--proxytunnel")
        check(spectap, stored(spectap, calls, 2 * len(calls)), calls, serving.port, through)
