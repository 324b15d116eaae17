"""The libraries of another root are probed before a program maps them, shown by a real process in a
chroot.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.probes import roots
from agent.probes.attachments import GRACE_NS, Attachments
from tests.agent.probes.unattached import Probes
from tests.e2e.processes import wait_until

pytestmark = pytest.mark.root

WAIT = "#include <unistd.h>\nint main(void) { for (;;) pause(); }\n"


def test_the_first_process_of_a_root_has_all_its_libraries_probed(
    files: Attachments, probes: Probes, tmp_path: Path
) -> None:
    """The process itself maps none of them."""
    library = next(path for path in roots.libraries("") if "/libssl.so" in path)
    with rooted(tmp_path, library) as process:
        files.examine(process.pid)
        assert [path.split("/root")[-1] for path in set(probes.attached.values())] == ["/usr/lib/libssl.so.3"]
        held = len(probes.attached)
        (tmp_path / "usr/lib/libssl.so.4").write_bytes(Path(library).read_bytes())
        files.examine(process.pid)
        assert len(probes.attached) == held, "a root is looked through once"
    files.forget(process.pid, 0)
    while files.tidy(GRACE_NS):
        pass
    assert not probes.attached


def test_a_root_whose_process_went_meanwhile_is_looked_through_again(
    files: Attachments, probes: Probes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = next(path for path in roots.libraries("") if "/libssl.so" in path)
    found = roots.libraries
    with rooted(tmp_path, library) as process:
        key = roots.key_of(process.pid)
        keys = iter([key, None, key, key])
        monkeypatch.setattr(roots, "key_of", lambda pid: next(keys))
        monkeypatch.setattr(roots, "libraries", lambda root: [])
        files.examine(process.pid)
        assert not probes.attached
        monkeypatch.setattr(roots, "libraries", found)
        files.examine(process.pid)
        assert probes.attached


@contextmanager
def rooted(root: Path, library: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process in its own root with this library and without a loader."""
    (root / "usr/lib").mkdir(parents=True)
    (root / "usr/lib/libssl.so.3").write_bytes(Path(library).read_bytes())
    subprocess.run(
        ["gcc", "-static", "-x", "c", "-", "-o", root / "wait"], input=WAIT.encode(), check=True, timeout=60
    )
    with subprocess.Popen(["/wait"], preexec_fn=lambda: os.chroot(root)) as process:
        try:
            wait_until(lambda: os.readlink(f"/proc/{process.pid}/exe").endswith("/wait"), "the program runs")
            yield process
        finally:
            process.kill()
