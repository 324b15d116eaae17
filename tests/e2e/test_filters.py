"""Filtered traffic is not stored, and its bytes are counted as filtered. One agent per filter."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.e2e import nginx, services
from tests.e2e.calls import echo_call, get_call
from tests.e2e.certificates import Certificate
from tests.e2e.compare import BODY_CAP, disagreements
from tests.e2e.judged import stored_truly, unexpected
from tests.e2e.processes import free_port, python, running, wait_until
from tests.e2e.programs.http_bytes import pattern
from tests.e2e.seen import Seen
from tests.e2e.services import Echo, server_saw
from tests.e2e.spectap import Spectap, by_id, watching

pytestmark = pytest.mark.root

SMALL_CAP = 1000  # bytes
LARGE = 214_890  # bytes
EVERYTHING = os.environ.get("TIERS") == "all"


def stored_ids(spectap: Spectap) -> list[str]:
    """The last path segment of every exchange that is stored."""
    return [
        (seen.path or b"").rsplit(b"/", 1)[-1].decode("latin-1")
        for seen in spectap.server.settled().exchanges()
    ]


def test_only_watched_ports_are_stored_and_bodies_end_at_the_chosen_cap(tmp_path: Path) -> None:
    with (
        services.echo("watched", tmp_path) as watched,
        services.echo("unwatched", tmp_path) as unwatched,
        services.echo("excluded", tmp_path, "--port", free_port()) as excluded,
        watching(
            tmp_path,
            *("--port", watched.port, "--port", excluded.port, "--exclude-port", excluded.port),
            *("--body-cap", SMALL_CAP),
        ) as spectap,
        services.caller("unwatched-caller", tmp_path, unwatched.port) as unwatched_caller,
        services.caller("excluded-caller", tmp_path, excluded.port) as excluded_caller,
        services.caller("watched-caller", tmp_path, watched.port) as caller,
    ):
        unwatched_caller.make([echo_call("unwatched", size=3000)])
        excluded_caller.make([echo_call("excluded", size=3000)])
        by_client = caller.make([echo_call("watched", size=100), get_call("watched", "/bytes/5000")])
        by_server = server_saw(watched, by_client)
        stored = stored_truly(spectap, watched.port, by_client, by_server, body_cap=SMALL_CAP)
        assert [seen.completeness for seen in stored.values()].count("truncated") == 1
        assert [name for name in stored_ids(spectap) if name.startswith(("unwatched", "excluded"))] == []
        wait_until(lambda: spectap.agent.bytes_in("filtered") >= 4 * 2 * 3000, "filtered bytes counted")


@pytest.mark.parametrize("chosen", [None, "--exclude-port", "--port"])
def test_tls_that_node_feeds_from_memory_is_stored_only_where_no_port_was_chosen(
    tmp_path: Path, certificate: Certificate, chosen: str | None
) -> None:
    with (
        services.echo("node", tmp_path, certificate=certificate, language="node") as node,
        services.echo("plain", tmp_path) as plain,
    ):
        ports = {None: (), "--exclude-port": ("--exclude-port", node.port), "--port": ("--port", plain.port)}
        with (
            watching(tmp_path, *ports[chosen]) as spectap,
            services.caller("caller", tmp_path, plain.port) as caller,
        ):
            calls = [echo_call("node", size=2000) for _ in range(3)]
            by_client = services.any_client("curl", tmp_path, node.port, certificate, calls)
            spectap.of_port(plain.port, caller.make([echo_call("plain")]))
            if chosen is None:
                ids = {call.id for call in by_client}
                spectap.wait_for(lambda found: seen_by_server(found) >= ids, "the server's views")
            else:
                wait_until(lambda: spectap.agent.bytes_in("filtered") >= 4 * 3 * 2000, "bytes filtered")
                assert [name for name in stored_ids(spectap) if name.startswith("node")] == []
    told = [json.loads(line)["message"] for line in spectap.agent.process.stderr.read_text().splitlines()]
    assert [line.endswith("balanced") for line in told[-2:]] == [True, True], told[-2:]


def test_tls_that_node_feeds_from_memory_is_stored_where_its_port_was_chosen(
    tmp_path: Path, certificate: Certificate
) -> None:
    with (
        services.echo("node", tmp_path, certificate=certificate, language="node") as node,
        watching(tmp_path, "--port", node.port) as spectap,
    ):
        calls = [echo_call("chosen", size=2000) for _ in range(3)]
        by_client = services.any_client("curl", tmp_path, node.port, certificate, calls)
        stored_truly(spectap, node.port, by_client, server_saw(node, by_client), tls="openssl")


def is_probed(spectap: Spectap, pid: int) -> bool:
    """Whether a TLS library that this process has mapped is probed."""
    mapped = Path(f"/proc/{pid}/maps").read_text()
    return any(one["path"] and one["path"] in mapped for one in spectap.agent.status()["watching"])


MEMORY_CLIENTS = ["node", "undici", "httpx", "aiohttp"]


@pytest.mark.parametrize("client", MEMORY_CLIENTS if EVERYTHING else MEMORY_CLIENTS[:1])
def test_calls_from_memory_to_a_server_that_is_not_watched_are_stored_once_with_both_ends(
    tmp_path: Path, certificate: Certificate, client: str
) -> None:
    """As calls to another host are: there is no other view from which the ends could be known."""
    with (
        services.echo("elsewhere", tmp_path, certificate=certificate) as server,
        watching(tmp_path, "--exclude-pid", server.process.pid) as spectap,
        services.caller("caller", tmp_path, server.port, certificate=certificate, language=client) as caller,
    ):
        caller.make([echo_call("first")])
        wait_until(lambda: is_probed(spectap, caller.process.pid), "probes in the client")
        calls = [echo_call("outward", number % 16, size=number * 7 % 700) for number in range(400)]
        by_client = {seen.id: seen for seen in caller.make(calls)}
        stored = spectap.of_port(server.port, by_client.values(), witnesses=1)
        every = [name for name in stored_ids(spectap) if name.startswith("outward")]
    assert sorted(every) == sorted(by_client)
    for id, seen in stored.items():
        assert [(one.side, one.pid) for one in seen.witnesses] == [("client", by_client[id].pid)]
        assert (seen.client, seen.server) == (by_client[id].local, by_client[id].peer)
        assert seen.raw["uncertain"] is False


@pytest.mark.skipif(not EVERYTHING, reason="TIERS=all runs it")
@pytest.mark.parametrize(("server", "client"), [("node", "node"), ("uvicorn", "aiohttp"), ("puma", "undici")])
def test_a_port_filter_holds_where_both_ends_feed_tls_from_memory(
    tmp_path: Path, certificate: Certificate, server: str, client: str
) -> None:
    (tmp_path / "other").mkdir()
    with (
        services.any_server(server, tmp_path, certificate) as chosen,
        services.any_server(server, tmp_path / "other", certificate) as other,
        watching(tmp_path, "--port", chosen.port) as spectap,
        services.caller(
            "other-caller", tmp_path, other.port, certificate=certificate, language=client
        ) as left,
        services.caller("caller", tmp_path, chosen.port, certificate=certificate, language=client) as caller,
    ):
        left.make([echo_call("unwatched", number % 16, size=number) for number in range(100)])
        first = caller.make([echo_call("first", number) for number in range(16)])
        calls = [echo_call("watched", number % 16, size=number * 7 % 700) for number in range(400)]
        by_client = caller.make(calls)
        stored_truly(spectap, chosen.port, by_client, server_saw(chosen, by_client), tls="openssl")
        every = stored_ids(spectap)
    assert [name for name in every if name.startswith("unwatched")] == []
    assert len([name for name in every if name.startswith("watched")]) == len(by_client)
    assert len([name for name in every if name.startswith("first")]) <= len(first)


def seen_by_server(stored: list[Seen]) -> set[str]:
    """The last path segments of the exchanges with a server's view."""
    views = [seen for seen in stored if any(witness.side == "server" for witness in seen.witnesses)]
    return {(seen.path or b"").rsplit(b"/", 1)[-1].decode("latin-1") for seen in views}


def test_only_watched_processes_are_witnesses_and_heads_only_leaves_bodies_out(
    tmp_path: Path, certificate: Certificate
) -> None:
    with (
        services.echo("plain", tmp_path) as plain,
        services.echo("tls", tmp_path, certificate=certificate) as tls,
        watching(tmp_path, "--process", "curl", "--heads-only") as spectap,
        services.caller("caller", tmp_path, plain.port) as caller,
    ):
        caller.make([echo_call("unwatched")])
        for server, trusted in ((plain, None), (tls, certificate)):
            calls = [echo_call("curl", size=2000) for _ in range(2)]
            by_client = services.any_client("curl", tmp_path, server.port, trusted, calls)
            stored = spectap.of_port(server.port, by_client, witnesses=1)
            for call in by_client:
                seen = stored[call.id]
                assert [(witness.side, witness.pid) for witness in seen.witnesses] == [("client", call.pid)]
                assert unexpected(seen, "openssl" if trusted else None)[1:] == []
                assert seen.request is not None
                assert seen.response is not None
                assert (seen.request.data, seen.response.data) == (None, None)
                sizes = (seen.request.size, seen.response.size)
                assert sizes == (len(call.request.data or b"") if call.request else None,) * 2
        assert [name for name in stored_ids(spectap) if name.startswith("unwatched")] == []


def test_only_watched_pids_are_witnesses(tmp_path: Path) -> None:
    with (
        services.echo("watched", tmp_path) as watched,
        services.echo("other", tmp_path) as other,
        watching(tmp_path, "--pid", watched.process.pid) as spectap,
        services.caller("other-caller", tmp_path, other.port) as other_caller,
        services.caller("watched-caller", tmp_path, watched.port) as caller,
    ):
        unwatched = other_caller.make([echo_call("unwatched")])
        by_client = caller.make([echo_call("watched") for _ in range(3)])
        stored = spectap.of_port(watched.port, by_client, witnesses=1)
        views = {(w.side, w.pid) for seen in stored.values() for w in seen.witnesses}
        assert views == {("server", watched.process.pid)}
        assert by_id(spectap.server.settled().exchanges(), {call.id for call in unwatched}) == {}


def test_of_a_socket_that_an_unwatched_process_uses_in_turns_each_call_counts_once(tmp_path: Path) -> None:
    log = tmp_path / "turns.jsonl"
    with running("turns", python("turns", "--log", log), tmp_path) as process:
        server = Echo(process, int(process.first_line()), log)
        other = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())
        with (
            watching(tmp_path, "--exclude-pid", other) as spectap,
            services.caller("caller", tmp_path, server.port) as caller,
        ):
            calls = [echo_call("turns", size=number * 30) for number in range(30)]
            made = [seen for call in calls for seen in caller.make([call])]
            by_server = server_saw(server, made)
            alone = {name for name, seen in by_server.items() if seen.pid == other}
            stored = spectap.views(made, {caller.process.pid})
            spectap.views([call for call in made if call.id not in alone], {process.pid})
            stored = by_id(spectap.server.settled().exchanges(), {call.id for call in made})
    assert len(alone) == len(calls) // 3
    assert {name: len(found) for name, found in stored.items()} == dict.fromkeys(stored, 1)
    for name, (seen,) in stored.items():
        assert disagreements(seen, [by_server[name]]) == []
        pids = {caller.process.pid} if name in alone else {caller.process.pid, process.pid}
        assert {witness.pid for witness in seen.witnesses} == pids


def test_what_nginx_sends_by_sendfile_is_counted_and_null_unless_kprobes_see_it(tmp_path: Path) -> None:
    with (
        nginx.serving("nginx", tmp_path, 1, static=pattern(LARGE)) as server,
        watching(tmp_path, "--process", "nginx") as spectap,
        services.caller("caller", tmp_path, server.port) as caller,
    ):
        blind = caller.make([get_call("blind", "/sendfile") for _ in range(3)])
        plain = caller.make([get_call("plain", "/static") for _ in range(3)])
        by_server = server_saw(server, [*blind, *plain])
        stored = spectap.of_port(server.port, [*blind, *plain], witnesses=1)
        wrong = [text for name, seen in stored.items() for text in disagreements(seen, [by_server[name]])]
        assert wrong == []
        for call in (*blind, *plain):
            seen = stored[call.id]
            assert [witness.side for witness in seen.witnesses] == ["server"]
            assert seen.response is not None
            assert seen.response.size == LARGE
            if call in blind and not spectap.agent.is_below_calls():
                assert (seen.response.state, seen.response.data) == ("unseen", None)
            else:
                kept = (seen.response.state, seen.response.data)
                assert kept == ("truncated", pattern(LARGE)[:BODY_CAP])
