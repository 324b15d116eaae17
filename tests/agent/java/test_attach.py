"""Attaching to real Java virtual machines: which are refused, why, and what is left in the others."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from agent.java import attach, machines
from agent.java.attach import BUILT, FILES, AttachRefused, NotAttachableYet
from tests.e2e import java_programs
from tests.e2e.certificates import make
from tests.e2e.java_programs import DISTRIBUTION, EVERYTHING, NEWER, Jdk, Programs
from tests.e2e.processes import Running, running, wait_until

NOBODY = 65534
CHANGED = {"SSLEngineImpl;.readRecord", "SSLEngineImpl;.writeRecord", "TransportContext;.finishHandshake"}
"""The methods that are changed, of classes that a server of SSLEngine has loaded."""


@pytest.fixture(scope="module")
def programs() -> Iterator[Programs]:
    """For another user as well: each start of pytest closes the folder of all its own ones to others."""
    java_programs.require()
    with tempfile.TemporaryDirectory(prefix="classes-") as made:
        folder = Path(made)
        folder.chmod(0o755)
        programs = Programs.make(folder, make(folder))
        (folder / "store.p12").chmod(0o644)
        yield programs


@pytest.fixture(scope="module")
def viewer(programs: Programs) -> Path:
    home = Path(shutil.which("javac") or "").resolve().parents[1]
    made = programs.folder / "libviewer.so"
    source = Path(__file__).parent / "code.c"
    includes = [f"-I{home}/include", f"-I{home}/include/linux"]
    subprocess.run(["gcc", "-shared", "-fPIC", *includes, "-o", made, source], check=True)
    return made


@contextmanager
def machine(programs: Programs, folder: Path, *options: str, by: tuple[str, ...] = ()) -> Iterator[Running]:
    """A running server; `by` is a command that executes it."""
    argv = [*by, *programs.command(DISTRIBUTION, "engine", options=options)]
    with running("machine", argv, folder) as process:
        process.first_line()
        yield process


def folders(root: Path = Path("/")) -> list[Path]:
    return list((root / "tmp").glob(".spectap-java-*"))


def ended(attached: machines.AttachedMachine) -> str:
    """Lets go of a machine and waits until it has put its classes back. Returns what it wrote."""
    attached.let_go()
    outcome = wait_until(lambda: attached.outcome, "the end of the capture")
    attached.remove()
    return outcome


@pytest.mark.root
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["-XX:+DisableAttachMechanism"], "it was started with -XX:+DisableAttachMechanism"),
        (["-Xrs"], "it does not handle SIGQUIT: it runs with -Xrs"),
        (["@options"], "it was started with -XX:+DisableAttachMechanism"),
    ],
)
def test_a_machine_that_does_not_attach_is_left_alone(
    programs: Programs, tmp_path: Path, options: list[str], reason: str
) -> None:
    (tmp_path / "options").write_text("-XX:+DisableAttachMechanism\n")
    options = [option.replace("@", f"@{tmp_path}/") for option in options]
    with machine(programs, tmp_path, *options) as process:
        before = process.output()
        with pytest.raises(AttachRefused, match=reason.replace("+", r"\+")):
            machines.attached_to(process.pid, "it", BUILT)
        assert process.output() == before, "no thread dump"
        assert process.alive()
    assert not folders()


@pytest.mark.root
@pytest.mark.skipif(not NEWER.exists(), reason="TIERS=all fetches a newer JDK")
def test_a_newer_machine_that_loads_no_agents_is_left_as_it_was(programs: Programs, tmp_path: Path) -> None:
    newer = Jdk("newer", NEWER)
    argv = programs.command(newer, "engine", options=["-XX:-EnableDynamicAgentLoading"])
    with running("machine", argv, tmp_path) as process:
        process.first_line()
        with pytest.raises(AttachRefused, match="-XX:-EnableDynamicAgentLoading"):
            machines.attached_to(process.pid, "it", BUILT)
    assert not folders()


@pytest.mark.root
def test_a_stopped_machine_gets_no_signal(programs: Programs, tmp_path: Path) -> None:
    with machine(programs, tmp_path) as process:
        os.kill(process.pid, signal.SIGSTOP)
        stat = Path(f"/proc/{process.pid}/stat")
        wait_until(lambda: ") T " in stat.read_text(), "the machine to stop")
        with pytest.raises(NotAttachableYet, match="it is stopped"):
            machines.attached_to(process.pid, "it", BUILT)
        os.kill(process.pid, signal.SIGCONT)


@pytest.mark.root
def test_another_program_gets_no_signal(tmp_path: Path) -> None:
    for name in FILES:
        (tmp_path / name).touch()
    with running("sleep", ["sleep", "100"], tmp_path) as process:
        with pytest.raises(NotAttachableYet, match="does not handle SIGQUIT"):
            machines.attached_to(process.pid, "it", tmp_path)
        assert process.alive()


@pytest.mark.root
def test_what_was_not_built_is_said_and_no_program_gets_a_signal(tmp_path: Path) -> None:
    with running("sleep", ["sleep", "100"], tmp_path) as process:
        with pytest.raises(AttachRefused, match="run make java"):
            machines.attached_to(process.pid, "it", tmp_path / "nothing")
        assert process.alive()


@pytest.mark.root
def test_another_users_machine_is_attached_to_as_that_user(programs: Programs, tmp_path: Path) -> None:
    by = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    with machine(programs, tmp_path, by=by) as process:
        attached = machines.attached_to(process.pid, "it", BUILT)
        assert os.fstat(attached.folder).st_uid == os.fstat(attached.lock).st_uid == NOBODY
        assert ended(attached) == "ended 0"
    assert not folders()


@pytest.mark.root
@pytest.mark.parametrize("options", ["rw", "noexec", "ro"])
def test_a_machine_with_a_tmp_of_its_own_gets_its_folder_there_or_is_left_as_it_was(
    programs: Programs, tmp_path: Path, options: str
) -> None:
    mounts = f"mount --bind {programs.folder} /mnt && mount -t tmpfs -o {options} none /tmp"
    argv = ["unshare", "--mount", "sh", "-c", f'{mounts} && exec "$@"', "-"]
    argv += Programs(Path("/mnt")).command(DISTRIBUTION, "engine")
    with running("machine", argv, tmp_path) as process:
        process.first_line()
        root = Path(f"/proc/{process.pid}/root")
        if options == "rw":
            attached = machines.attached_to(process.pid, "it", BUILT)
            assert len(folders(root)) == 1
            assert not folders()
            assert ended(attached) == "ended 0"
        else:
            reason = {"noexec": "its /tmp is mounted noexec", "ro": "its /tmp cannot be written to"}[options]
            with pytest.raises(AttachRefused, match=reason):
                machines.attached_to(process.pid, "it", BUILT)
        assert not folders(root)


def jcmd(pid: int, *command: str) -> str:
    """What the machine answers."""
    return subprocess.run(["jcmd", str(pid), *command], check=True, capture_output=True, text=True).stdout


def left(pid: int) -> list[str]:
    """What there is of ours in a machine after garbage collections: loaders, threads, mapped files."""
    for _ in range(2):  # a loader goes with the objects that were found dead by the one before
        jcmd(pid, "GC.run")
    found = jcmd(pid, "VM.classloaders") + jcmd(pid, "Thread.print") + Path(f"/proc/{pid}/maps").read_text()
    return [line for line in found.splitlines() if "spectap" in line]


def code(pid: int, viewer: Path, into: Path) -> dict[str, int]:
    """The present size of the code of each method of the JDK's TLS."""
    jcmd(pid, "JVMTI.agent_load", str(viewer), str(into))
    lines = (line.rsplit(" ", 1) for line in into.read_text().splitlines())
    return {name: int(size) for name, size in lines}


def changed(before: dict[str, int], now: dict[str, int]) -> set[str]:
    """The methods, without their types, whose code has another size."""
    found = (name for name in before.keys() & now.keys() if before[name] != now[name])
    return {name.removeprefix("Lsun/security/ssl/").split("(")[0] for name in found}


class Load(threading.Thread):
    """Calls without a pause, on new and on kept connections."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port, self._over = port, threading.Event()
        self.answers = 0
        self.errors: list[Exception] = []

    def run(self) -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        while not self._over.is_set():
            connection = http.client.HTTPSConnection("127.0.0.1", self._port, context=context, timeout=30)
            try:
                for size in (100, 40_000, 300_000):
                    connection.request("POST", "/echo", b"x" * size)
                    assert connection.getresponse().read() == b"x" * size
                    self.answers += 1
            except Exception as error:
                self.errors.append(error)
            finally:
                connection.close()

    def __enter__(self) -> Load:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()


def until_more(one: Load, two: Load, answers: int) -> None:
    wait_until(lambda: one.answers + two.answers > answers, "answers")


@pytest.mark.root
def test_after_ten_captures_under_load_a_machine_is_what_it_was(
    programs: Programs, viewer: Path, tmp_path: Path
) -> None:
    argv = programs.command(DISTRIBUTION, "engine")
    with running("machine", argv, tmp_path) as process:
        port = int(process.first_line())
        with Load(port) as first:
            wait_until(lambda: first.answers, "the classes to be in use")
        before = code(process.pid, viewer, tmp_path / "before")
        attached = machines.attached_to(process.pid, "it", BUILT)
        during = code(process.pid, viewer, tmp_path / "during")
        assert ended(attached) == "ended 0"
        assert changed(before, during) >= CHANGED
        with Load(port) as one, Load(port) as two:
            for _ in range(10):
                attached = machines.attached_to(process.pid, "it", BUILT)
                answered = one.answers + two.answers
                until_more(one, two, answered + 20)
                assert ended(attached) == "ended 0"
        assert not one.errors + two.errors
        assert not changed(before, code(process.pid, viewer, tmp_path / "after"))
        assert not left(process.pid)
        assert not folders()
        assert process.stderr.read_text() == ""


@pytest.mark.root
def test_a_machine_whose_agent_was_killed_puts_its_classes_back_and_removes_the_folder(
    programs: Programs, viewer: Path, tmp_path: Path
) -> None:
    holder = "import pathlib, sys, time; from agent.java import machines;"
    holder += "machines.attached_to(int(sys.argv[1]), 'it', pathlib.Path(sys.argv[2]));"
    holder += "print('attached', flush=True); time.sleep(99)"
    argv = [sys.executable, "-c", holder]
    with machine(programs, tmp_path) as process:
        before = code(process.pid, viewer, tmp_path / "before")
        with running("agent", [*argv, str(process.pid), str(BUILT)], tmp_path) as agent:
            agent.first_line()
            assert folders()
            os.kill(agent.pid, signal.SIGKILL)
            wait_until(lambda: not folders(), "the folder to be gone")
        assert not changed(before, code(process.pid, viewer, tmp_path / "after"))
        assert not left(process.pid)


@pytest.mark.root
@pytest.mark.skipif(not EVERYTHING, reason="TIERS=all runs it: it starts a dozen machines")
def test_a_machine_that_ends_while_it_is_attached_to_leaves_nothing(
    programs: Programs, tmp_path: Path
) -> None:
    for number in range(12):
        with machine(programs, tmp_path) as process:
            timer = threading.Timer(number * 0.025, process.process.kill)
            timer.start()
            with suppress(AttachRefused):
                attached = machines.attached_to(process.pid, "it", BUILT)
                attached.let_go()
                attached.remove()
            timer.join()
        assert not folders()


@pytest.mark.parametrize("value", [b"1100", b"0100"])
def test_a_performance_counter_is_read_and_broken_counters_say_nothing(value: bytes) -> None:
    name = b"sun.rt.jvmCapabilities"
    start = attach.COUNTER.size + len(name) + 1
    entry = attach.COUNTER.pack(start + 8, attach.COUNTER.size, 8, ord("B"), 0, 0, 1, start)
    whole = b"head" + entry + name + b"\0" + value + b"\0\0\0\0"
    assert attach.counter(whole, name) == value.decode()
    assert attach.counter(whole, b"another") is None
    for cut in range(len(whole)):
        attach.counter(whole[:cut], name)
        attach.counter(whole[cut:], name)
