"""Child processes, and their events as facts from one place that waits.

Each child has a session of its own, so that Ctrl-C reaches only the parent, which decides the order of
stopping. No child outlives the parent (parent_death.py). `ChildProcesses.wait` returns lines, ends and
signals in order.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType

PARENT_DEATH = Path(__file__).with_name("parent_death.py")
MOST_LINE = 16 * 1024  # bytes; a longer line is split
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(eq=False, slots=True)
class Child:
    """A started process. `code` is its exit code once it has ended (minus the signal, if killed)."""

    name: str
    popen: subprocess.Popen[bytes]
    pidfd: int
    code: int | None = None
    partial: bytearray = field(default_factory=bytearray)

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def alive(self) -> bool:
        return self.code is None

    def send(self, signum: int) -> None:
        """Sends it a signal, if it still runs."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, signum)


@dataclass(frozen=True, slots=True)
class Line:
    """A child wrote a line, to standard output or error."""

    child: Child
    text: str


@dataclass(frozen=True, slots=True)
class ChildEnded:
    """A child ended; all its lines were returned before."""

    child: Child


@dataclass(frozen=True, slots=True)
class StopAsked:
    """A signal asked to stop."""

    signum: int


ChildEvent = Line | ChildEnded | StopAsked


class ChildProcesses:
    """Starts children and waits for their events. Use it as a context in the main thread.

    Leaving the context kills remaining children.
    """

    def __init__(self) -> None:
        self.children: list[Child] = []
        self._selector = selectors.DefaultSelector()
        self._signals: list[int] = []
        self._before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}
        self._woken, self._wake = socket.socketpair()
        self._woken.setblocking(False)
        self._wake.setblocking(False)

    def __enter__(self) -> ChildProcesses:
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._wakeup_before = signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        for signum in STOP_SIGNALS:
            self._before[signum] = signal.signal(signum, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        for child in self.children:
            if child.alive:
                child.popen.wait()
                self._release(child)
        for signum, before in self._before.items():
            signal.signal(signum, before)
        signal.set_wakeup_fd(self._wakeup_before)
        self._selector.close()
        self._woken.close()
        self._wake.close()

    def start(self, name: str, command: Sequence[str], dies_by: int = signal.SIGTERM) -> Child:
        """Starts `command` (an absolute path first); it gets the signal `dies_by` if the parent dies.

        Call it from the main thread: the kernel sends the signal when the thread that started the child ends.
        """
        prefix = [sys.executable, "-I", "-S", str(PARENT_DEATH), str(os.getpid()), str(int(dies_by))]
        popen = subprocess.Popen(
            [*prefix, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            bufsize=0,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert popen.stdout is not None
        os.set_blocking(popen.stdout.fileno(), False)
        child = Child(name, popen, os.pidfd_open(popen.pid))
        self.children.append(child)
        self._selector.register(popen.stdout, selectors.EVENT_READ, child)
        self._selector.register(child.pidfd, selectors.EVENT_READ, child)
        return child

    def kill(self) -> None:
        """Kills remaining children."""
        for child in self.children:
            child.send(signal.SIGKILL)

    def wait(self, seconds: float) -> Iterator[ChildEvent]:
        """The events, waiting up to `seconds` for the first."""
        for key, _ in self._selector.select(max(0.0, seconds)):
            if key.fileobj is self._woken:
                with contextlib.suppress(BlockingIOError):
                    self._woken.recv(4096)
            elif not key.data.alive:
                continue
            elif key.fileobj == key.data.pidfd:
                yield from self._ended(key.data)
            else:
                yield from self._lines(key.data)
        while self._signals:
            yield StopAsked(self._signals.pop(0))

    def _on_signal(self, signum: int, frame: FrameType | None) -> None:
        self._signals.append(signum)

    def _lines(self, child: Child) -> Iterator[Line]:
        """The lines of one read."""
        assert child.popen.stdout is not None
        try:
            piece = os.read(child.popen.stdout.fileno(), MOST_LINE)
        except BlockingIOError:
            return
        if not piece:
            self._selector.unregister(child.popen.stdout)
            return
        child.partial += piece
        *lines, rest = bytes(child.partial).split(b"\n")
        if len(rest) >= MOST_LINE:
            lines.append(rest)
            rest = b""
        child.partial[:] = rest
        yield from (Line(child, line.decode(errors="replace")) for line in lines)

    def _ended(self, child: Child) -> Iterator[ChildEvent]:
        """The child's last lines, then its end."""
        assert child.popen.stdout is not None
        while child.popen.stdout in self._selector.get_map():
            before = len(child.partial)
            lines = list(self._lines(child))
            yield from lines
            if not lines and len(child.partial) == before:
                break  # a grandchild keeps the pipe open without writing
        if child.partial:
            yield Line(child, bytes(child.partial).decode(errors="replace"))
        child.code = child.popen.wait()
        self._release(child)
        yield ChildEnded(child)

    def _release(self, child: Child) -> None:
        assert child.popen.stdout is not None
        child.code = child.popen.returncode
        if child.popen.stdout in self._selector.get_map():
            self._selector.unregister(child.popen.stdout)
        self._selector.unregister(child.pidfd)
        child.popen.stdout.close()
        os.close(child.pidfd)
