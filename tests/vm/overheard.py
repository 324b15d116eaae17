"""Eight talking processes under the agent's capture, inside the machine: prints the result as one line of
JSON.

`--unguarded` removes the tail call from the uprobe programs and attaches them whatever the check finds: the
negative control. The check's result is on the line before.
"""

from __future__ import annotations

import json
import os
import shutil
import ssl  # noqa: F401  # maps the libraries to be copied
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from unittest import mock

from agent.events import Chunk, ConnectionKey, Direction, Event, Lost
from agent.ledger import Bytes, Kernel
from agent.probes import private_stack, programs
from agent.probes.kernel import CaptureFilters, KernelSource
from agent.probes.programs import Sizes
from tests.agent.probes.watch import BACKEND
from tests.e2e.certificates import Certificate, make
from tests.vm import speech

SPEAKERS, CONNECTIONS, EXCHANGES = 8, 4, 150
BODY_CAP = 1024
MEMORY = Path("/run/overheard")  # files for uprobes
LIBRARIES = ("libssl.so.3", "libcrypto.so.3")
GUARD = "no_program.call(ctx, 0);"


@dataclass(slots=True)
class Account:
    """`said` is what the processes sent and received in plaintext, `told` what the agent captured, in
    bytes.
    """

    refusal: str | None
    events: int = 0
    said: int = 0
    told: int = 0
    wrong: int = 0  # number of chunks whose content differs from what their process sent
    ring_full: int = 0
    unread: int = 0
    """Left in the ring, as the agent may not stop for long: on a busy machine it is late."""
    table_full: int = 0
    unaccounted: int = 0
    failed: int = 0  # number of processes that received something other than what was sent


class Ear:
    """Checks each chunk."""

    def __init__(self, account: Account, pids: set[int]) -> None:
        self._account = account
        self._words = {pid: (speech.requests(pid, EXCHANGES), speech.answers(pid, EXCHANGES)) for pid in pids}
        self._speaks: dict[tuple[ConnectionKey, Direction], int] = {}

    def hear(self, event: Event) -> None:
        if isinstance(event, Lost):
            self._lose(event)
        elif isinstance(event, Chunk) and event.connection.source != "socket":
            self._account.events += 1
            self._account.told += event.length
            self._account.wrong += not self._is_right(event)

    def _lose(self, event: Lost) -> None:
        self._account.ring_full += event.count if event.what is Bytes.RING_FULL else 0
        self._account.unread += event.count if event.what is Bytes.UNREAD_AT_EXIT else 0
        self._account.table_full += event.count if event.what is Kernel.TABLE_FULL else 0
        self._account.unaccounted += event.count if event.what is Kernel.UNACCOUNTED else 0

    def _is_right(self, chunk: Chunk) -> bool:
        words = None if chunk.pid is None else self._words.get(chunk.pid)
        if words is None:
            return False
        half = (chunk.connection, chunk.direction)
        end = chunk.position + len(chunk.data)
        fitting = [index for index, said in enumerate(words) if said[chunk.position : end] == chunk.data]
        if not chunk.data or not fitting:
            return not chunk.data
        return self._speaks.setdefault(half, fitting[0]) in fitting


def copied_libraries() -> None:
    MEMORY.mkdir(exist_ok=True)
    for line in Path("/proc/self/maps").read_text().splitlines():
        path = Path(line.split(None, 5)[-1])
        if path.name in LIBRARIES and not (MEMORY / path.name).exists():
            shutil.copy(path, MEMORY)


@contextmanager
def speaker(certificate: Certificate) -> Iterator[subprocess.Popen[bytes]]:
    argv = [sys.executable, "-m", "tests.vm.speaker", str(certificate.certificate), str(certificate.key)]
    argv += [str(CONNECTIONS), str(EXCHANGES)]
    environment = {**os.environ, "LD_LIBRARY_PATH": str(MEMORY)}
    with subprocess.Popen(argv, stdin=subprocess.PIPE, env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


def overhear(source: KernelSource, speakers: list[subprocess.Popen[bytes]], account: Account) -> None:
    """Starts the processes' exchanges once their library is probed, and captures until they are done."""
    ear = Ear(account, {process.pid for process in speakers})
    probed = str(MEMORY / LIBRARIES[0])
    began = False
    for event in source.events():
        ear.hear(event)
        if not began and any(file.path == probed for file in source.watching.libraries):
            began = True
            for process in speakers:
                assert process.stdin
                process.stdin.write(b"go\n")
                process.stdin.flush()
        if began and all(process.poll() is not None for process in speakers):
            source.ask_to_stop()


class Check:
    """The agent's own check, which reports how many programs have a private stack, and may be overruled."""

    def __init__(self) -> None:
        self._found = private_stack.has_private_stack
        self.private = 0
        self.strict = True

    def __call__(self, program: int, code: bytes) -> bool:
        found = self._found(program, code)
        self.private += found
        return found and self.strict


def report(line: object) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def main() -> None:
    check = Check()
    mock.patch.object(private_stack, "has_private_stack", check).start()
    if "--unguarded" in sys.argv:
        check.strict = False
        text = programs.source_text()
        assert GUARD in text
        mock.patch.object(programs, "source_text", return_value=text.replace(GUARD, "")).start()
    copied_libraries()
    source = KernelSource(CaptureFilters(body_cap=BODY_CAP, java=True, load_all=True), Sizes(), None, BACKEND)
    report({"private": check.private})
    account = Account(source.watching.tls_refusal)
    with ExitStack() as stack:
        certificate = make(MEMORY)
        source.attach()
        speakers = [stack.enter_context(speaker(certificate)) for _ in range(SPEAKERS)]
        overhear(source, speakers, account)
        account.failed = sum(process.returncode != 0 for process in speakers)
        for process in speakers:
            words = speech.requests(process.pid, EXCHANGES) + speech.answers(process.pid, EXCHANGES)
            account.said += 2 * CONNECTIONS * len(words)  # both ends are here
    report(asdict(account))


if __name__ == "__main__":
    main()
