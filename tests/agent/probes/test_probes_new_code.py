"""New programs, and new code in running ones, are examined at once, whatever else waits: real processes."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.events import Chunk
from agent.probes import kernel, roots
from agent.probes.kernel import CaptureFilters
from tests.agent.probes.watch import Watch, connected, watching
from tests.e2e.processes import wait_until

pytestmark = pytest.mark.root

LATER = """
import ctypes, sys
sys.stdin.readline()
ctypes.CDLL(sys.argv[1])
print("mapped", flush=True)
sys.stdin.readline()
"""
CALLS = 300
GET = b"GET / HTTP/1.1\r\nHost: pets\r\n\r\n"


@pytest.fixture
def no_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disables the scan of all processes."""
    monkeypatch.setattr(kernel, "RESCAN_INTERVAL", 1 << 62)


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A copy of the system's OpenSSL at a path where no loader looks."""
    system = next(path for path in roots.libraries("") if "/libssl.so" in path)
    return Path(shutil.copy(system, tmp_path / "libssl.so.3"))


class Later:
    """A process that maps the library on request."""

    def __init__(self, library: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", LATER, library], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def map(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == b"mapped\n"


@contextmanager
def later(library: Path) -> Iterator[Later]:
    one = Later(library)
    with one.process:
        try:
            yield one
        finally:
            one.process.kill()


def is_probed(watch: Watch, library: Path) -> bool:
    return any(file.path == str(library) for file in watch.source.watching.libraries)


def is_examined(watch: Watch, library: Path) -> bool:
    """The same, as the examining thread says it: nothing is parsed meanwhile."""
    return any(file.path == str(library) for file in watch.source._examiner.examined.libraries)


@pytest.mark.usefixtures("no_rounds")
def test_a_library_that_a_running_process_maps_is_probed_without_a_round(library: Path) -> None:
    with later(library) as process, watching(CaptureFilters()) as watch:
        process.map()
        watch.until(lambda: is_probed(watch, library), "the library is probed")


@pytest.mark.usefixtures("no_rounds")
def test_a_library_is_probed_before_the_events_that_wait_are_parsed(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "LOOK_INTERVAL", 0)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        filters = CaptureFilters(only_ports=frozenset({port}))
        with later(library) as process, watching(filters) as watch:
            client, server = connected(listener)
            with client, server:
                for _ in range(CALLS):
                    client.sendall(GET)
                    server.recv(len(GET))
            process.map()
            watch.until(lambda: len(watch.told) > 2, "a look for new code")
            wait_until(lambda: is_examined(watch, library), "the library is probed")
            parsed = sum(isinstance(event, Chunk) for event in watch.told)
            assert parsed < CALLS
