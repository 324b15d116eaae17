"""Real processes for the tests: each in its own group, waited for by condition, ended by id."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

PATIENCE = 90.0  # seconds; ample, since no test is about time
REPOSITORY = Path(__file__).parents[2]

Value = TypeVar("Value")


def wait_until(condition: Callable[[], Value | None], what: str, patience: float = PATIENCE) -> Value:
    """Returns the first truthy result of `condition`. Raises AssertionError naming `what` after PATIENCE."""
    deadline = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {patience:.0f} s in vain for {what}")
        time.sleep(0.05)


def free_port() -> int:
    """A port below the ephemeral range that nothing listens on, for servers that cannot choose their own."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket(socket.AF_INET6) as probe:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            with suppress(OSError):
                probe.bind(("::", port))
                return port


def listening(port: int) -> bool:
    """Whether `port` listens, by /proc/net: no connection is made, so none is captured."""
    wanted = f":{port:04X}"
    lines = [line for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()]
    fields = [line.split() for line in lines]
    return any(words[1].endswith(wanted) and words[3] == "0A" for words in fields if len(words) > 3)


class Running:
    """A started process with its output in files. `stop` ends its whole group and returns the exit code."""

    def __init__(self, name: str, argv: Sequence[str], folder: Path, *, stdin: bool = False) -> None:
        self.name, self.argv = name, list(argv)
        self.stdout, self.stderr = folder / f"{name}.stdout", folder / f"{name}.stderr"
        with self.stdout.open("ab") as out, self.stderr.open("ab") as err:
            self.process = subprocess.Popen(
                self.argv,
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=REPOSITORY,
                env=environment(),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def output(self) -> str:
        return f"{self.stdout.read_text(errors='replace')}\n{self.stderr.read_text(errors='replace')}".strip()

    def alive(self) -> bool:
        return self.process.poll() is None

    def first_line(self) -> str:
        """The first line of its output, once there is one; fails at once, with the output, if the process has
        ended.
        """

        def line() -> str | None:
            text = self.stdout.read_text()
            assert self.alive() or text, f"{self.name} ended: {self.output()}"
            return text.splitlines()[0] if "\n" in text else None

        return wait_until(line, f"{self.name}'s first line")

    def wait_for(self, condition: Callable[[], Value | None], what: str) -> Value:
        def check() -> Value | None:
            assert self.alive(), f"{self.name} ended with {self.process.returncode}: {self.output()[-3000:]}"
            return condition()

        return wait_until(check, f"{self.name}: {what}")

    def finish(self, patience: float = PATIENCE) -> int:
        """Closes its input, if it has one, and waits for the process to exit."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        return self.process.wait(patience)

    def stop(self, patience: float = PATIENCE) -> int:
        self.process.terminate()
        try:
            code = self.process.wait(patience)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            if self.process.stdin is not None:
                with suppress(BrokenPipeError):
                    self.process.stdin.close()
        return code


@contextmanager
def running(name: str, argv: Sequence[str], folder: Path, *, stdin: bool = False) -> Iterator[Running]:
    process = Running(name, argv, folder, stdin=stdin)
    try:
        yield process
    finally:
        process.stop()


def environment() -> dict[str, str]:
    """The environment without proxy settings, which would put a proxy between client and server."""
    return {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}


def python(module: str, *arguments: object) -> list[str]:
    """The command that runs one of our programs with this interpreter."""
    return [sys.executable, "-m", f"tests.e2e.programs.{module}", *map(str, arguments)]


def node(program: str, *arguments: object) -> list[str]:
    return ["node", str(Path(__file__).parent / "programs" / program), *map(str, arguments)]
