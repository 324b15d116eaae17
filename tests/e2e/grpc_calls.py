"""gRPC's own server and client as processes under test, and gRPC calls for clients other than grpcio."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.calls import Call, fresh_id
from tests.e2e.certificates import Certificate
from tests.e2e.observations import Observation
from tests.e2e.processes import PATIENCE, Running, environment, python, running
from tests.e2e.seen import Seen

CONTENT = ((b"content-type", b"application/grpc"), (b"te", b"trailers"))


@dataclass(frozen=True, slots=True)
class Server:
    process: Running
    port: int


@contextmanager
def serving(folder: Path, certificate: Certificate | None = None) -> Iterator[Server]:
    """Runs programs/grpc_server.py."""
    tls = ["--tls", certificate.certificate, certificate.key] if certificate else []
    with running("grpc-server", python("grpc_server", *tls), folder) as process:
        yield Server(process, int(process.first_line()))


@dataclass(frozen=True, slots=True)
class Made:
    """One call as its client logged it: gRPC's status, the sizes of messages sent and received."""

    seen: Observation
    status: int
    sent: list[int]
    received: list[int]

    @property
    def grpc(self) -> dict[str, int]:
        """The expected gRPC facts."""
        return {
            "status": self.status,
            "request_messages": len(self.sent),
            "response_messages": len(self.received),
            "request_bytes": sum(self.sent),
            "response_bytes": sum(self.received),
            "request_largest": max(self.sent, default=0),
            "response_largest": max(self.received, default=0),
        }


def by_grpcio(port: int, prefix: str, *options: object) -> list[Made]:
    """Makes a call of each kind by programs/grpc_caller.py, and waits for its end."""
    start = time.time_ns()
    argv = python("grpc_caller", "--port", port, "--prefix", prefix, *options)
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as process:
        out, error = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, error.decode(errors="replace")
    facts = [json.loads(line) for line in out.splitlines()]
    return [made_of(fact, start, process.pid) for fact in facts]


def made_of(fact: dict[str, Any], start: int, pid: int) -> Made:
    """A call as a client prints it."""
    seen = Observation(
        end="client",
        id=fact["id"],
        method="POST",
        target=fact["path"].encode(),
        status=200,
        request_headers=None,
        request=None,
        response_headers=None,
        response=None,
        local=None,
        peer=None,
        start_ns=start,
        end_ns=None,
        pid=pid,
    )
    return Made(seen, fact["status"], fact["sent"], fact["received"])


def call(kind: str, messages: list[bytes]) -> Call:
    """A gRPC call for any HTTP/2 client."""
    name = fresh_id(f"framed-{kind.lower()}")
    body = b"".join(b"\0" + len(message).to_bytes(4, "big") + message for message in messages)
    return Call(name, "POST", f"/spectap.test.{kind}/{name}".encode(), CONTENT, body)


def wrong(stored: dict[str, Seen], made: list[Made]) -> list[str]:
    """The facts that are stored differently from the clients' logs."""
    told = []
    for one in made:
        seen = stored[one.seen.id]
        found = (seen.protocol, seen.method, seen.path, seen.status, seen.completeness, seen.raw["grpc"])
        wanted = ("grpc", "POST", one.seen.target, 200, "complete", one.grpc)
        if found != wanted:
            told.append(f"{one.seen.id}: stored {found}, expected {wanted}")
    return told
