"""Temporary folders are removed at the end or at the next start, and never another process's."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from server.up.tempdir import PREFIX, temporary_folder

OWNER = """
import sys
from server.up.tempdir import temporary_folder
with temporary_folder() as folder:
    (folder / "file").touch()
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def left(temporary: Path) -> set[str]:
    return {one.name for one in temporary.iterdir()}


def test_a_folder_is_gone_at_the_end_with_all_that_is_in_it(temporary: Path) -> None:
    with temporary_folder() as folder:
        (folder / "inner").mkdir()
        assert left(temporary) == {folder.name}
        assert folder.stat().st_mode & 0o777 == 0o700
    assert left(temporary) == set()


def test_what_a_killed_process_left_is_gone_at_the_next_start_and_not_before_it_is_killed(
    temporary: Path,
) -> None:
    command = [sys.executable, "-c", OWNER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        theirs = Path(owner.stdout.readline().strip())
        with temporary_folder():
            assert (theirs / "file").exists()
        owner.kill()
    assert (theirs / "file").exists()
    with temporary_folder() as folder:
        assert left(temporary) == {folder.name}


def test_nothing_else_is_touched(temporary: Path) -> None:
    for name in ("other", f"{PREFIX}empty"):
        (temporary / name).mkdir()
    (temporary / "other" / "file").touch()
    (temporary / f"{PREFIX}link").symlink_to(temporary / "other")
    (temporary / f"{PREFIX}file").touch()
    before = left(temporary)
    with temporary_folder():
        pass
    assert left(temporary) == before
    assert (temporary / "other" / "file").exists()
