"""From the first call after the start to the last before the stop: no call is missed, and nothing stays
behind.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.e2e import bpf_programs, services
from tests.e2e.calls import Call, echo_call
from tests.e2e.certificates import Certificate
from tests.e2e.judged import BOTH
from tests.e2e.observations import Observation
from tests.e2e.processes import Running, free_port, running, wait_until
from tests.e2e.services import server_saw
from tests.e2e.spectap import PATIENCE_TO_STOP, Server, agent, by_id, command, ready, serving, watching

pytestmark = pytest.mark.root

CONNECTIONS = 8
LAST_CALLS = 400


def test_the_first_curl_after_the_start_is_captured(tmp_path: Path, certificate: Certificate) -> None:
    """It lives for some 20 ms: attaching when it starts would be too late."""
    with (
        services.echo("node", tmp_path, certificate=certificate, language="node") as server,
        watching(tmp_path) as spectap,
    ):
        call = echo_call("first", size=500)
        seen_by_curl = services.any_client("curl", tmp_path, server.port, certificate, [call])[0]
        stored = spectap.of_port(server.port, [seen_by_curl], witnesses=1)[call.id]
        assert {w.side: w.pid for w in stored.witnesses}["client"] == seen_by_curl.pid
        assert (stored.tls, stored.client, stored.server) == (
            "openssl",
            seen_by_curl.local,
            seen_by_curl.peer,
        )
        assert stored.request is not None
        assert stored.request.data == call.body


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_stop_stores_every_call_made_before_it_and_leaves_no_probe(
    number: signal.Signals, tmp_path: Path, certificate: Certificate
) -> None:
    before = bpf_programs.loaded()
    with (
        services.echo("tls", tmp_path, certificate=certificate) as server,
        services.caller("caller", tmp_path, server.port, certificate=certificate) as caller,
        serving(tmp_path) as store,
    ):
        with agent(tmp_path, store) as watcher:
            pid, calls = watcher.process.pid, last_calls()
            by_client = caller.make(calls)
            watcher.process.process.send_signal(number)
            assert watcher.process.process.wait(PATIENCE_TO_STOP) == 0, watcher.process.output()[-3000:]
        assert not Path(f"/proc/{pid}").exists()
        assert not bpf_programs.loaded() - before
        assert not_witnessed_by_both(store, by_client) == {}
        afterwards = caller.make([echo_call("afterwards")])
        assert server_saw(server, afterwards), "the traced processes run on"


def last_calls() -> list[Call]:
    return [echo_call("last", number % CONNECTIONS) for number in range(LAST_CALLS)]


def not_witnessed_by_both(store: Server, calls: list[Observation]) -> dict[str, list[list[str]]]:
    """By id, the stored exchanges of the calls that are not stored once with both views."""
    stored = by_id(store.exchanges(), {call.id for call in calls})
    views = {
        call.id: [sorted(witness.side for witness in seen.witnesses) for seen in stored.get(call.id, [])]
        for call in calls
    }
    return {name: sides for name, sides in views.items() if sides != [BOTH]}


def test_calls_made_while_the_server_was_away_are_stored_when_it_is_back(tmp_path: Path) -> None:
    with (
        services.echo("echo", tmp_path) as server,
        services.caller("caller", tmp_path, server.port) as caller,
        serving(tmp_path) as store,
    ):
        port, argv = store.port, [str(word) for word in store.process.process.args]  # type: ignore[union-attr]
        with agent(tmp_path, store):
            assert store.process.stop(PATIENCE_TO_STOP) == 0
            by_client = caller.make([echo_call("away", n % CONNECTIONS) for n in range(100)])
            again = Running("spectap-server-again", argv, tmp_path)
            try:
                again.wait_for(lambda: ready(f"http://127.0.0.1:{port}/readyz"), "readiness")
                wait_until(
                    lambda: not not_witnessed_by_both(store, by_client),
                    "calls made while the server was away",
                )
            finally:
                assert again.stop(PATIENCE_TO_STOP) == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["run"], 64), (["run", "--server", "http://127.0.0.1:1", "--body-cap", "-5"], 64), (["nonsense"], 64)],
    ids=["no server", "impossible cap", "unknown command"],
)
def test_a_usage_error_is_one_clear_sentence(arguments: list[str], code: int, tmp_path: Path) -> None:
    with running("agent", [command("spectap-agent"), *arguments], tmp_path) as process:
        assert process.finish() == code
        assert "Traceback" not in process.output()


def test_a_taken_status_port_is_one_clear_sentence(tmp_path: Path) -> None:
    with services.echo("taken", tmp_path) as taken:
        argv = [command("spectap-agent"), "run", "--server", f"http://127.0.0.1:{free_port()}"]
        argv += ["--status-listen", f"127.0.0.1:{taken.port}", "--key-file", str(tmp_path / "key")]
        argv += ["--spool", str(tmp_path / "spool")]
        with running("agent", argv, tmp_path) as process:
            assert process.finish(PATIENCE_TO_STOP) == 1
            assert str(taken.port) in process.output()
            assert "Traceback" not in process.output()
