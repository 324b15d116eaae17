"""TLS of a program before its library was probed is counted, by process: of one with a library of its own."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.events import Event, Lost
from agent.ledger import Kernel
from agent.probes import roots
from agent.probes.attachments import Attachments
from agent.probes.kernel import CaptureFilters
from tests.agent.probes.watch import watching
from tests.e2e.certificates import Certificate, make
from tests.e2e.processes import PATIENCE

pytestmark = pytest.mark.root

SIZE = 20_000
CALLER = """
import socket, ssl, sys
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
for number in range(2):
    with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as plain:
        with context.wrap_socket(plain) as secure:
            secure.sendall(b"x" * int(sys.argv[2]))
            secure.recv(1)
print("called", flush=True)
sys.stdin.readline()
"""


@contextmanager
def serving(certificate: Certificate) -> Iterator[int]:
    """A TLS server that reads what each caller sends and answers one byte; its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for _ in range(2):
                with context.wrap_socket(listener.accept()[0], server_side=True) as secure:
                    had = 0
                    while had < SIZE:
                        had += len(secure.recv(SIZE))
                    secure.sendall(b".")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(PATIENCE)


def test_tls_before_the_probes_is_counted_by_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system = next(path for path in roots.libraries("") if "/libssl.so" in path)
    shutil.copy(system, tmp_path / Path(system).name)
    examine, late = Attachments.examine, threading.Event()

    def when_late(self: Attachments, pid: int) -> None:
        if not done.is_set() or late.wait(PATIENCE):
            examine(self, pid)

    done = threading.Event()
    monkeypatch.setattr(Attachments, "examine", when_late)
    with serving(make(tmp_path)) as port, watching(CaptureFilters()) as watch:
        done.set()
        with subprocess.Popen(
            [sys.executable, "-c", CALLER, str(port), str(SIZE)],
            env={"LD_LIBRARY_PATH": str(tmp_path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as caller:
            assert caller.stdout is not None
            assert caller.stdin is not None
            assert caller.stdout.readline() == b"called\n"
            name = Path(f"/proc/{caller.pid}/comm").read_text().strip()
            late.set()
            watch.until(lambda: name in watch.source.watching.unprobed, "the count")
            watch.until(lambda: kernel_losses(watch.told).keys() >= {Kernel.TLS_BEFORE_PROBES}, "the ledger")
            caller.stdin.close()
    before = watch.source.watching.unprobed[name]
    assert before.connections == 2
    assert 2 * SIZE < before.bytes < 2 * SIZE + 20_000  # records, handshakes and certificates
    assert kernel_losses(watch.told)[Kernel.TLS_BEFORE_PROBES] >= before.bytes


def kernel_losses(told: Sequence[Event]) -> dict[str, int]:
    losses = [event for event in told if isinstance(event, Lost)]
    return {loss.what: loss.count for loss in losses if loss.what in set(Kernel)}
