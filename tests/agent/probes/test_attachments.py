"""Which files are probed for which process: with this process's own libraries, and probes that only count."""

from __future__ import annotations

import mmap
import os
import shutil
import ssl  # noqa: F401  # maps OpenSSL into this process
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.probes import attachments, targets
from agent.probes.attachments import GRACE_NS, Attachments
from agent.probes.source import Unprobed
from tests.agent.probes.unattached import Probes
from tests.e2e.processes import running


def test_a_file_is_probed_once_however_many_processes_hold_it(files: Attachments, probes: Probes) -> None:
    files.examine(os.getpid())
    once = dict(probes.attached)
    assert len(once) >= 2
    files.examine(os.getpid())
    files.examine(os.getppid())
    assert {path.split("/root")[-1] for path in once.values()} <= {file.path for file in files.probed()}
    assert all(handle in probes.attached for handle in once)


def test_nobody_left_means_detached_after_a_while_one_probe_at_a_time(
    files: Attachments, probes: Probes
) -> None:
    files.examine(os.getpid())
    held = len(probes.attached)
    files.forget(os.getpid(), 1000)
    assert not files.tidy(1000 + GRACE_NS - 1)
    assert len(probes.attached) == held
    steps = 0
    while files.tidy(1000 + GRACE_NS):
        steps += 1
        assert len(probes.attached) == held - steps
    assert steps == held


def test_a_program_that_is_restarted_within_that_while_keeps_its_probes(
    files: Attachments, probes: Probes
) -> None:
    files.examine(os.getpid())
    mapped = [file.path for file in targets.mapped_libraries(Path("/proc/self/maps").read_text())]
    held = {one for one, path in probes.attached.items() if path.endswith(tuple(mapped))}
    assert held
    files.forget(os.getpid(), 1000)
    files.examine(os.getpid())
    while files.tidy(1000 + 2 * GRACE_NS):
        pass
    assert held <= probes.attached.keys()


def test_what_the_loader_would_map_stays_though_nobody_holds_it(files: Attachments, probes: Probes) -> None:
    files.pin_loader_libraries()
    held = dict(probes.attached)
    files.examine(os.getpid())
    files.forget(os.getpid(), 0)
    while files.tidy(2 * GRACE_NS):
        pass
    assert held.items() <= probes.attached.items()


def test_a_refusal_is_remembered_for_people_until_it_succeeds(files: Attachments, probes: Probes) -> None:
    probes.refuse = True
    files.examine(os.getpid())
    assert files.failures
    probes.refuse = False
    files.examine(os.getpid())
    assert not {path for path in files.failures if "ssl" in path}


def test_of_many_idle_files_the_oldest_are_detached_before_their_time(
    files: Attachments, probes: Probes, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.examine(os.getpid())
    files.forget(os.getpid(), 1000)
    monkeypatch.setattr(attachments, "MAX_IDLE", 0)
    while files.tidy(1001):
        pass
    assert not probes.attached


def test_a_process_that_has_gone_costs_nothing(files: Attachments, probes: Probes, tmp_path: Path) -> None:
    files.examine(2**22 + 1)
    assert not probes.attached
    assert not files.failures


def test_what_passed_before_a_file_was_probed_is_counted_by_process(probes: Probes) -> None:
    pid = os.getpid()
    files = Attachments(probes.attach, probes.detach, lambda: {pid: Unprobed(100, 2), 1: Unprobed(7, 1)})
    files.examine(pid)
    files.examine(pid)
    counted = files.unprobed()
    (found,) = counted.values()
    assert (found.bytes, found.connections) == (100, 2)
    files.forget(pid, 1000)
    files.forget_before()
    files.examine(pid)
    assert files.unprobed() == counted


def test_of_a_process_with_two_libraries_no_byte_is_counted_twice(probes: Probes) -> None:
    files = Attachments(probes.attach, probes.detach, lambda: {os.getpid(): Unprobed(100, 2)})
    files.examine(os.getpid())
    files._count_unprobed(os.getpid(), Unprobed(150, 2))
    (found,) = files.unprobed().values()
    assert found == Unprobed(150, 2)


def test_a_count_that_the_kernel_began_anew_takes_nothing_away(probes: Probes) -> None:
    """A ledger that shrinks below zero is one that the server refuses."""
    files = Attachments(probes.attach, probes.detach, lambda: {os.getpid(): Unprobed(100, 2)})
    files.examine(os.getpid())
    files._count_unprobed(os.getpid(), Unprobed(5, 1))
    files._count_unprobed(os.getpid(), Unprobed(7, 1))
    assert [*files.unprobed().values()] == [Unprobed(102, 2)]


def test_the_names_of_processes_are_bounded(probes: Probes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attachments, "MAX_UNPROBED", 0)
    files = Attachments(probes.attach, probes.detach, lambda: {os.getpid(): Unprobed(1, 1)})
    files.examine(os.getpid())
    assert files.unprobed().keys() == {attachments.OTHER}


def test_a_library_whose_path_is_not_utf_8_is_probed_and_named_in_text(
    files: Attachments, probes: Probes, tmp_path: Path
) -> None:
    folder = os.fsencode(tmp_path) + b"/\xff"
    os.mkdir(folder)
    with mapped_copy(os.fsdecode(folder + b"/libssl.so.3")):
        files.examine(os.getpid())
    (named,) = [file.path for file in files.probed() if str(tmp_path) in file.path]
    assert named == f"{tmp_path}/\ufffd/libssl.so.3"


@pytest.mark.root
@pytest.mark.parametrize("then", [Path.unlink, lambda path: shutil.copy("/bin/true", f"{path}.new")])
def test_a_library_that_was_deleted_or_replaced_while_it_is_mapped_is_probed_itself(
    files: Attachments, probes: Probes, tmp_path: Path, then: Callable[[Path], object]
) -> None:
    path = tmp_path / "libssl.so.3"
    with mapped_copy(str(path)):
        then(path)
        if path.exists():
            Path(f"{path}.new").rename(path)
        files.examine(os.getpid())
    assert str(path) in [file.path for file in files.probed()]
    assert any("/map_files/" in opened for opened in probes.attached.values())
    files.forget(os.getpid(), 1000)
    while files.tidy(1001):
        pass
    assert str(path) not in [file.path for file in files.probed()]
    assert probes.attached


def test_a_program_that_was_deleted_while_it_runs_is_probed(
    files: Attachments, probes: Probes, tmp_path: Path
) -> None:
    compiler = shutil.which("cc") or pytest.skip("no C compiler")
    program = tmp_path / "server"
    source = b"#include <stdio.h>\n#include <unistd.h>\nint SSL_read(void) { return 0; }\n"
    source += b'int main(void) { puts("up"); fflush(stdout); return pause(); }\n'
    subprocess.run([compiler, "-x", "c", "-", "-o", program], input=source, check=True)
    with running("server", [str(program)], tmp_path) as server:
        server.first_line()
        program.unlink()
        files.examine(server.pid)
    assert str(program) in [file.path for file in files.probed()]


@contextmanager
def mapped_copy(path: str) -> Iterator[None]:
    """Maps a copy of this process's libssl there as code."""
    loaded = [file.path for file in targets.mapped_libraries(Path("/proc/self/maps").read_text())]
    shutil.copy(next(one for one in loaded if Path(one).name.startswith("libssl.so")), path)
    held = os.open(path, os.O_RDONLY)
    with mmap.mmap(held, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC):
        yield
    os.close(held)
