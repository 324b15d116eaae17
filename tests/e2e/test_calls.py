"""Real calls between real processes, captured by one agent, compared with the logs of both ends.

One agent serves the whole module. `older` are processes and connections that existed before it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.e2e import nginx, services
from tests.e2e.calls import Call, echo_call, get_call
from tests.e2e.certificates import Certificate
from tests.e2e.compare import BODY_CAP, disagreements
from tests.e2e.judged import BOTH, stored_truly
from tests.e2e.observations import AGGREGATION_HEADER, Observation
from tests.e2e.processes import PATIENCE, REPOSITORY, environment, python, wait_until
from tests.e2e.programs.http_bytes import pattern
from tests.e2e.seen import Seen
from tests.e2e.services import Caller, Echo, server_saw
from tests.e2e.spectap import Spectap, by_id, just_before, watching
from tests.e2e.stored_records import stored_records

pytestmark = pytest.mark.root

LARGE = 214_890  # bytes of a response of which other tools lose two thirds
CONNECTIONS = 16
MANY = 1000
SHORT_LIVED = 40
PIPELINED = ("echo", "bytes/3000", "chunked", "close")


@dataclass(frozen=True, slots=True)
class Older:
    """Servers, and a client with an open connection to each, started before the agent."""

    plain: Echo
    plain_caller: Caller
    tls: Echo
    tls_caller: Caller
    front: nginx.Nginx
    front_caller: Caller


@pytest.fixture(scope="module")
def older(folder: Path, certificate: Certificate) -> Iterator[Older]:
    with ExitStack() as stack:

        def call(name: str, port: int, trusted: Certificate | None = None) -> Caller:
            client = stack.enter_context(services.caller(name, folder, port, certificate=trusted))
            client.make([echo_call("before")])
            return client

        plain = stack.enter_context(services.echo("old-plain", folder))
        tls = stack.enter_context(services.echo("old-tls", folder, certificate=certificate))
        front = stack.enter_context(nginx.serving("old-nginx", folder, plain.port, certificate=certificate))
        yield Older(
            plain=plain,
            plain_caller=call("old-plain-caller", plain.port),
            tls=tls,
            tls_caller=call("old-tls-caller", tls.port, certificate),
            front=front,
            front_caller=call("old-nginx-caller", front.port, certificate),
        )


@pytest.fixture(scope="module")
def spectap(folder: Path, older: Older) -> Iterator[Spectap]:
    with watching(folder) as both:
        yield both


def some_calls(about: str) -> list[Call]:
    sizes = [echo_call(about, size=size) for size in (0, 300, 9000, 30_000)]
    return [*sizes, get_call(about, "/echo"), get_call(about, "/echo", query="?page=2&sort=name&empty=")]


@pytest.mark.parametrize("client", ["python", "node", "curl"])
@pytest.mark.parametrize("server", ["python", "node", "nginx"])
def test_plain_keep_alive_calls_are_stored_once_and_true(
    spectap: Spectap, server: str, client: str, tmp_path: Path
) -> None:
    with services.any_server(server, tmp_path, None) as serving:
        by_client = services.any_client(client, tmp_path, serving.port, None, some_calls("plain"))
        stored_truly(spectap, serving.port, by_client, server_saw(serving, by_client))


@pytest.mark.parametrize("client", ["python", "curl"])
@pytest.mark.parametrize("server", ["python", "nginx"])
def test_tls_keep_alive_calls_are_stored_once_and_true(
    spectap: Spectap, server: str, client: str, tmp_path: Path, certificate: Certificate
) -> None:
    with services.any_server(server, tmp_path, certificate) as serving:
        by_client = services.any_client(client, tmp_path, serving.port, certificate, some_calls("tls"))
        stored_truly(spectap, serving.port, by_client, server_saw(serving, by_client), tls="openssl")


@pytest.mark.parametrize("tls", [None, "openssl"])
def test_both_ends_number_the_calls_of_a_connection_that_is_seen_from_its_start(
    spectap: Spectap, folder: Path, tmp_path: Path, certificate: Certificate, tls: str | None
) -> None:
    trusted = certificate if tls else None
    with services.any_server("nginx", tmp_path, trusted) as serving:
        by_client = services.any_client("python", tmp_path, serving.port, trusted, some_calls("numbered"))
        stored_truly(spectap, serving.port, by_client, server_saw(serving, by_client), tls=tls)
    records = [one for one in stored_records(folder) if one.server and one.server.port == serving.port]
    numbers = {side: sorted(one.stream for one in records if one.side == side) for side in BOTH}
    assert numbers["client"] == numbers["server"] == [*range(len(by_client))]
    assert all(one.absolute for one in records)


def test_both_hops_of_a_proxied_call_are_exchanges_of_their_own(spectap: Spectap, tmp_path: Path) -> None:
    with (
        services.echo("backend", tmp_path) as backend,
        nginx.serving("front", tmp_path, backend.port) as front,
        services.caller("caller", tmp_path, front.port) as client,
    ):
        by_client = client.make([echo_call("hop") for _ in range(4)])
        first = stored_truly(spectap, front.port, by_client, server_saw(front, by_client))
        second = spectap.of_port(backend.port, by_client)
        by_backend = server_saw(backend, by_client)
        wrong = [text for name, seen in second.items() for text in disagreements(seen, [by_backend[name]])]
        assert not wrong
        assert pids(first, "server") == pids(second, "client"), "the same workers of nginx"


def pids(stored: dict[str, Seen], side: str) -> set[int | None]:
    views = [witness for seen in stored.values() for witness in seen.witnesses]
    return {witness.pid for witness in views if witness.side == side}


@pytest.mark.parametrize("client", ["urllib", "wget", "curl"])
def test_one_exchange_per_connection_of_a_short_lived_client(
    spectap: Spectap, client: str, tmp_path: Path
) -> None:
    calls = [get_call(client, "") for _ in range(3)]
    with services.http_server(tmp_path) as static:
        for call in calls:
            (static.root / call.id).write_bytes(pattern(5000))
        base = f"http://127.0.0.1:{static.port}"
        by_client = [fetched(client, tmp_path, base, call) for call in calls]
        by_server = server_saw(static, by_client)
        stored = stored_truly(spectap, static.port, by_client, by_server)
    assert len({seen.client for seen in stored.values()}) == len(calls)


def fetched(client: str, folder: Path, base: str, call: Call) -> Observation:
    output, url = folder / f"{call.id}.answer", base + call.target.decode()
    if client == "curl":
        return services.curl(folder, base, [call])[0]
    if client == "urllib":
        return services.one_shot(folder, python("fetch", url, call.id, output), call, output)
    argv = ["wget", "--quiet", "--no-proxy", "--header", f"{AGGREGATION_HEADER}: {call.id}"]
    return services.one_shot(folder, [*argv, "-O", str(output), url], call, output)


def test_each_of_many_short_lived_tls_clients_is_seen(
    spectap: Spectap, tmp_path: Path, certificate: Certificate
) -> None:
    with services.any_server("nginx", tmp_path, certificate) as serving, ThreadPoolExecutor(4) as pool:

        def curl(_: int) -> Observation:
            return services.any_client("curl", tmp_path, serving.port, certificate, [echo_call("short")])[0]

        by_client = list(pool.map(curl, range(SHORT_LIVED)))
        by_server = server_saw(serving, by_client)
        stored = stored_truly(spectap, serving.port, by_client, by_server, tls="openssl")
    assert len(pids(stored, "client")) == SHORT_LIVED


@pytest.mark.parametrize("server", ["nginx-plain", "nginx-tls", "python"])
def test_1000_of_1000_over_16_keep_alive_connections(
    spectap: Spectap, server: str, tmp_path: Path, certificate: Certificate
) -> None:
    trusted = certificate if server == "nginx-tls" else None
    calls = [echo_call(f"many-{server}", number % CONNECTIONS, size=number % 700) for number in range(MANY)]
    with (
        services.any_server(server.partition("-")[0], tmp_path, trusted) as serving,
        services.caller("caller", tmp_path, serving.port, certificate=trusted) as client,
    ):
        by_client = client.make(calls)
        by_server = server_saw(serving, by_client)
        stored = stored_truly(spectap, serving.port, by_client, by_server, tls="openssl" if trusted else None)
        everything = spectap.at_port(serving.port, just_before(by_client))
    assert len(stored) == len(everything) == MANY
    assert len({seen.client for seen in stored.values()}) == CONNECTIONS


@pytest.mark.parametrize("server", ["python", "nginx"])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_large_response_is_counted_in_full_and_kept_up_to_the_cap(
    spectap: Spectap, server: str, tls: bool, tmp_path: Path, certificate: Certificate
) -> None:
    trusted = certificate if tls else None
    with ExitStack() as stack:
        serving: services.AnyServer
        if server == "nginx":
            serving = stack.enter_context(
                nginx.serving("static", tmp_path, 1, certificate=trusted, static=pattern(LARGE))
            )
        else:
            serving = stack.enter_context(services.echo("static", tmp_path, certificate=trusted))
        path = "/static" if server == "nginx" else f"/bytes/{LARGE}"
        client = stack.enter_context(services.caller("caller", tmp_path, serving.port, certificate=trusted))
        by_client = client.make([get_call("large", path) for _ in range(3)])
        stored = stored_truly(
            spectap, serving.port, by_client, server_saw(serving, by_client), tls="openssl" if tls else None
        )
    for seen in stored.values():
        assert seen.response is not None
        assert (seen.response.size, seen.response.state) == (LARGE, "truncated")
        assert seen.response.data == pattern(LARGE)[:BODY_CAP]


def test_a_large_request_is_counted_in_full_and_kept_up_to_the_cap(spectap: Spectap, tmp_path: Path) -> None:
    with (
        services.echo("echo", tmp_path) as server,
        services.caller("caller", tmp_path, server.port) as client,
    ):
        by_client = client.make([echo_call("upload", size=300_000), echo_call("upload")])
        stored = stored_truly(spectap, server.port, by_client, server_saw(server, by_client))
    assert [seen.completeness for seen in stored.values()].count("truncated") == 1


def test_a_body_sent_by_sendfile_is_counted_and_its_bytes_are_unseen_by_the_server(
    spectap: Spectap, tmp_path: Path
) -> None:
    with (
        nginx.serving("sendfile", tmp_path, 1, static=pattern(LARGE)) as server,
        services.caller("caller", tmp_path, server.port) as client,
    ):
        by_client = client.make([get_call("sendfile", "/sendfile") for _ in range(3)])
        by_server = server_saw(server, by_client)
        stored = spectap.of_port(server.port, by_client)
    for call in by_client:
        seen = stored[call.id]
        assert disagreements(seen, [call, by_server[call.id]], bodies=False) == []
        assert seen.response is not None
        assert seen.response.size == LARGE
        # Either the client's view, which read the bytes, or the server's, which may never have received them.
        kept = (seen.response.state, seen.response.data)
        assert kept in [("unseen", None), ("truncated", pattern(LARGE)[:BODY_CAP])]


@pytest.mark.parametrize(
    ("listen", "host"),
    [("::1", "::1"), ("::", "127.0.0.1"), ("::", "::1"), ("0.0.0.0", "127.0.0.1")],
    ids=["IPv6", "IPv4-mapped", "dual-stack IPv6", "any IPv4"],
)
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_addresses_are_true_in_each_family(
    spectap: Spectap, listen: str, host: str, tls: bool, tmp_path: Path, certificate: Certificate
) -> None:
    trusted = certificate if tls else None
    with (
        services.echo("echo", tmp_path, "--host", listen, certificate=trusted) as server,
        services.caller("caller", tmp_path, server.port, "--host", host, certificate=trusted) as client,
    ):
        by_client = client.make(some_calls("family"))
        by_server = server_saw(server, by_client)
        stored = stored_truly(spectap, server.port, by_client, by_server, tls="openssl" if tls else None)
    assert {seen.server for seen in stored.values()} == {(host, server.port)}


@pytest.mark.parametrize(
    "target", [b"/echo/%ff%fe/caf%E9/", b"/echo/\xff\xfe/caf\xe9/"], ids=["percent-encoded", "raw"]
)
@pytest.mark.parametrize("server", ["python", "nginx"])
def test_a_path_and_a_header_that_are_not_utf8_are_stored_as_they_were(
    spectap: Spectap, server: str, target: bytes, tmp_path: Path
) -> None:
    plain = get_call("octets", "/echo", headers=((b"Accept-Language", b"caf\xe9 \xff\xfe"),))
    call = Call(plain.id, plain.method, target + plain.id.encode(), plain.headers)
    with (
        services.any_server(server, tmp_path, None) as serving,
        services.caller("caller", tmp_path, serving.port) as client,
    ):
        by_client = client.make([call])
        stored_truly(spectap, serving.port, by_client, server_saw(serving, by_client))


@pytest.mark.parametrize("mode", ["gzip", "chunked", "close", "status/404", "status/204", "status/304"])
def test_each_framing_is_stored_true(spectap: Spectap, mode: str, tmp_path: Path) -> None:
    with (
        services.echo("echo", tmp_path) as server,
        services.caller("caller", tmp_path, server.port) as client,
    ):
        by_client = client.make([echo_call("framing", path=f"/{mode}", size=3000) for _ in range(3)])
        stored_truly(spectap, server.port, by_client, server_saw(server, by_client))


@pytest.mark.parametrize(
    "method", ["HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY", "M-SEARCH", "get", "x!#$"]
)
def test_each_method_is_stored_true(spectap: Spectap, method: str, tmp_path: Path) -> None:
    """Except one that is not made of letters, which may be a secret."""
    calls = [echo_call("method"), get_call("method", "/echo")]
    kept = method if method.replace("-", "").isalpha() else "OTHER"
    with (
        services.echo("echo", tmp_path) as server,
        services.caller("caller", tmp_path, server.port) as client,
    ):
        asked = [Call(call.id, method, call.target, call.headers, call.body) for call in calls]
        by_client = client.make(asked)
        by_server = server_saw(server, by_client)
        assert {seen.method for seen in by_server.values()} == {method}
        as_kept = {name: replace(seen, method=kept) for name, seen in by_server.items()}
        stored_truly(spectap, server.port, [replace(seen, method=kept) for seen in by_client], as_kept)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_request_written_byte_by_byte_is_stored_true(
    spectap: Spectap, tls: bool, tmp_path: Path, certificate: Certificate
) -> None:
    trusted = certificate if tls else None
    with (
        services.echo("echo", tmp_path, certificate=trusted) as server,
        services.caller("caller", tmp_path, server.port, certificate=trusted) as client,
    ):
        calls = [echo_call("pieces") for _ in range(3)]
        pieces = [Call(c.id, c.method, c.target, c.headers, c.body, piece=1) for c in calls]
        by_client = client.make(pieces)
        by_server = server_saw(server, by_client)
        stored_truly(spectap, server.port, by_client, by_server, tls="openssl" if tls else None)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_forked_workers_are_told_apart(
    spectap: Spectap, tls: bool, tmp_path: Path, certificate: Certificate
) -> None:
    trusted = certificate if tls else None
    with (
        services.echo("echo", tmp_path, "--workers", 3, certificate=trusted) as server,
        services.caller("caller", tmp_path, server.port, certificate=trusted) as client,
    ):
        by_client = client.make([echo_call("fork", number % 12) for number in range(36)])
        by_server = server_saw(server, by_client)
        stored_truly(spectap, server.port, by_client, by_server, tls="openssl" if tls else None)


def served_once(spectap: Spectap, server: Echo, ids: set[str]) -> None:
    """Asserts that TLS calls whose client keeps no log are stored once, as in the server's log."""
    wait_until(lambda: ids <= {seen.id for seen in server.observations()}, "the server's log")
    by_server = {seen.id: seen for seen in server.observations()}
    calls = list(by_server.values())
    stored_truly(spectap, server.port, calls, by_server, tls="openssl")
    assert len(spectap.at_port(server.port, just_before(calls))) == len(ids)


def test_pipelined_calls_of_openssl_s_client_are_stored_once_and_true(
    spectap: Spectap, tmp_path: Path, certificate: Certificate
) -> None:
    """It calls no handshake function: its first SSL_write makes the handshake."""
    connections = [[get_call("s-client", f"/{mode}") for mode in PIPELINED] for _ in range(6)]
    with services.echo("echo", tmp_path, certificate=certificate) as server:
        for connection in connections:
            services.s_client(server.port, connection)
        served_once(spectap, server, {call.id for connection in connections for call in connection})


def test_what_a_client_peeks_at_before_it_reads_is_counted_once(
    spectap: Spectap, tmp_path: Path, certificate: Certificate
) -> None:
    calls = [get_call("peek", path) for path in ("/bytes/3000", "/echo", "/chunked", "/bytes/20000")]
    with services.echo("echo", tmp_path, certificate=certificate) as server:
        argv = python("peek", server.port, *(call.target.decode() for call in calls))
        subprocess.run(argv, check=True, cwd=REPOSITORY, env=environment(), timeout=PATIENCE)
        served_once(spectap, server, {call.id for call in calls})


def test_connections_older_than_the_agent_are_seen_from_their_next_call(
    spectap: Spectap, older: Older
) -> None:
    """A server that has been waiting in one read since before the agent started is captured from the next
    call on.
    """
    connections: list[tuple[Caller, services.AnyServer, str | None]] = [
        (older.plain_caller, older.plain, None),
        (older.tls_caller, older.tls, "openssl"),
        (older.front_caller, older.front, "openssl"),
    ]
    for client, server, tls in connections:
        first = client.make([echo_call("late")])[0]
        seen = spectap.of_port(server.port, [first], witnesses=1)[first.id]
        assert "client" in {witness.side for witness in seen.witnesses}
        assert disagreements(seen, [first, server_saw(server, [first])[first.id]]) == []
        by_client = client.make([echo_call("late") for _ in range(3)])
        stored_truly(spectap, server.port, by_client, server_saw(server, by_client), tls=tls)


def test_calls_to_processes_older_than_the_agent_are_seen(
    spectap: Spectap, older: Older, tmp_path: Path, certificate: Certificate
) -> None:
    servers: list[tuple[services.AnyServer, Certificate | None]] = [
        (older.plain, None),
        (older.tls, certificate),
        (older.front, certificate),
    ]
    for server, trusted in servers:
        by_client = services.any_client("curl", tmp_path, server.port, trusted, some_calls("older"))
        by_server = server_saw(server, by_client)
        stored_truly(spectap, server.port, by_client, by_server, tls="openssl" if trusted else None)


def test_unix_sockets_are_counted_as_filtered(spectap: Spectap, tmp_path: Path) -> None:
    before, path = spectap.agent.bytes_in("unix_socket"), tmp_path / "socket"
    with (
        services.echo("echo", tmp_path, "--unix", path),
        services.caller("caller", tmp_path, 0, "--unix", path) as client,
        services.echo("tcp", tmp_path) as tcp,
        services.caller("tcp-caller", tmp_path, tcp.port) as tcp_client,
    ):
        by_client = client.make([echo_call("unix", size=2000)])
        afterwards = tcp_client.make([echo_call("after-unix")])
        spectap.of_port(tcp.port, afterwards)
        expected = before if spectap.agent.is_below_calls() else before + 4 * 2000
        wait_until(lambda: spectap.agent.bytes_in("unix_socket") >= expected, "Unix bytes counted")
        assert by_id(spectap.server.settled().exchanges(), {call.id for call in by_client}) == {}


def test_the_traffic_of_agent_and_server_is_absent(spectap: Spectap, older: Older) -> None:
    by_client = older.plain_caller.make([echo_call("own")])
    spectap.of_port(older.plain.port, by_client)
    assert spectap.agent.exchanges_in("shipped") > 0, "the agent has talked to the server"
    own = {spectap.agent.process.pid, spectap.server.process.pid}
    stored = spectap.server.settled().exchanges()
    assert [seen.raw for seen in stored if own & {witness.pid for witness in seen.witnesses}] == []
    assert [seen.raw for seen in stored if seen.server and seen.server[1] == spectap.server.port] == []


def test_no_call_made_before_the_agent_is_invented(spectap: Spectap) -> None:
    before = [seen for seen in spectap.server.settled().exchanges() if b"/before-" in (seen.path or b"")]
    assert before == []


def test_every_exchange_parsed_is_accounted_for(spectap: Spectap, older: Older) -> None:
    by_client = older.plain_caller.make([echo_call("ledger") for _ in range(5)])
    spectap.of_port(older.plain.port, by_client)

    def balanced() -> bool:
        counts = dict(spectap.agent.status()["ledger"]["exchanges"])
        parsed = counts.pop("parsed", 0)
        return bool(parsed > 0 and parsed == sum(counts.values()))

    wait_until(balanced, "parsed to equal shipped and dropped")
    lost = {name: count for name, count in spectap.agent.status()["ledger"]["kernel"].items() if count}
    assert lost == {}, "nothing was lost in the kernel at this pace"


def test_the_interpreter_under_test_is_the_distributions(spectap: Spectap) -> None:
    """Otherwise the TLS tests would use another OpenSSL than users do."""
    assert Path(sys.base_prefix) == Path("/usr")
