"""`spectap server` as a process: how it starts, refuses to start, and stops."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.authority import Authority
from tests.server.records import batch, record
from tests.server.running import PATIENCE_S, wait_for

SPECTAP = [sys.executable, "-m", "server"]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SPECTAP, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@contextmanager
def started(
    data: Path,
    *arguments: str,
    shell: str = "exec",
    program: Sequence[str] = SPECTAP,
    ready: str = "/readyz",
    verify: ssl.SSLContext | bool = True,
) -> Iterator[tuple[subprocess.Popen[str], str, list[str]]]:
    """The process once it answers at `ready`, with its URL and log. `shell` is how a shell starts it."""
    words = [*program, "server", "--listen", "127.0.0.1:0", "--data", str(data), *arguments]
    command = ["sh", "-c", f'{shell} "$@"', "sh", *words]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    lines: list[str] = []
    assert process.stderr is not None
    reader = threading.Thread(target=lines.extend, args=(process.stderr,))
    reader.start()
    try:
        said = wait_for(lambda: [line for line in lines if "listening at " in line], "address")
        url = said[0].split("listening at ")[1].split(",")[0]
        wait_for(lambda: _ready(url + ready, verify), "server")
        yield process, url, lines
    finally:
        process.kill()
        process.wait()
        reader.join()
        process.stderr.close()


def _ready(url: str, verify: ssl.SSLContext | bool) -> bool:
    try:
        return httpx.get(url, trust_env=False, verify=verify).status_code == 200
    except httpx.TransportError:
        return False


def test_over_tls_it_ends_without_waiting_for_idle_clients(tmp_path: Path) -> None:
    authority = Authority()
    files = tmp_path / "server.crt", tmp_path / "server.key"
    authority.write(*files, names=["127.0.0.1"])
    context = ssl.create_default_context(cadata=authority.pem.decode())
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    options = "--tls-cert", str(files[0]), "--tls-key", str(files[1])
    with started(tmp_path / "data", *options, verify=context) as (process, url, lines):
        assert url.startswith("https://")
        with httpx.Client(base_url=url, trust_env=False, verify=context) as http:
            assert http.post("/api/v1/records", content=batch(1, [record(1)])).json() == {"acked": 1}
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_S) == 0
    assert lines[-1].endswith("stopped; everything accepted is stored\n")


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly_with_all_that_was_accepted(tmp_path: Path, sign: signal.Signals) -> None:
    with started(tmp_path) as (process, url, lines):
        assert any("only root" in line for line in lines)
        with httpx.Client(base_url=url, trust_env=False) as http:
            for seq in range(1, 6):
                records = [record(n, id=f"{seq}-{n}") for n in range(20)]
                assert http.post("/api/v1/records", content=batch(seq, records)).json() == {"acked": seq}
        process.send_signal(sign)
        assert process.wait(PATIENCE_S) == 0
    assert "everything accepted is stored" in lines[-1]
    assert not (tmp_path / "spectap.db-wal").exists()
    with started(tmp_path) as (_, url, _):
        ledger = httpx.get(f"{url}/api/v1/ledger", trust_env=False).json()
    assert ledger["server"]["stored"] == 100


def test_bodies_that_never_end_are_given_up_at_the_end_without_a_traceback(tmp_path: Path) -> None:
    with started(tmp_path) as (process, url, lines), ExitStack() as stack:
        address = ("127.0.0.1", int(url.rpartition(":")[2]))
        head = b"POST /api/v1/records HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
        clients = [stack.enter_context(socket.create_connection(address, PATIENCE_S)) for _ in range(3)]
        for client in clients:
            client.sendall(head + b"xx")
        left = stack.enter_context(socket.create_connection(address, PATIENCE_S))
        left.sendall(head)
        left.close()
        assert httpx.get(url + "/readyz", trust_env=False).is_success  # all heads were read before
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
        assert [client.recv(1000) for client in clients] == [b""] * 3
    assert not [line for line in lines if "Traceback" in line or "unexpected" in line]
    assert "everything accepted is stored" in lines[-1]


def learnt(url: str) -> float:
    lines = httpx.get(f"{url}/metrics", trust_env=False).text.splitlines()
    return next(
        float(line.split()[1]) for line in lines if line.startswith("spectap_server_exchanges_learnt")
    )


def test_its_last_line_says_what_learning_could_not_save(tmp_path: Path) -> None:
    with started(tmp_path) as (process, url, lines), closing(sqlite3.connect(tmp_path / "spectap.db")) as db:
        records = [record(n, id=f"r{n}") for n in range(20)]
        httpx.post(f"{url}/api/v1/records", content=batch(1, records), trust_env=False)
        wait_for(lambda: learnt(url) == 20, "learning")
        wait_for(lambda: any("new document" in line for line in lines), "its document")
        db.execute("BEGIN IMMEDIATE")  # like another process that locks the database
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    assert "everything accepted is stored" not in lines[-1]
    assert "learning from the last 20 was not saved: the next start repeats it" in lines[-1]
    with started(tmp_path) as (_, url, _):
        wait_for(lambda: learnt(url) == 20, "the same learned again")


def test_it_can_log_json_lines(tmp_path: Path) -> None:
    with started(tmp_path, "--log-json") as (process, _, lines):
        process.terminate()
        assert process.wait(PATIENCE_S) == 0
    entries = [json.loads(line) for line in lines]
    assert {"time", "level", "logger", "message"} <= entries[0].keys()


def test_a_taken_port_is_one_sentence_with_the_cure(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = run("server", "--listen", f"127.0.0.1:{port}", "--data", str(tmp_path))
    assert found.returncode == 1
    assert found.stderr.count("\n") == 1
    assert f"127.0.0.1:{port} is taken" in found.stderr
    assert "--listen" in found.stderr


def test_an_address_for_others_without_tokens_is_refused(tmp_path: Path) -> None:
    found = run("server", "--listen", "0.0.0.0:0", "--data", str(tmp_path / "data"))
    assert found.returncode == 64
    assert found.stderr.count("\n") == 1
    assert "--admin-token-file" in found.stderr
    assert not (tmp_path / "data").exists()


def test_a_directory_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = run("server", "--listen", "127.0.0.1:0", "--data", str(tmp_path / "file"))
    assert (found.returncode, found.stderr.count("\n")) == (1, 1)
    assert "--data" in found.stderr


@pytest.mark.parametrize(
    "arguments", [[], ["nonsense"], ["server", "--nonsense"], ["server", "--retention-days", "x"]]
)
def test_bad_usage_exits_64(arguments: list[str]) -> None:
    assert run(*arguments).returncode == 64


def test_options_can_come_from_the_environment() -> None:
    found = run("server", SPECTAP_LISTEN="nonsense")
    assert found.returncode == 64
    assert "HOST:PORT" in found.stderr


@pytest.mark.parametrize(("variable", "word"), [("LOG_JSON", "maybe"), ("LOG_LEVEL", "loud")])
def test_a_variable_with_another_word_than_an_option_knows_is_one_sentence(variable: str, word: str) -> None:
    found = run("server", **{f"SPECTAP_{variable}": word})
    assert (found.returncode, found.stderr.count("\n")) == (64, 1)
    assert word not in found.stderr


def test_help_tells_each_option() -> None:
    found = run("server", "--help")
    assert found.returncode == 0
    assert "--retention-bytes" in found.stdout


def test_who_sends_half_a_head_takes_no_ones_place_and_fills_no_log(tmp_path: Path) -> None:
    with (
        started(tmp_path, shell="ulimit -n 64; exec") as (_, url, lines),
        ExitStack() as stack,
        httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE_S) as http,
    ):
        before = len(lines)
        address = ("127.0.0.1", int(url.rpartition(":")[2]))
        for _ in range(300):
            half = stack.enter_context(socket.create_connection(address, PATIENCE_S))
            half.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n")
        for _ in range(20):
            with httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE_S) as other:
                assert other.get("/healthz").status_code == 200
                assert other.get("/api/v1/apis").status_code == 200
        metrics = http.get("/metrics").text
        assert 'spectap_server_connections_closed{why="displaced"} ' in metrics
        assert len(lines) - before < 10, lines[before:][:20]


def test_a_damaged_database_is_one_sentence_and_salvaged_when_asked(tmp_path: Path) -> None:
    with started(tmp_path) as (process, url, _):
        records = [record(n, id=f"r{n}") for n in range(20)]
        for sent in (batch(1, records), batch(2, [])):  # nothing more arrives: no view waits
            assert httpx.post(f"{url}/api/v1/records", content=sent, trust_env=False).is_success
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    path = tmp_path / "spectap.db"
    with closing(sqlite3.connect(path)) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'consumers'").fetchone()
    raw = bytearray(path.read_bytes())
    raw[(page - 1) * 8192 : page * 8192] = b"\xff" * 8192
    path.write_bytes(raw)
    ended = run("server", "--listen", "127.0.0.1:0", "--data", str(tmp_path))
    assert (ended.returncode, ended.stderr.count("\n")) == (65, 1), ended.stderr
    assert "--salvage" in ended.stderr
    with started(tmp_path, "--salvage") as (_, url, lines):
        exchanges = httpx.get(f"{url}/api/v1/exchanges", trust_env=False).json()["items"]
    assert len(exchanges) == 20
    said = "\n".join(lines)
    assert "salvaged consumers: 0 kept" in said
    (kept,) = tmp_path.glob("spectap.db.damaged-*")
    assert str(kept) in said
    assert kept.read_bytes()[8192:] == bytes(raw[8192:])  # the first page counts the openings
