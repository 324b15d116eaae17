"""What was compiled is taken again only as this user, or root, wrote it for the same source."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.probes import compiler
from agent.probes.bpf_call import MapShape
from agent.probes.compiler import Compiled, CompilerError, Source
from agent.probes.kept_programs import MOST_FILES, PREFIX, compiled

SOURCE = Source("int main;", ["-DONE=1"], ["main"])
OTHERS = [
    Source("int other;", ["-DONE=1"], ["main"]),
    Source("int main;", ["-DONE=2"], ["main"]),
    Source("int main;", ["-DONE=1"], ["main", "other"]),
]


class Compiler:
    """Counts how often it is asked."""

    def __init__(self, library: Path) -> None:
        library.write_text("1")
        self.library, self.asked = library, 0

    def __call__(self, source: Source) -> Compiled:
        self.asked += 1
        files = [compiler.state_of(str(self.library))]
        return Compiled([MapShape("one", 1, 4, 8, 16)], {"main": source.text.encode()}, files)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Compiler:
    found = Compiler(tmp_path / "libbcc.so")
    monkeypatch.setattr(compiler, "compile_apart", found)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "cache"


def kept(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"{PREFIX}*"))


@contextmanager
def warned(caplog: pytest.LogCaptureFixture, what: str) -> Iterator[None]:
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        yield
    assert len(caplog.messages) == 1
    assert what in caplog.messages[0]


def test_one_source_is_compiled_once(made: Compiler, folder: Path) -> None:
    assert compiled(SOURCE, folder) == compiled(SOURCE, folder)
    assert made.asked == 1
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [file.stat().st_mode & 0o777 for file in kept(folder)] == [0o600]


def test_without_a_folder_nothing_is_kept(made: Compiler) -> None:
    assert compiled(SOURCE, None) == compiled(SOURCE, None)
    assert made.asked == 2


@pytest.mark.parametrize("other", OTHERS)
def test_another_source_is_compiled_anew(made: Compiler, folder: Path, other: Source) -> None:
    compiled(SOURCE, folder)
    compiled(other, folder)
    assert made.asked == 2
    compiled(SOURCE, folder)
    assert made.asked == 2


def test_other_headers_or_another_kernel_are_compiled_anew(
    made: Compiler, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled(SOURCE, folder)
    header = tmp_path / "bpf/include/linux/types.h"
    header.parent.mkdir(parents=True)
    header.touch()
    monkeypatch.setattr(compiler, "FOLDER", tmp_path / "bpf")
    compiled(SOURCE, folder)
    assert made.asked == 2
    kernel = os.uname()
    newer = os.uname_result((kernel.sysname, kernel.nodename, "99.1", kernel.version, kernel.machine))
    monkeypatch.setattr(os, "uname", lambda: newer)
    compiled(SOURCE, folder)
    assert made.asked == 3


def test_with_another_compiler_it_is_compiled_anew(made: Compiler, folder: Path) -> None:
    compiled(SOURCE, folder)
    made.library.write_text("22")
    compiled(SOURCE, folder)
    assert made.asked == 2
    made.library.unlink()
    with pytest.raises(FileNotFoundError):
        compiled(SOURCE, folder)


@pytest.mark.parametrize("length", [0, 10, 40])
def test_a_file_that_was_cut_is_replaced(made: Compiler, folder: Path, length: int) -> None:
    compiled(SOURCE, folder)
    (file,) = kept(folder)
    os.truncate(file, length)
    compiled(SOURCE, folder)
    compiled(SOURCE, folder)
    assert made.asked == 2


def test_a_changed_byte_or_another_sources_file_is_not_taken(made: Compiler, folder: Path) -> None:
    compiled(SOURCE, folder)
    (file,) = kept(folder)
    whole = file.read_bytes()
    file.write_bytes(whole.replace(b"int main", b"int evil"))
    compiled(SOURCE, folder)
    assert made.asked == 2
    compiled(OTHERS[0], folder)
    (other,) = set(kept(folder)) - {file}
    other.write_bytes(whole)
    assert compiled(OTHERS[0], folder).programs["main"] == b"int other;"
    assert made.asked == 4


@pytest.mark.parametrize("mode", [0o720, 0o702])
def test_a_folder_that_others_may_write_to_is_not_used(
    made: Compiler, folder: Path, caplog: pytest.LogCaptureFixture, mode: int
) -> None:
    compiled(SOURCE, folder)
    folder.chmod(mode)
    with warned(caplog, "others may write to it; run: chmod go-w"):
        compiled(SOURCE, folder)
    assert made.asked == 2


def test_a_file_that_others_may_write_to_is_not_used(
    made: Compiler, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    compiled(SOURCE, folder)
    kept(folder)[0].chmod(0o606)
    with warned(caplog, "others may write to it"):
        compiled(SOURCE, folder)
    assert made.asked == 2


@pytest.mark.root
@pytest.mark.parametrize("of_folder", [True, False])
def test_what_belongs_to_another_user_is_not_used(
    made: Compiler, folder: Path, caplog: pytest.LogCaptureFixture, of_folder: bool
) -> None:
    compiled(SOURCE, folder)
    os.chown(folder if of_folder else kept(folder)[0], 65534, 65534)
    with warned(caplog, "it belongs to another user"):
        compiled(SOURCE, folder)
    assert made.asked == 2


@pytest.mark.parametrize("of_folder", [True, False])
def test_a_link_is_not_followed(
    made: Compiler, folder: Path, caplog: pytest.LogCaptureFixture, of_folder: bool
) -> None:
    compiled(SOURCE, folder)
    linked = folder if of_folder else kept(folder)[0]
    linked.symlink_to(linked.rename(folder.parent / "elsewhere"))
    caplog.clear()
    compiled(SOURCE, folder)
    assert made.asked == 2
    assert len(caplog.messages) == 1


def test_where_nothing_can_be_written_it_is_compiled_each_time(
    made: Compiler, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    occupied = tmp_path / "file"
    occupied.touch()
    for started in (1, 2):
        with warned(caplog, "compiled programs are not kept"):
            compiled(SOURCE, occupied)
        assert made.asked == started


def test_what_can_only_be_read_is_taken(
    made: Compiler, folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled(SOURCE, folder)
    caplog.clear()

    def refuse(_: int) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "utime", refuse)
    compiled(SOURCE, folder)
    assert made.asked == 1
    assert caplog.messages == []


def test_the_last_used_files_are_kept(made: Compiler, folder: Path) -> None:
    folder.mkdir(parents=True, mode=0o700)
    older = [folder / f"{PREFIX}{number}" for number in range(MOST_FILES + 2)]
    for number, path in enumerate(older):
        path.touch()
        os.utime(path, (number, number))
    (folder / "btf-other.json").touch()
    compiled(SOURCE, folder)
    left = set(kept(folder))
    assert len(left) == MOST_FILES
    assert left & set(older) == set(older[3:])
    assert (folder / "btf-other.json").exists()
    (mine,) = left - set(older)
    os.utime(mine, (0, 0))
    compiled(SOURCE, folder)
    assert mine.stat().st_mtime > MOST_FILES + 2


def test_what_cannot_be_compiled_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Source) -> Compiled:
        raise CompilerError("no")

    monkeypatch.setattr(compiler, "compile_apart", refuse)
    with pytest.raises(CompilerError, match=r"^no$"):
        compiled(SOURCE, folder)
    assert kept(folder) == []
