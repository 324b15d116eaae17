"""An agent process without capture: it spools, and accepts reports on a free port."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.agent.ship.stores import PATIENCE_S


def options(url: str, folder: Path) -> list[str]:
    free = "127.0.0.1:0"
    return [
        *("run", "--no-capture", "--telemetry-listen", free, "--status-listen", free, "--server", url),
        *("--key-file", str(folder / "key"), "--spool", str(folder / "spool")),
    ]


@dataclass
class Running:
    """`telemetry` is the port for reports, `status` its status page; `said` is its log."""

    process: subprocess.Popen[str]
    telemetry: str = ""
    status: str = ""
    said: str = ""

    def begin(self) -> None:
        assert self.process.stderr is not None
        while (
            found := re.search(r"status on (http://\S+)[^`]*(http://\S+/api/telemetry)", self.said)
        ) is None:
            line = self.process.stderr.readline()
            assert line, self.said
            self.said += line
        self.status, self.telemetry = found.groups()

    def end(self) -> int:
        """Asks it to stop. Returns its exit status."""
        self.process.terminate()
        self.said += self.process.communicate(timeout=PATIENCE_S)[1]
        return self.process.returncode


@contextmanager
def running(program: str, url: str, folder: Path, *before: str) -> Iterator[Running]:
    """The module `program` as an agent that ships to `url`; killed at the end if it still runs."""
    command = [sys.executable, "-m", program, *before, *options(url, folder)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        made = Running(process)
        try:
            made.begin()
            yield made
        finally:
            process.kill()
