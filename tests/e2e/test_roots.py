"""Programs with another root, as in containers, and a TLS library of their own: real curl in a chroot."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e import services
from tests.e2e.calls import echo_call
from tests.e2e.certificates import Certificate
from tests.e2e.processes import wait_until
from tests.e2e.spectap import Spectap, watching

pytestmark = pytest.mark.root

WAIT = "#include <unistd.h>\nint main(void) { for (;;) pause(); }\n"


def root_with_curl(root: Path, with_cache: bool) -> Path:
    """A root file system with curl and copies of its libraries; `with_cache` for glibc's loader."""
    program = shutil.which("curl")
    assert program is not None
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    for path in [program, *re.findall(r"(/\S+) \(0x", listed)]:
        target = root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    (root / "etc").mkdir()
    if with_cache:
        subprocess.run(["/sbin/ldconfig", "-r", root], check=True)
    return root


@contextmanager
def living(root: Path) -> Iterator[None]:
    """A process with this root that uses no library, like the first one of some containers."""
    subprocess.run(
        ["gcc", "-static", "-x", "c", "-", "-o", root / "wait"], input=WAIT.encode(), check=True, timeout=60
    )
    with subprocess.Popen(["/wait"], preexec_fn=lambda: os.chroot(root)) as process:
        try:
            yield
        finally:
            process.kill()


def probes(spectap: Spectap) -> int:
    """Number of probes in files named libssl.so."""
    return sum(
        one["probes"] for one in spectap.agent.status()["watching"] if "/libssl.so" in str(one["path"])
    )


def test_no_library_of_this_root_is_the_hosts(tmp_path: Path) -> None:
    root = root_with_curl(tmp_path / "root", with_cache=True)
    (copy,) = root.rglob("libssl.so.3")
    assert copy.stat().st_ino != Path("/", copy.relative_to(root)).stat().st_ino


@pytest.mark.parametrize("with_cache", [True, False], ids=["loader's cache", "folders"])
def test_the_first_curl_of_a_root_is_captured_where_another_process_lives_there(
    with_cache: bool, tmp_path: Path, certificate: Certificate
) -> None:
    root = root_with_curl(tmp_path / "root", with_cache)
    folder = tmp_path / "calls"
    (root / str(folder).lstrip("/")).mkdir(parents=True)
    folder.symlink_to(root / str(folder).lstrip("/"))
    with (
        services.echo("tls", tmp_path, certificate=certificate) as server,
        watching(tmp_path) as spectap,
    ):
        before = probes(spectap)
        with living(root):
            wait_until(lambda: probes(spectap) > before, "the root's library is probed")
            base, by = f"https://127.0.0.1:{server.port}", ["chroot", str(root)]
            seen_by_curl = services.curl(
                folder, base, [echo_call("rooted", size=500)], "--insecure", "--http1.1", by=by
            )
            for call in seen_by_curl:
                stored = spectap.of_port(server.port, [call])[call.id]
                assert {w.side: w.pid for w in stored.witnesses} == {
                    "client": call.pid,
                    "server": server.process.pid,
                }
