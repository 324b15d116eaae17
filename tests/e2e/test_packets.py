"""Without eBPF: plain HTTP is captured from packets, each call once, and all that this leaves out is said."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e import nginx, services
from tests.e2e.calls import echo_call, get_call
from tests.e2e.certificates import Certificate
from tests.e2e.compare import disagreements
from tests.e2e.doctor_schema import assert_valid
from tests.e2e.processes import REPOSITORY, environment
from tests.e2e.programs.http_bytes import pattern
from tests.e2e.services import server_saw
from tests.e2e.spectap import PATIENCE_TO_STOP, Spectap, by_id, command, serving, start_agent

pytestmark = pytest.mark.root

WITHOUT_BPF = ["setpriv", "--bounding-set=-sys_admin,-bpf,-perfmon", "--inh-caps=-all"]
SENT_FILE = 50_000  # bytes


@contextmanager
def watching(folder: Path, *options: object) -> Iterator[Spectap]:
    """Server and agent; the agent may not use eBPF."""
    program = [*WITHOUT_BPF, command("spectap-agent")]
    with serving(folder) as server:
        agent = start_agent(program, folder, server.url, *options)
        try:
            agent.process.wait_for(agent.ready, "readiness")
            yield Spectap(server, agent)
        finally:
            code = agent.process.stop(PATIENCE_TO_STOP)
        assert code == 0, f"the agent ended with {code}: {agent.process.output()[-3000:]}"


def messages(spectap: Spectap) -> list[str]:
    return [
        json.loads(line)["message"]
        for line in spectap.agent.process.stderr.read_text().splitlines()
        if line[0] == "{"
    ]


def test_plain_calls_are_stored_once_and_true_and_what_is_not_captured_is_said(
    tmp_path: Path, certificate: Certificate
) -> None:
    with (
        services.echo("plain", tmp_path) as plain,
        services.echo("tls", tmp_path, certificate=certificate) as tls,
        nginx.serving("nginx", tmp_path, 1, static=pattern(SENT_FILE)) as files,
        watching(tmp_path) as spectap,
        services.caller("tls-caller", tmp_path, tls.port, certificate=certificate) as tls_caller,
        services.caller("file-caller", tmp_path, files.port) as file_caller,
    ):
        encrypted = tls_caller.make([echo_call("encrypted", size=3000)])
        by_client = services.any_client(
            "curl", tmp_path, plain.port, None, [echo_call("plain", size=size) for size in (0, 300, 30_000)]
        )
        sent = file_caller.make([get_call("file", "/sendfile")])
        for server, calls in ((plain, by_client), (files, sent)):
            stored = spectap.of_port(server.port, calls, witnesses=1)
            by_server = server_saw(server, calls)
            wrong = [text for name, seen in stored.items() for text in disagreements(seen, [by_server[name]])]
            assert wrong == []
            views = {(view.side, view.pid) for seen in stored.values() for view in seen.witnesses}
            assert (views, [len(seen.witnesses) for seen in stored.values()]) == (
                {("unknown", None)},
                [1] * len(calls),
            )
        assert by_id(spectap.server.settled().exchanges(), {call.id for call in encrypted}) == {}
        assert spectap.agent.bytes_in("tls_ciphertext") >= 2 * 3000
        status = spectap.agent.status()
    assert status["backend"] == "captured packets (AF_PACKET)"
    assert "eBPF (Operation not permitted)" in status["backends_refused"]["tracepoints"]
    assert any("no TLS" in note for note in status["notes"])
    told = messages(spectap)
    assert [line.endswith("balanced") for line in told[-2:]] == [True, True], told[-2:]
    assert any("backend tracepoints is not used: " in line for line in told)


def test_a_backend_that_does_not_work_is_refused_with_its_reason(tmp_path: Path) -> None:
    agent = start_agent(
        [*WITHOUT_BPF, command("spectap-agent")], tmp_path, "http://127.0.0.1:9", "--backend", "tracepoints"
    )
    assert agent.process.finish(PATIENCE_TO_STOP) == 1
    assert "--backend tracepoints does not work here: the kernel refuses eBPF" in agent.process.output()


def test_the_doctor_tells_that_only_plain_http_is_captured_and_captures_its_own_calls() -> None:
    argv = [*WITHOUT_BPF, command("spectap-agent"), "doctor", "--json"]
    done = subprocess.run(
        argv, capture_output=True, text=True, cwd=REPOSITORY, env=environment(), check=False
    )
    assert done.returncode == 2, done.stderr
    found = assert_valid(done.stdout)
    checks = {check["subject"]: check for check in found["host"]}
    assert checks["backend"]["state"] == checks["bpf"]["state"] == "limited"
    assert "plain HTTP only" in checks["backend"]["what"]
    outcomes = {trial["protocol"]: trial["outcome"] for trial in found["self_test"]["trials"]}
    assert outcomes == {"plain": "seen", "tls": "unseen", "h2": "seen"}
    assert {
        view["sight"] for program in found["programs"] for view in program["views"] if view["of"] == "openssl"
    } <= {"dark"}
