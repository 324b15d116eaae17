"""What the pages of docs/ show is what the commands print, in the folder of examples that a page names.

A line that begins with `$ ` is a command, the lines below are its output; `…` stands for anything.
A command that ends in ` &` runs until the end of its page, as long as what `export` sets is set.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.e2e.processes import PATIENCE, free_port, listening, wait_until

ROOT = Path(__file__).parents[2]
ASKS = ("curl ", *(f"spectap {name}" for name in ("apis", "operations", "deviations")))
"""What asks a server, which may take a while to have what it was sent."""
PAGES = sorted(page for page in (ROOT / "docs").glob("*.md") if "\n$ " in page.read_text())
ADDRESS = re.compile(r"127\.0\.0\.1:(\d+)")


def commands(page: Path) -> Iterator[tuple[str, str]]:
    """Each command of a page, with its output."""
    for block in re.findall(r"^```\n(.*?)^```$", page.read_text(), flags=re.MULTILINE | re.DOTALL):
        yield from re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, flags=re.MULTILINE)


def agrees(shown: str, printed: str) -> bool:
    """Whether the output is what a page shows, except for spaces: tables are as wide as their content."""
    shown, printed = (re.sub(r" *\n", "\n", re.sub(r" +", " ", text)).strip() for text in (shown, printed))
    return re.fullmatch(re.escape(shown).replace("…", ".*"), printed, flags=re.DOTALL) is not None


class Session:
    """A shell in a copy of a page's examples, with ports and state of its own."""

    def __init__(self, folder: Path, page: str) -> None:
        (named,) = set(re.findall(r"^(?:.*[^-\w./])?`(examples/[a-z]+)`", page, flags=re.MULTILINE))
        self.folder = folder / "examples"
        shutil.copytree(ROOT / named, self.folder)
        self.ports: dict[str, int] = {}
        state = folder / "state"
        self.environment = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(folder),
            "COLUMNS": "200",
            "SPECTAP_LISTEN": f"127.0.0.1:{self.port('8080')}",
            "SPECTAP_STATUS_LISTEN": f"127.0.0.1:{self.port('9464')}",
            "SPECTAP_DATA": str(state / "data"),
            "SPECTAP_KEY_FILE": str(state / "key"),
            "SPECTAP_SPOOL": str(state / "spool"),
            "SPECTAP_CACHE": str(state / "cache"),
        }

    def port(self, shown: str) -> int:
        return self.ports.setdefault(shown, free_port())

    def line(self, command: str) -> str:
        return ADDRESS.sub(lambda found: f"127.0.0.1:{self.port(found[1])}", command)

    def export(self, name: str, value: str) -> None:
        self.environment[name] = self.line(value)

    def printed(self, command: str) -> str:
        shell = ["bash", "-c", f"exec 2>&1; {self.line(command)}"]
        done = subprocess.run(shell, cwd=self.folder, env=self.environment, capture_output=True, text=True)
        return done.stdout

    @contextmanager
    def running(self, command: str) -> Iterator[None]:
        """A server, or an agent that receives telemetry, from when it listens until the end of the page."""
        awaited = (re.findall(r"--telemetry-listen 127\.0\.0\.1:(\d+)", command) or ["8080"])[0]
        shell = ["bash", "-c", f"exec {self.line(command)}"]
        log = self.folder.parent / f"{awaited}.log"
        with log.open("wb") as out:
            program = subprocess.Popen(shell, cwd=self.folder, env=self.environment, stdout=out, stderr=out)

        def ready() -> bool:
            assert program.poll() is None, log.read_text()
            return listening(self.port(awaited))

        try:
            wait_until(ready, command)
            yield
        finally:
            program.terminate()
            program.wait(PATIENCE)


def shows(session: Session, command: str, output: str) -> None:
    """Runs a command; what it asks of a server may take a while to be there."""
    deadline = time.monotonic() + (PATIENCE if command.startswith(ASKS) else 0)
    while not agrees(output, printed := session.printed(command)):
        assert time.monotonic() < deadline, f"$ {command}\n{printed}"
        time.sleep(0.2)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_of_a_page_print_what_it_shows(page: Path, tmp_path: Path) -> None:
    session = Session(tmp_path, page.read_text())
    with ExitStack() as stack:
        for command, output in commands(page):
            if command.startswith("export "):
                session.export(*command.removeprefix("export ").split("="))
            elif command.endswith(" &"):
                stack.enter_context(session.running(command.removesuffix(" &")))
            else:
                shows(session, command, output)


def test_each_page_that_leads_here_from_another_program_has_commands() -> None:
    assert {page.stem for page in PAGES} >= {"from-apiclarity", "from-apisnoop"}
