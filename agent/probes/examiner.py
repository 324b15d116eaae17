"""The thread that examines processes for TLS libraries and attaches probes.

What it opens belongs to whoever runs on this node, and may hang: a FUSE or NFS mount whose server is gone. It
then hangs alone, while the capture goes on with the probes that are attached. It alone uses `Attachments`;
others leave notes for it, and read what it has published.

| note                 | from                             | without room                                   |
|----------------------|----------------------------------|------------------------------------------------|
| a process to examine | a new program, new code, a round | counted as put off, and left to the next round |
| an ended process     | its exit                         | left to the next round                         |
| the running ones     | a round                          | replaces that of the round before              |
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from agent.probes.attachments import Attachments
from agent.probes.examinations import Examinations
from agent.probes.source import ProbedFile, Unprobed

MAX_ENDED = 4096  # processes
PUBLISH_S = 0.1  # between two snapshots while processes wait
SLOW_S = 10.0  # an examination takes milliseconds
STOP_S = 1.0
LOOKS_PER_DETACH = 8  # detaching a probe takes the kernel 0.1 s


@dataclass(frozen=True, slots=True)
class Examined:
    """What is probed, as last published."""

    libraries: tuple[ProbedFile, ...] = ()
    failures: dict[str, str] = field(default_factory=dict)
    unprobed: dict[str, Unprobed] = field(default_factory=dict)


class Examiner:
    """Started once, stopped once. Its methods may be called from one other thread."""

    def __init__(self, attachments: Attachments) -> None:
        self._attachments = attachments
        self._changed = threading.Condition()
        self._queue = Examinations()
        self._ended: dict[int, int] = {}
        self._running: Collection[int] | None = None
        self._stopping = False
        self._at_work: tuple[int | None, float] | None = None
        self._published_s = 0.0
        self._error: BaseException | None = None
        self._turns = 0
        self._in_round = False  # a round's processes are being examined
        self._tidying = False  # whether there are more probes to detach
        self._thread = threading.Thread(target=self._run, name="examiner", daemon=True)
        self.examined = Examined()

    def start(self) -> None:
        """Starts with the libraries of the host's loader, then examines what was added."""
        self._thread.start()

    def add(self, pid: int) -> None:
        """Adds a process that runs a new program, or has mapped new code."""
        with self._changed:
            self._queue.add_new(pid)
            self._changed.notify()

    def round(self, running: Collection[int]) -> None:
        """Adds all running processes; those that are not among them have ended."""
        with self._changed:
            self._running = running
            for pid in running:
                self._queue.add(pid)
            self._changed.notify()

    def end(self, pid: int, now_ns: int) -> None:
        """Takes note of a process's end."""
        with self._changed:
            if len(self._ended) < MAX_ENDED:
                self._ended[pid] = now_ns
                self._changed.notify()

    @property
    def put_off(self) -> int:
        """Times a process was not added: too many waited."""
        return self._queue.overflowed

    def hung(self) -> str | None:
        """A sentence on an examination that takes too long; else None. Raises what ended the thread."""
        if self._error is not None:
            raise self._error
        at_work = self._at_work
        if at_work is None or (taken := time.monotonic() - at_work[1]) < SLOW_S:
            return None
        what = "the host" if at_work[0] is None else f"process {at_work[0]}"
        return (
            f"examining {what} for TLS libraries has taken {int(taken)} s: a file system may hang; "
            "TLS of new libraries is not captured until it ends"
        )

    def settle(self, is_stopping: Callable[[], bool]) -> None:
        """Waits until nothing is left to examine, or an examination takes too long."""
        while not (self._is_idle() or is_stopping() or self.hung()):
            time.sleep(0.01)

    def stop(self) -> None:
        """Ends the thread after the current examination; one that hangs is left behind."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(STOP_S)

    def _is_idle(self) -> bool:
        with self._changed:
            return self._turns > 0 and not self._has_notes() and self._at_work is None

    def _has_notes(self) -> bool:
        return bool(self._ended) or self._running is not None or len(self._queue) > 0

    def _run(self) -> None:
        try:
            self._at_work = None, time.monotonic()
            self._attachments.pin_loader_libraries()
            while self._turn():
                pass
        except BaseException as error:  # raised where somebody looks: `hung`
            self._error = error

    def _turn(self) -> bool:
        """Takes the notes and works on them. False when stopping."""
        with self._changed:
            if not self._has_notes():
                self._publish()
                if self._in_round:
                    self._attachments.forget_before()
                self._in_round = False
            self._turns += 1
            self._at_work = None
            self._changed.wait_for(lambda: self._stopping or self._has_notes() or self._tidying)
            if self._stopping:
                return False
            ended, self._ended = self._ended, {}
            running, self._running = self._running, None
            pid = self._queue.take()
            self._at_work = pid, time.monotonic()
        now_ns = time.monotonic_ns()
        if running is not None:
            self._in_round = True
            ended |= dict.fromkeys(self._attachments.users() - set(running), now_ns)
        for one, at_ns in ended.items():
            self._attachments.forget(one, at_ns)
        if pid is not None:
            self._attachments.examine(pid)
        if pid is None or self._turns % LOOKS_PER_DETACH == 0:
            self._tidying = self._attachments.tidy(now_ns)
        if time.monotonic() - self._published_s >= PUBLISH_S:
            self._publish()
        return True

    def _publish(self) -> None:
        attachments = self._attachments
        self.examined = Examined(attachments.probed(), dict(attachments.failures), attachments.unprobed())
        self._published_s = time.monotonic()
