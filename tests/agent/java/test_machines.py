"""Which processes are attached to, when, and what is said of them; attaching itself is a fake here."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.java import machines
from agent.java.attach import AttachRefused, NotAttachableYet
from agent.java.machines import STARTING_S, AttachedMachine, Machines
from tests.e2e.processes import Running, running, wait_until


class Attacher:
    """Records what it is asked to attach to; raises `error` if it has one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.error: Exception | None = None
        self.asked: list[int] = []

    def __call__(self, pid: int, title: str, build: Path) -> AttachedMachine:
        self.asked.append(pid)
        if self.error is not None:
            raise self.error
        (self.folder / "ours").mkdir(exist_ok=True)
        (self.folder / "ours/state").write_text("attached")
        (self.folder / "ours/lock").touch()
        tmp = os.open(self.folder, os.O_RDONLY)
        ours = os.open(self.folder / "ours", os.O_RDONLY)
        lock, state = (os.open(self.folder / "ours" / name, os.O_RDONLY) for name in ("lock", "state"))
        return AttachedMachine(title, "ours", tmp, ours, lock, state)


@pytest.fixture
def attacher(tmp_path: Path) -> Attacher:
    return Attacher(tmp_path)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Running]:
    """A process that maps a file which is named as Java's."""
    library = tmp_path / "libjvm.so"
    library.write_bytes(b"\0" * 4096)
    code = "import mmap, sys, time; file = open(sys.argv[1], 'rb');"
    code += "kept = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ);"
    code += "print('mapped', flush=True); time.sleep(99)"
    with running("java", [sys.executable, "-c", code, str(library)], tmp_path) as process:
        process.first_line()
        yield process


def watching(process: Running, attacher: Attacher, captured: bool = True) -> Machines:
    return Machines(Path("/built"), lambda pid: captured and pid == process.pid, attacher)


def test_a_machine_is_attached_to_once_at_the_look_after_it_was_found(
    process: Running, attacher: Attacher
) -> None:
    seen = watching(process, attacher)
    seen.look(0)
    assert not attacher.asked
    seen.look(1)
    seen.look(2)
    assert attacher.asked == [process.pid]
    (note,) = seen.notes
    assert note.startswith(f"process {process.pid} (")
    assert "changed until the agent stops" in note


def test_a_machine_that_filters_leave_out_is_left_alone(process: Running, attacher: Attacher) -> None:
    seen = watching(process, attacher, captured=False)
    seen.look(0)
    seen.look(1)
    assert (attacher.asked, seen.notes) == ([], ())


def test_a_refusal_is_final_and_said(process: Running, attacher: Attacher) -> None:
    seen = watching(process, attacher)
    attacher.error = AttachRefused("it is too old")
    for now in range(4):
        seen.look(now)
    assert attacher.asked == [process.pid]
    assert seen.notes[0].endswith("Java's TLS is not captured: it is too old")


def test_a_machine_that_may_be_starting_is_tried_until_it_must_have_started(
    process: Running, attacher: Attacher
) -> None:
    seen = watching(process, attacher)
    attacher.error = NotAttachableYet("it is starting")
    for now in range(4):
        seen.look(now)
    assert attacher.asked == [process.pid] * 3
    assert seen.notes == ()
    seen.look(STARTING_S)
    seen.look(STARTING_S + 1)
    assert len(attacher.asked) == 4
    assert len(seen.notes) == 1


def test_more_machines_than_the_bound_are_refused_by_name(
    process: Running, attacher: Attacher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machines, "MOST", 0)
    seen = watching(process, attacher)
    seen.look(0)
    seen.look(1)
    assert not attacher.asked
    assert "attached to 0 others" in seen.notes[0]


def test_of_a_machine_that_ended_nothing_is_left_but_what_others_wrote(
    process: Running, attacher: Attacher, tmp_path: Path
) -> None:
    seen = watching(process, attacher)
    seen.look(0)
    seen.look(1)
    assert (tmp_path / "ours").exists()
    process.stop()
    wait_until(lambda: not Path(f"/proc/{process.pid}").exists(), "its end")
    seen.look(2)
    assert not (tmp_path / "ours").exists()
    assert seen.notes == ()


def test_at_the_end_a_machine_that_says_nothing_is_not_waited_for_for_long(
    process: Running,
    attacher: Attacher,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(machines, "STOP_S", 0.1)
    monkeypatch.setattr(machines, "LOOK_S", 0.01)
    seen = watching(process, attacher)
    seen.start()
    wait_until(lambda: seen.notes, "an attachment")
    seen.stop()
    assert "has not put its TLS classes back" in caplog.text
    assert not (tmp_path / "ours").exists()


@pytest.mark.parametrize(
    ("wrote", "logged"),
    [
        ("ended 0", "TLS classes put back"),
        ("ended 7 java.lang.Error", "error: 7 java.lang.Error"),
    ],
)
def test_what_a_machine_says_at_the_end_is_logged(
    process: Running,
    attacher: Attacher,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    wrote: str,
    logged: str,
) -> None:
    monkeypatch.setattr(machines, "LOOK_S", 0.01)
    caplog.set_level("INFO")
    seen = watching(process, attacher)
    seen.start()
    wait_until(lambda: seen.notes, "an attachment")
    (tmp_path / "ours/state").write_text(wrote)
    seen.stop()
    assert logged in caplog.text
