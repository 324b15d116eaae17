"""The servers and clients under test: real processes, each with a log of what it sent and received."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE
from typing import Protocol

from tests.e2e import nginx
from tests.e2e.calls import Call, to_line
from tests.e2e.certificates import Certificate
from tests.e2e.observations import Observation, Payload, peer, read
from tests.e2e.processes import (
    PATIENCE,
    Running,
    environment,
    free_port,
    listening,
    node,
    python,
    running,
    wait_until,
)

CALLERS = {
    "python": python("caller"),
    "node": node("caller.js"),
    "h2": python("h2_caller"),
    "curl": python("curl_caller"),
    "httpx": python("httpx_caller"),
    "aiohttp": python("aiohttp_caller"),
    "undici": ["env", "NODE_PATH=/usr/share/nodejs", *node("caller.js", "--undici")],
}
PYTHON_SERVERS = {"h2": "h2_server", "uvicorn": "asgi_echo"}
PROGRAMS = Path(__file__).parent / "programs"
CURL_FACTS = "%{json}\n"


@dataclass(frozen=True, slots=True)
class Echo:
    """An echo server and its log."""

    process: Running
    port: int
    log: Path

    def observations(self) -> list[Observation]:
        return read(self.log)


@contextmanager
def echo(
    name: str,
    folder: Path,
    *options: object,
    certificate: Certificate | None = None,
    language: str = "python",
) -> Iterator[Echo]:
    """`options` go to the program: --host, --asyncio, --workers, --reply-header (Python only).

    `language` is python, node, h2 (HTTP/2 by the h2 library, programs/h2_server.py) or uvicorn.
    """
    log = folder / f"{name}.jsonl"
    arguments: list[object] = ["--log", log, *options]
    if language == "node":
        tls = ["--cert", certificate.certificate, "--key", certificate.key] if certificate else []
        argv = node("echo.js", *arguments, *tls)
    else:
        tls = ["--tls", certificate.certificate, certificate.key] if certificate else []
        argv = python(PYTHON_SERVERS.get(language, "echo"), *arguments, *tls)
    with running(name, argv, folder) as process:
        port = process.first_line()
        yield Echo(process, 0 if port == "unix" else int(port), log)


class Caller:
    """A client that keeps its connections open between `make` and the next."""

    def __init__(self, process: Running, log: Path) -> None:
        self.process, self.log = process, log
        self._asked = 0

    def observations(self) -> list[Observation]:
        return read(self.log)

    def make(self, calls: Iterable[Call]) -> list[Observation]:
        """Makes the calls. Returns the client's observations, in the order of the responses."""
        lines = [to_line(call) for call in calls]
        assert self.process.process.stdin is not None
        self.process.process.stdin.write(b"".join(lines))
        self.process.process.stdin.flush()
        before, self._asked = self._asked, self._asked + len(lines)

        def answered() -> list[Observation] | None:
            seen = self.observations()
            complaint = self.process.stderr.read_text(errors="replace")
            assert not complaint, f"{self.process.name}: {complaint}"
            return seen if len(seen) >= self._asked else None

        return self.process.wait_for(answered, f"{len(lines)} answers")[before:]


@contextmanager
def caller(
    name: str,
    folder: Path,
    port: int,
    *options: object,
    certificate: Certificate | None = None,
    language: str = "python",
) -> Iterator[Caller]:
    log = folder / f"{name}.jsonl"
    tls = ["--ca", certificate.certificate] if certificate else []
    program = CALLERS[language]
    argv = [*program, *map(str, ["--log", log, "--port", port, *options, *tls])]
    with running(name, argv, folder, stdin=True) as process:
        yield Caller(process, log)


def curl(
    folder: Path, base: str, calls: Iterable[Call], *options: object, by: Sequence[str] = ()
) -> list[Observation]:
    """Makes all calls in one curl process, on one connection if the server keeps it open. Returns curl's
    observations. `by` is a command that executes curl, such as chroot.

    curl 7.88 cannot reuse a connection after --http2-prior-knowledge: give it one call then.
    """
    asked = list(calls)
    argv = [*by, "curl", "--silent", "--show-error", "--noproxy", "*"]
    for number, call in enumerate(asked):
        argv += ["--next", "--silent", "--show-error"] if number else []
        argv += [*map(str, options), "--request", call.method, "--write-out", CURL_FACTS]
        argv += ["--output", str(folder / f"{call.id}.body"), "--path-as-is", "--globoff"]
        for key, value in call.headers:
            argv += ["--header", (key + b": " + value).decode("utf-8", "surrogateescape")]
        if call.body is not None:
            (folder / f"{call.id}.sent").write_bytes(call.body)
            argv += ["--data-binary", f"@{folder / call.id}.sent"]
        argv.append(base + call.target.decode("utf-8", "surrogateescape"))
    start = time.time_ns()
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), cwd=folder
    ) as process:
        out, error = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, error.decode(errors="replace")
    end = time.time_ns()
    facts = {called(fact["url_effective"]): fact for fact in map(json.loads, out.splitlines())}
    return [_curl_observation(call, facts[call.id], folder, process.pid, start, end) for call in asked]


def s_client(port: int, calls: Iterable[Call]) -> None:
    """`openssl s_client` sends all requests at once. The last one must make the server close, which s_client
    may report as an error.
    """
    sent = b""
    for call in calls:
        lines = [b"%s %s HTTP/1.1" % (call.method.encode(), call.target), b"Host: tls"]
        sent += b"\r\n".join([*lines, *(b"%s: %s" % pair for pair in call.headers), b"", b""])
    argv = ["openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{port}"]
    subprocess.run(argv, input=sent, check=False, capture_output=True, timeout=PATIENCE)


def gnutls_cli(port: int, call: Call, certificate: Certificate) -> Observation:
    """`gnutls-cli` makes one call, after which the server closes; it does not say its port."""
    lines = [
        b"%s %s HTTP/1.1" % (call.method.encode(), call.target),
        b"Host: localhost",
        b"Connection: close",
    ]
    sent = b"\r\n".join([*lines, *(b"%s: %s" % pair for pair in call.headers), b"", b""])
    argv = ["gnutls-cli", "--logfile", os.devnull, f"--x509cafile={certificate.certificate}", "localhost"]
    start = time.time_ns()
    with subprocess.Popen([*argv, "--port", str(port)], stdin=PIPE, stdout=PIPE, stderr=PIPE) as process:
        answer, error = process.communicate(sent, timeout=PATIENCE)
    assert answer.startswith(b"HTTP/1.0 200 "), (answer, error)
    return _without_ports(call, answer.partition(b"\r\n\r\n")[2], start, process.pid)


def static_client(folder: Path, *flags: str) -> Path:
    """Builds programs/static_client.c with OpenSSL inside; `flags` go to the compiler."""
    program = folder / "static_client"
    argv = ["cc", "-static", "-w", *flags, "-o", str(program), str(PROGRAMS / "static_client.c")]
    subprocess.run([*argv, "-lssl", "-lcrypto"], check=True, capture_output=True, timeout=PATIENCE)
    return program


def bare(call: Call) -> Observation:
    """A call of which the client says nothing but that it made it."""
    return Observation(
        "client", call.id, call.method, call.target, 200, None, None, None, None, None, None, None, None, None
    )


def called(url: str) -> str:
    """The id of the call to this URL."""
    return url.partition("?")[0].rsplit("/", 1)[-1]


def _curl_observation(
    call: Call, fact: dict[str, object], folder: Path, pid: int, start: int, end: int
) -> Observation:
    body = folder / f"{call.id}.body"
    return Observation(
        end="client",
        id=call.id,
        method=call.method,
        target=call.target,
        status=int(str(fact["http_code"])),
        request_headers=call.headers,
        request=Payload.of(call.body or b""),
        response_headers=None,
        response=Payload.of(body.read_bytes() if body.exists() else b""),
        local=peer(str(fact["local_ip"]), int(str(fact["local_port"]))),
        peer=peer(str(fact["remote_ip"]), int(str(fact["remote_port"]))),
        start_ns=start,
        end_ns=end,
        pid=pid,
    )


def one_shot(folder: Path, argv: list[str], call: Call, body: Path) -> Observation:
    """A client that makes one call and exits (wget, urllib); it does not log its port. `body` is the file in
    which it saved the response.
    """
    start = time.time_ns()
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), cwd=folder
    ) as process:
        _, error = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, error.decode(errors="replace")
    return _without_ports(call, body.read_bytes(), start, process.pid)


def _without_ports(call: Call, answered: bytes, start: int, pid: int) -> Observation:
    """An answered call of a program that has just ended, and does not say its port."""
    return Observation(
        end="client",
        id=call.id,
        method=call.method,
        target=call.target,
        status=200,
        request_headers=call.headers,
        request=Payload.of(call.body or b""),
        response_headers=None,
        response=Payload.of(answered),
        local=None,
        peer=None,
        start_ns=start,
        end_ns=time.time_ns(),
        pid=pid,
    )


@contextmanager
def puma(name: str, folder: Path, certificate: Certificate) -> Iterator[Echo]:
    """puma's echo server (programs/echo.ru)."""
    log, port = folder / f"{name}.jsonl", free_port()
    keys = f"key={certificate.key}&cert={certificate.certificate}&verify_mode=none"
    argv = ["env", f"LOG={log}", "puma", "--quiet", "--bind", f"ssl://127.0.0.1:{port}?{keys}"]
    with running(name, [*argv, str(PROGRAMS / "echo.ru")], folder) as process:
        process.wait_for(lambda: listening(port), "listening")
        yield Echo(process, port, log)


@contextmanager
def any_server(kind: str, folder: Path, certificate: Certificate | None) -> Iterator[Echo | nginx.Nginx]:
    """A server of this kind: python, asyncio, node, uvicorn and puma (TLS only), or nginx in front of a plain
    Python backend.
    """
    name = f"{kind}-{'tls' if certificate else 'plain'}"
    if kind == "puma" and certificate is not None:
        with puma(name, folder, certificate) as server:
            yield server
        return
    if kind == "nginx":
        with (
            echo(f"{name}-backend", folder) as backend,
            nginx.serving(name, folder, backend.port, certificate=certificate) as front,
        ):
            yield front
        return
    options = ["--asyncio"] if kind == "asyncio" else []
    with echo(name, folder, *options, certificate=certificate, language=kind) as server:
        yield server


def any_client(
    kind: str, folder: Path, port: int, certificate: Certificate | None, calls: list[Call]
) -> list[Observation]:
    """Makes the calls by a client of this kind (python, node, curl) on one connection. Returns its
    observations.
    """
    if kind == "curl":
        options = ["--cacert", certificate.certificate, "--http1.1"] if certificate else ["--http1.1"]
        return curl(folder, f"{'https' if certificate else 'http'}://127.0.0.1:{port}", calls, *options)
    with caller(f"{kind}-caller-{port}", folder, port, certificate=certificate, language=kind) as client:
        return client.make(calls)


@dataclass(frozen=True, slots=True)
class Static:
    """`python -m http.server`: HTTP/1.0, one exchange per connection; its log has no port and no size."""

    process: Running
    port: int
    root: Path

    def observations(self) -> list[Observation]:
        log = self.process.stderr.read_text()
        return [
            Observation(
                end="server",
                id=found[2].rsplit("/", 1)[-1],
                method=found[1],
                target=found[2].encode(),
                status=int(found[3]),
                request_headers=None,
                request=None,
                response_headers=None,
                response=Payload.of((self.root / found[2].lstrip("/")).read_bytes()),
                local=None,
                peer=None,
                start_ns=None,
                end_ns=None,
                pid=self.process.pid,
            )
            for found in re.finditer(r'"(\S+) (\S+) HTTP/1\.[01]" (\d+)', log)
        ]


@contextmanager
def http_server(folder: Path) -> Iterator[Static]:
    root = folder / "www"
    root.mkdir()
    argv = [sys.executable, "-u", "-m", "http.server", "0", "--directory", str(root)]
    with running("http-server", argv, folder) as process:
        found = re.search(r"port (\d+)", process.first_line())
        assert found is not None
        yield Static(process, int(found[1]), root)


class AnyServer(Protocol):
    """A server under test, and the exchanges that it logged."""

    @property
    def process(self) -> Running: ...

    @property
    def port(self) -> int: ...

    def observations(self) -> list[Observation]: ...


def server_saw(server: AnyServer, calls: Iterable[Observation]) -> dict[str, Observation]:
    """The server's observations of these calls by id, once it has logged them all."""
    wanted = {call.id for call in calls}

    def found() -> dict[str, Observation] | None:
        lines = {seen.id: seen for seen in server.observations() if seen.id in wanted}
        return lines if lines.keys() == wanted else None

    return wait_until(found, f"{server.process.name}'s log of {len(wanted)} calls")
