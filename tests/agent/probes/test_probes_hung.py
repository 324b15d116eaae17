"""A file system that hangs below a container (a real FUSE mount) keeps no call from being captured."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.events import Direction
from agent.probes import examiner
from agent.probes.kernel import CaptureFilters
from tests.agent.probes.watch import connected, watching

pytestmark = pytest.mark.root

GET = b"GET / HTTP/1.1\r\nHost: pets\r\n\r\n"
WAIT = "int pause(void); int main(void) { return pause(); }"


@contextmanager
def hanging(folder: Path) -> Iterator[None]:
    """A mount whose server never answers; everything that hangs in it fails once the server has gone."""
    libc = ctypes.CDLL(None, use_errno=True)
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0".encode()
    if libc.mount(b"hangs", str(folder).encode(), b"fuse", 0, options) != 0:
        os.close(device)
        raise OSError(ctypes.get_errno(), "mount")
    try:
        yield
    finally:
        os.close(device)
        libc.umount2(str(folder).encode(), 2)


@contextmanager
def rooted(root: Path) -> Iterator[int]:
    """A process in a root of its own; its pid."""
    subprocess.run(
        ["gcc", "-static", "-x", "c", "-", "-o", root / "wait"], input=WAIT.encode(), check=True, timeout=60
    )
    with subprocess.Popen(["/wait"], preexec_fn=lambda: os.chroot(root)) as process:
        try:
            yield process.pid
        finally:
            process.kill()


@pytest.mark.skipif(not os.path.exists("/dev/fuse"), reason="no FUSE")
def test_capture_goes_on_beside_a_file_system_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examiner, "SLOW_S", 0.5)
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    with watching(CaptureFilters()) as watch, hanging(root / "etc"), rooted(root) as pid:
        watch.until(lambda: f"process {pid} " in str(watch.source.watching.hung), "the examination to hang")
        with socket.create_server(("127.0.0.1", 0)) as listener:
            client, server = connected(listener)
            with client, server:
                client.sendall(GET)
                server.recv(100)
                port = client.getsockname()[1]
                watch.until(lambda: watch.length(port, Direction.SENT) == len(GET), "the call")
        assert watch.source.watching.hung
