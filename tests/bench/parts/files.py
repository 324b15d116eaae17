"""Commands on files as whole processes: CPU and memory, beside Redocly's on the same files.

Each command is started, and its CPU is that of all its processes, from the interpreter's start on. The goals
of import and export are what they cost before they were made faster: ratios to Redocly's drift.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.bench.figures import Figure, alternating, ratios
from tests.bench.files_traffic import calls_of, shop, shop_calls, write
from tests.bench.linters import redocly
from tests.bench.templates_corpus import SOURCES, Unavailable, file_of
from tests.bench.watch import repeated, workplace
from tests.e2e import spectap

NEEDS_ROOT = False
ENTRIES = 20_000
LARGE_TIMES = 12  # the small file's entries in the large one: about 300 MB
MOST_ROUNDS = 2
MOST_MIB = 120.0
EVERY_S = 0.2
BEFORE = {"import": 0.29, "export": 0.36}
"""Entries for each CPU second, relative to drift's, at 7502a16."""

GOALS = {"import": 3 * BEFORE["import"], "export": 5 * BEFORE["export"]}


def figures(rounds: int) -> Iterator[Figure]:
    rounds = min(rounds, MOST_ROUNDS)
    with workplace() as folder:
        yield from _document(folder, "small", rounds)
        yield from _document(folder, "box", rounds)
        yield from _memory(folder)


def _document(folder: Path, name: str, rounds: int) -> Iterator[Figure]:
    har, spec = folder / f"{name}.har", folder / f"{name}.json"
    if not _made(name, har, spec):
        return
    key = f"--key-file={folder / 'key'}"
    scratch = str(folder / f"{name}.yaml")
    cases: dict[str, Callable[[], float]] = {
        "match": partial(cpu_s, ["spectap", "match", "--spec", spec, har, "-o", "jsonl", key]),
        "coverage": partial(cpu_s, ["spectap", "coverage", "--spec", spec, har, "--json", key]),
    }
    if name == "small":
        cases["rebuild"] = partial(cpu_s, ["spectap", "rebuild", har, "-o", scratch, key])
        cases["import"] = partial(_import, folder, har, key)
        cases["export"] = partial(_export, folder, har, key)
    try:
        program = redocly()
        cases["drift"] = partial(cpu_s, [*program, "drift", har, "--api", spec, "--traffic-format", "har"])
        if name == "small":
            generate = [
                *program,
                "generate-spec",
                har,
                "--traffic-format",
                "har",
                "-o",
                f"{scratch}.redocly.yaml",
            ]
            cases["generate-spec"] = partial(cpu_s, generate)
    except Unavailable as error:
        sys.stderr.write(f"files: without Redocly: {error}\n")
    spent = alternating(rounds, cases)
    speed = {case: tuple(ENTRIES / seconds for seconds in found) for case, found in spent.items()}
    for case, found in speed.items():
        yield Figure(f"{name}: {case}", "entries/CPU-s", found, yardstick=case in ("drift", "generate-spec"))
    for case, other, goal in (
        ("match", "drift", 5.0 if name == "box" else 1.5),
        ("coverage", "drift", None),
        ("rebuild", "generate-spec", 1.0),
        ("import", "drift", GOALS["import"]),
        ("export", "drift", GOALS["export"]),
    ):
        if case in speed and other in speed:
            yield Figure(
                f"{name}: {case} ÷ {other}", "ratio", ratios(speed[case], speed[other]), at_least=goal
            )


def _made(name: str, har: Path, spec: Path) -> bool:
    """Writes traffic and document; false if the document cannot be fetched."""
    if name == "small":
        spec.write_text(json.dumps(shop()))
        write(har, shop_calls(ENTRIES))
        return True
    try:
        document = json.loads(file_of(next(one for one in SOURCES if one.api == name)).read_bytes())
    except Unavailable as error:
        sys.stderr.write(f"files: without {name}: {error}\n")
        return False
    spec.write_text(json.dumps(document))
    host = document["servers"][0]["url"].split("/")[2]
    write(har, calls_of(document, host, ENTRIES))
    return True


def _memory(folder: Path) -> Iterator[Figure]:
    """The most memory of a match of a large file, of all its processes together."""
    large = folder / "large.har"
    write(large, shop_calls(ENTRIES), LARGE_TIMES)
    command = ["spectap", "match", "--spec", folder / "small.json", large, "-o", "jsonl"]
    most = [0.0]
    process = _started([*command, f"--key-file={folder / 'key'}"])

    def look() -> None:
        most[0] = max(most[0], tree_mib(process.pid))

    with repeated(look, EVERY_S):
        _waited(process)
    size = large.stat().st_size / 2**20
    large.unlink()
    yield Figure("memory of a match", "MiB", (most[0],), at_most=MOST_MIB, note=f"{size:,.0f} MiB of HAR")


def _import(folder: Path, har: Path, key: str) -> float:
    """CPU of the command alone, into a new server."""
    with _server(folder) as server:
        return cpu_s(["spectap", "import", har, "--server", server.url, key])


def _export(folder: Path, har: Path, key: str) -> float:
    with _server(folder) as server:
        cpu_s(["spectap", "import", har, "--server", server.url, key])
        server.settled()
        return cpu_s(["spectap", "export", "--server", server.url, "-o", folder / "exported.har"])


def _server(folder: Path) -> AbstractContextManager[spectap.Server]:
    place = folder / f"server-{time.monotonic_ns()}"
    place.mkdir()
    return spectap.serving(place)


def cpu_s(command: Sequence[object]) -> float:
    """CPU seconds of a command with all processes that it starts. Raises CalledProcessError."""
    used = usage(command)
    return used.ru_utime + used.ru_stime


def usage(command: Sequence[object]) -> resource.struct_rusage:
    """What a command uses with all processes that it starts; of memory the largest one's peak. Raises
    CalledProcessError.
    """
    return _waited(_started(command))


@dataclass(frozen=True, slots=True)
class _Running:
    """A command; `found` is its exit status if it found deviations."""

    pid: int
    command: tuple[str, ...]
    found: int


def _started(command: Sequence[object]) -> _Running:
    named = [str(one) for one in command]
    if named[0] == "spectap":
        named[0] = spectap.command("spectap")
    quiet = [(os.POSIX_SPAWN_OPEN, out, os.devnull, os.O_WRONLY, 0) for out in (1, 2)]
    pid = os.posix_spawnp(named[0], named, os.environ, file_actions=quiet)
    return _Running(pid, tuple(named), 1 if "drift" in named else 2)


def _waited(running: _Running) -> resource.struct_rusage:
    """The usage of a process and of the children that it waited for. Raises CalledProcessError."""
    _, status, used = os.wait4(running.pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code not in (0, running.found):
        raise subprocess.CalledProcessError(code, running.command)
    return used


def tree_mib(pid: int) -> float:
    """Memory of a process and its descendants; what they share counts once (PSS)."""
    total = 0.0
    with suppress(OSError, ValueError):
        words = Path(f"/proc/{pid}/smaps_rollup").read_text().split()
        total = int(words[words.index("Pss:") + 1]) / 1024
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += sum(tree_mib(int(child)) for child in (task / "children").read_text().split())
    return total
