"""The session of `spectap up`: starts the server, possibly the demo, and the agent; captures; stops in order.

The agent stops before the server, so that its captured exchanges can still be stored.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import replace
from os import getpid
from pathlib import Path
from typing import NoReturn

from agent.wire import balances
from server.config import default_data
from server.up.children import Child, ChildEnded, ChildEvent, ChildProcesses, Line
from server.up.demo import Demo
from server.up.live import (
    HttpProbe,
    LiveCounts,
    counts_of,
    detaching,
    deviations,
    last_word,
    totals,
    watching,
)
from server.up.options import Listen, UpError, UpOptions, free_listen
from server.up.programs import Installation, Tokens, agent_arguments, server_arguments, tokens_in
from server.up.screen import Screen
from server.up.tempdir import temporary_folder

LOOK_EVERY_S = 0.2
LEARNT_EVERY_S = 2.0
KINDS_SHOWN = 3
START_S = 600.0  # compiling and attaching in an emulated machine; it can be stopped meanwhile
STUCK_S = 120.0  # stopping without any progress
CLEAN = (0, -signal.SIGTERM)


class _StopAsked(Exception):
    """A signal asked to stop, without any failure."""


class Up:
    """One session. `programs` are the commands it starts; tests replace them."""

    def __init__(self, options: UpOptions, programs: Installation, screen: Screen) -> None:
        self._options = replace(options, listen=free_listen(options.listen))
        self._programs, self._screen = programs, screen
        self._server: Child | None = None
        self._agent: Child | None = None
        self._demo: Demo | None = None
        self._counts: LiveCounts = counts_of(None)
        self._learnt_at = float("-inf")
        self._stopping = False
        self._asked = 0  # times asked while stopping
        self._killed = False

    def run(self) -> int:
        """Returns the exit code: 0 when stopped on request without failures, else 1. Raises UpError."""
        with ExitStack() as stack:
            data = self._data_folder(stack)
            tokens = None if self._options.listen.loopback else tokens_in(data)
            self._status = status = free_listen(Listen("127.0.0.1", 0))
            admin = None if tokens is None else tokens.admin.read_text().strip()
            self._server_door = stack.enter_context(closing(HttpProbe(self._options.listen.url, admin)))
            self._agent_door = stack.enter_context(closing(HttpProbe(status.url)))
            self._processes = stack.enter_context(ChildProcesses())
            try:
                self._start(data, tokens, status, stack)
                self._print_state(tokens)
                self._watch()
            except _StopAsked:
                return self._stop()
            except UpError as error:
                self._screen.still()
                self._screen.write(f"spectap up: {error}", level="error")
                self._stop()
                return 1

    def _data_folder(self, stack: ExitStack) -> Path:
        data = self._options.data or default_data()
        if self._options.demo and self._options.data is None:
            return stack.enter_context(temporary_folder())
        try:
            data.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise UpError(f"cannot make {data} ({error.strerror}): choose another with --data") from None
        return data

    # Starting.

    def _start(self, data: Path, tokens: Tokens | None, status: Listen, stack: ExitStack) -> None:
        """Starts all at the same time, except the demo's client, whose first call must be captured."""
        server = [*self._programs.server, *server_arguments(self._options, data, tokens)]
        self._server = self._processes.start("server", server)
        ports = self._options.ports
        if self._options.demo:
            folder = stack.enter_context(temporary_folder())
            self._demo = Demo(self._processes, self._programs, folder)
            self._demo.start_services()
            self._until(lambda: self._demo is not None and self._demo.ready, "the demo services")
            ports = (*ports, *self._demo.ports) if ports else ()
        ours = [getpid(), self._server.pid]
        arguments = agent_arguments(self._options, data, tokens, str(status), ports, ours)
        self._agent = self._processes.start("agent", [*self._programs.agent, *arguments])
        self._until(self._server_door.ready, "the server")
        if self._demo is not None:
            self._demo.upload(self._server_door)
        self._until(self._agent_door.ready, "the agent", "attaching probes")
        self._until(self._first_status, "the agent's status page")
        if self._demo is not None:
            self._demo.start_shop()

    def _until(self, ready: Callable[[], bool], who: str, doing: str = "") -> None:
        """Waits for `ready`, handling events meanwhile. Raises UpError after START_S."""
        started = time.monotonic()
        while not ready():
            waited = time.monotonic() - started
            if waited > START_S:
                raise UpError(f"{who} was not ready within {START_S:.0f} s: run with -v to see its messages")
            if doing and waited > 1:
                self._screen.live(f"{doing} ({waited:.0f} s)")
            self._handle_events(LOOK_EVERY_S)
        self._screen.still()

    def _first_status(self) -> bool:
        """Whether the agent has reported what it captures, which may take a while on a busy machine."""
        status = self._agent_door.document("/status")
        self._libraries = watching(status) if status is not None else []
        return status is not None

    def _print_state(self, tokens: Tokens | None) -> None:
        """Prints what is captured, and the URL of the pages."""
        for line in self._libraries:
            self._screen.write(line)
        status = f"{self._status.url}/status"
        self._screen.write(f"the agent's status: {status}", status=status)
        if tokens is not None:
            self._screen.write(
                f"the server requires a token: {tokens.admin} to read, {tokens.ingest} for agents"
            )
        if self._demo is not None:
            kept = "" if self._options.data else "; their data is removed at the end"
            self._screen.write(
                f"demo: a shop calls orders (HTTP, {self._demo.orders_host}) and payments (HTTPS){kept}"
            )
        url = f"{self._options.listen.url}/"
        self._screen.write(f"open {url} - Ctrl-C stops", url=url)

    # Watching.

    def _watch(self) -> NoReturn:
        """Shows live counts until something ends it."""
        shown_deviations = self._demo is None
        while True:
            self._show_counts()
            self._screen.live(self._counts.sentence(), **self._counts.facts())
            if not shown_deviations:
                shown_deviations = self._show_deviations()
            self._handle_events_for(self._screen.live_every_s if shown_deviations else 1.0)

    def _show_counts(self) -> None:
        status = self._agent_door.document("/status")
        if status is None:
            return
        self._counts = counts_of(status, self._learnt())
        lines = watching(status)
        for line in lines:
            if line not in self._libraries:
                self._screen.write(line)
        self._libraries = lines

    def _learnt(self) -> Mapping[str, int]:
        """The server's counts, requested at intervals: over a large store they are expensive."""
        now = time.monotonic()
        if now - self._learnt_at >= LEARNT_EVERY_S:
            self._learnt_at = now
            self._counts = replace(self._counts, server=totals(self._server_door) or self._counts.server)
        return self._counts.server

    def _show_deviations(self) -> bool:
        """The demo's first deviations, once there are several kinds of them."""
        found = deviations(self._server_door)
        if len(found) < KINDS_SHOWN:
            return False
        for text in found:
            self._screen.write(f"deviation, {text}")
        return True

    # Stopping.

    def _stop(self) -> int:
        """Stops all, clients first and the server last; returns the exit code."""
        self._stopping = True
        self._screen.still()
        if self._agent is not None and self._agent.alive:
            self._screen.write("stopping: capture disabled; detaching probes and storing what was captured")
        demo = self._demo.children if self._demo is not None else []
        clean = True
        for child in [*reversed(demo), self._agent]:
            if child is not None:
                clean &= self._end(child)
        ledger = last_word(self._server_door, self._counts.agent)
        if self._server is not None:
            clean &= self._end(self._server)
        self._screen.still()
        if self._counts.exchanges is not None:
            self._screen.write(f"stopped: {self._counts.balance()}", **self._counts.facts())
        for balance in balances(ledger or {}):
            if balance.total:
                self._screen.write(str(balance))
        return 0 if clean and not self._killed else 1

    def _end(self, child: Child) -> bool:
        """Asks one child to stop and waits for it; True if it ended without failure."""
        asked_to = child.alive
        child.send(signal.SIGTERM)
        progress, since = "", time.monotonic()
        while child.alive:
            self._handle_events(LOOK_EVERY_S)
            found = self._detaching() if child is self._agent and child.alive else ""
            if found != progress:
                progress, since = found, time.monotonic()
            if time.monotonic() - since > STUCK_S:
                self._screen.write(
                    f"the {child.name} has made no progress for {STUCK_S:.0f} s: killing it", level="error"
                )
                child.send(signal.SIGKILL)
        if asked_to and child.code not in CLEAN:
            self._screen.write(f"the {child.name} {_how(child)} while stopping", level="error")
        return child.code in CLEAN

    def _detaching(self) -> str:
        """Shows the agent's progress of stopping."""
        status = self._agent_door.document("/status")
        if status is not None:
            self._counts = counts_of(status, self._counts.server)
        progress = detaching(status)
        if progress:
            self._screen.live(progress)
        return progress

    # What happens meanwhile.

    def _handle_events_for(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._handle_events(left)

    def _handle_events(self, seconds: float) -> None:
        for happening in self._processes.wait(seconds):
            self._handle(happening)

    def _handle(self, happening: ChildEvent) -> None:
        if isinstance(happening, Line):
            if self._demo is None or not self._demo.read_port(happening):
                self._screen.relay(happening.child.name, happening.text)
        elif isinstance(happening, ChildEnded):
            if not self._stopping:
                raise UpError(f"the {happening.child.name} {_how(happening.child)}; see its messages above")
        elif not self._stopping:
            raise _StopAsked
        elif happening.signum != signal.SIGHUP:
            self._on_stop_again()

    def _on_stop_again(self) -> None:
        """Handles a signal while stopping: the first is answered with an explanation, the next one ends at
        once.
        """
        self._asked += 1
        if self._asked == 1:
            progress = self._detaching() or "storing what was captured"
            self._screen.write(
                f"still stopping ({progress}). Killing does not make the kernel detach faster, and what is"
                " not stored yet would be lost: waiting is best. Ctrl-C again kills."
            )
        else:
            self._killed = True
            self._screen.write("killing all processes")
            self._processes.kill()


def _how(child: Child) -> str:
    """How a child ended, as a phrase."""
    code = child.code or 0
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended (exit code {code})"
