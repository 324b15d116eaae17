"""The Java virtual machines whose TLS is captured: the one exception to "no program is changed", by --java.

| a process is | event                                     | next                                          |
|--------------|-------------------------------------------|-----------------------------------------------|
| unknown      | has no libjvm.so, or filters leave it out | passed over, until it runs another program    |
| unknown      | has libjvm.so                             | found                                         |
| found        | the next look                             | attached, or refused with a reason; if it may |
|              |                                           | be starting, found for STARTING_S             |
| attached     | the agent stops, or ends in any way       | its lock is free: it puts its classes back    |
| any          | it ends                                   | forgotten; its folder is removed              |

One thread looks and attaches; others read `notes`. What happens in the machine is in
worker/spectap/java/Worker.java.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.java import attach
from agent.probes import processes

log = logging.getLogger(__name__)

LOOK_S = 1.0
STARTING_S = 30.0
ATTACH_S = 30.0  # an attachment takes a fraction of a second
STOP_S = 3.0  # until all machines have put their classes back
MOST = 256  # machines
ENDED = "ended "
MAPPED = re.compile(r"/libjvm\.so$", re.MULTILINE)

Key = tuple[int, int | None, str | None]
"""A process's pid, start and program: another one may get its pid, and it may become another program."""


@dataclass(frozen=True, slots=True)
class AttachedMachine:
    """A machine, and descriptors of its /tmp, of our folder there, its locked file, and its `state`."""

    title: str
    folder_name: str
    tmp: int
    folder: int
    lock: int
    state: int

    def let_go(self) -> None:
        """The machine may take the lock, and puts its classes back."""
        os.close(self.lock)

    @property
    def outcome(self) -> str | None:
        """What the machine wrote at its end; None while it has not."""
        text = attach.written(self.state)
        return text if text.startswith(ENDED) else None

    def remove(self) -> None:
        """Removes the folder. Called once, after `let_go`."""
        attach.remove(self.tmp, self.folder_name, self.folder)
        for descriptor in (self.tmp, self.folder, self.state):
            os.close(descriptor)


def attached_to(pid: int, title: str, build: Path) -> AttachedMachine:
    """Attaches. Raises AttachRefused."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        command = [sys.executable, "-I", "-m", attach.__name__, str(pid), str(build), str(theirs.fileno())]
        try:
            done = subprocess.run(
                command, pass_fds=[theirs.fileno()], stdout=subprocess.PIPE, timeout=ATTACH_S, check=False
            )
        except subprocess.TimeoutExpired:
            raise attach.AttachRefused(f"it could not be attached to within {ATTACH_S:.0f} s") from None
        if done.returncode:
            why = done.stdout.decode(errors="replace") or "attaching to it failed"
            raise (
                attach.NotAttachableYet(why)
                if done.returncode == attach.NOT_YET
                else attach.AttachRefused(why)
            )
        name, descriptors, *_ = socket.recv_fds(ours, 256, 4, socket.MSG_CMSG_CLOEXEC)
        return AttachedMachine(title, name.decode(), *descriptors)


class Machines:
    """Started once, stopped once. `captures` tells whether the filters let a process be captured."""

    def __init__(
        self,
        build: Path,
        captures: Callable[[int], bool],
        attached_to: Callable[[int, str, Path], AttachedMachine] = attached_to,
    ) -> None:
        self._build, self._captures, self._attached_to = build, captures, attached_to
        self._known: dict[int, Key] = {}  # found once, by pid
        self._since: dict[int, float] = {}  # of those to attach to
        self._attached: dict[int, AttachedMachine] = {}
        self._refused: dict[int, str] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="java", daemon=True)
        self.notes: tuple[str, ...] = ()

    def start(self) -> None:
        """Looks for machines from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Lets go of all machines, and waits for them for STOP_S."""
        self._stopping.set()
        if not self._thread.is_alive():
            return
        self._thread.join(STOP_S)
        if self._thread.is_alive():
            log.warning("a Java virtual machine hangs; all put their TLS classes back as this process ends")
            return
        for machine in self._attached.values():
            machine.let_go()
        end = time.monotonic() + STOP_S
        for machine in self._attached.values():
            while machine.outcome is None and time.monotonic() < end:
                time.sleep(0.01)
            log.log(*_ending(machine))
            machine.remove()

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_S):
            try:
                self.look(time.monotonic())
            except Exception:
                log.exception("looking for Java virtual machines failed")

    def look(self, now: float) -> None:
        """One look at all processes."""
        running = dict(self._running())
        for pid in [pid for pid, key in self._known.items() if running.get(pid) != key]:
            self._forget(pid)
        for pid in list(self._since):
            if not self._stopping.is_set():
                self._attach(pid, now)
        for pid, key in running.items():
            if pid not in self._known:
                self._known[pid] = key
                if self._is_machine(pid) and self._captures(pid):
                    self._since[pid] = now
        self.notes = tuple(self._sentences())

    def _running(self) -> Iterator[tuple[int, Key]]:
        for pid in processes.pids():
            program = processes.executable(pid)
            if program is not None:  # else a kernel thread, or gone
                yield pid, (pid, processes.start_ticks(processes.read(pid, "stat") or b""), program)

    def _is_machine(self, pid: int) -> bool:
        maps = processes.read(pid, "maps") or b""
        return bool(MAPPED.search(maps.decode(errors="surrogateescape")))

    def _attach(self, pid: int, now: float) -> None:
        title = _title(pid)
        if len(self._attached) >= MOST:
            self._refuse(pid, title, f"the agent is attached to {MOST} others")
            return
        try:
            self._attached[pid] = self._attached_to(pid, title, self._build)
        except attach.NotAttachableYet as why:
            if now - self._since[pid] >= STARTING_S:
                self._refuse(pid, title, str(why))
        except (attach.AttachRefused, OSError) as why:
            self._refuse(pid, title, str(why))
        else:
            del self._since[pid]
            log.info("%s: Java's TLS is captured; its classes were changed", title)

    def _refuse(self, pid: int, title: str, why: str) -> None:
        del self._since[pid]
        self._refused[pid] = f"{title}: Java's TLS is not captured: {why}"
        log.warning("%s", self._refused[pid])

    def _forget(self, pid: int) -> None:
        del self._known[pid]
        self._since.pop(pid, None)
        self._refused.pop(pid, None)
        machine = self._attached.pop(pid, None)
        if machine is not None:
            machine.let_go()
            machine.remove()

    def _sentences(self) -> Iterator[str]:
        for machine in self._attached.values():
            yield (
                f"{machine.title}: classes of Java's TLS are changed until the agent stops; then two idle "
                "classes (spectap.java.Advice and Agent) remain, and agent.jar in the class path"
            )
        yield from self._refused.values()


class NoMachines:
    """Leaves all machines as they are."""

    notes: tuple[str, ...] = ()

    def start(self) -> None:
        """Nothing to look for."""

    def stop(self) -> None:
        """Nothing to let go of."""


def _title(pid: int) -> str:
    name = (processes.read(pid, "comm") or b"?").decode(errors="replace").strip()
    return f"process {pid} ({name})"


def _ending(machine: AttachedMachine) -> tuple[int, str]:
    """The level and text of what there is to log about a machine's end."""
    outcome = machine.outcome
    if outcome is None:
        return (
            logging.WARNING,
            f"{machine.title}: has not put its TLS classes back yet; it hangs, or has ended",
        )
    failures = outcome.removeprefix(ENDED)
    if failures != "0":
        return (
            logging.WARNING,
            f"{machine.title}: TLS classes put back; calls not captured, or error: {failures}",
        )
    return logging.INFO, f"{machine.title}: TLS classes put back"
