"""Our Go program (go/main.go), built in several ways, as the server or the client under test."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.certificates import Certificate
from tests.e2e.grpc_calls import Made, made_of
from tests.e2e.processes import REPOSITORY, Running, running

SOURCES = Path(__file__).parent / "go"
GRPC = Path(__file__).parent / "go_grpc"  # on gRPC-Go, which the module proxy has
COMPILERS = REPOSITORY / ".venv/go"  # by tools/setup
EVERYTHING = os.environ.get("TIERS") == "all"


@dataclass(frozen=True, slots=True)
class Build:
    """A way to build: `age` is a folder of COMPILERS; with `cgo` the C linker links."""

    name: str
    age: str
    cgo: bool
    flags: tuple[str, ...]

    def __str__(self) -> str:
        return self.name

    def make(self, into: Path, sources: Path = SOURCES) -> Path:
        """The program. What was compiled stays in a cache: another build of one compiler takes a second."""
        compiler = COMPILERS / self.age / "go/bin/go"
        if not compiler.exists():
            pytest.skip("no Go compiler: tools/setup tests fetches it, for x86-64")
        program = into / f"calls-{self.name}"
        settings = {
            "CGO_ENABLED": str(int(self.cgo)),
            "GOCACHE": str(COMPILERS / "cache"),
            "GOENV": "off",
            "GOFLAGS": "-buildvcs=false -mod=readonly -modcacherw",
            "GOMODCACHE": str(COMPILERS / "modules"),
            "GOTOOLCHAIN": "local",
        }
        subprocess.run(
            [compiler, "build", *self.flags, "-o", program, "."],
            cwd=sources,
            env=dict(os.environ) | settings,  # its proxies, too
            check=True,
        )
        return program


STRIPPED = Build("stripped", "current", False, ("-ldflags=-s -w",))
EXTERNAL = "-ldflags=-s -w -linkmode=external"
OTHERS = (
    Build("plain", "current", False, ()),
    Build("pie", "current", False, ("-buildmode=pie", "-ldflags=-s -w")),
    Build("cgo", "current", True, (EXTERNAL,)),
    Build("cgo-pie", "current", True, ("-buildmode=pie", EXTERNAL)),
    Build("older", "older", False, ("-ldflags=-s -w",)),
    Build("older-pie", "older", False, ("-buildmode=pie", "-ldflags=-s -w")),
    Build("older-cgo", "older", True, (EXTERNAL,)),
    Build("older-cgo-pie", "older", True, ("-buildmode=pie", EXTERNAL)),
)
BUILDS = (STRIPPED, *OTHERS) if EVERYTHING else (STRIPPED,)


class GrpcClient:
    """go_grpc/main.go as a client: its calls share one connection, which stays open."""

    def __init__(self, process: Running) -> None:
        self.process = process
        self._asked = 0

    def make(self, ids: list[str]) -> list[Made]:
        """Has a call made for each id, all at once."""
        start = time.time_ns()
        assert self.process.process.stdin is not None
        self.process.process.stdin.write("".join(f"{name}\n" for name in ids).encode())
        self.process.process.stdin.flush()
        before, self._asked = self._asked, self._asked + len(ids)

        def answered() -> list[str] | None:
            lines = self.process.stdout.read_text().split("\n")[:-1]
            return lines if len(lines) >= self._asked else None

        lines = self.process.wait_for(answered, f"{len(ids)} answers")[before:]
        return [made_of(json.loads(line), start, self.process.pid) for line in lines]


@contextmanager
def grpc(program: Path, folder: Path, certificate: Certificate) -> Iterator[tuple[Running, int, GrpcClient]]:
    """A server, its port, and a client of it."""
    serve = [str(program), "server", "-cert", str(certificate.certificate), "-key", str(certificate.key)]
    with running("grpc-server", serve, folder) as server:
        port = int(server.first_line())
        call = [str(program), "client", "-port", str(port), "-ca", str(certificate.certificate)]
        with running("grpc-client", call, folder, stdin=True) as client:
            yield server, port, GrpcClient(client)
