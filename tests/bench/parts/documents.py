"""A specification of 47 MB in the shape of Microsoft Graph's: CPU and memory for each MB of it.

Whole commands, from the interpreter's start on: on no exchange (loading alone), and on 1,000.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.bench.figures import Figure, alternating
from tests.bench.graph_shape import MB
from tests.bench.parts.files import usage
from tests.bench.watch import workplace

NEEDS_ROOT = False
MOST_ROUNDS = 1
BEFORE = {"CPU-s/MB": 16 / 15.6, "MB/MB": 840 / 15.6}
"""A document of 15.6 MB, at 77cd586; the goal is a third."""


def figures(rounds: int) -> Iterator[Figure]:
    with workplace() as folder:
        # in a process of its own: Linux counts the memory of who starts a process to that process' peak
        subprocess.run([sys.executable, "-m", "tests.bench.graph_shape", folder], check=True)
        for name in ("graph.yaml", "graph.json"):
            yield from _document(folder / name, min(rounds, MOST_ROUNDS))


def _document(path: Path, rounds: int) -> Iterator[Figure]:
    size = path.stat().st_size / MB
    commands = {
        "load": ("match", "none.har"),
        "match": ("match", "calls.har"),
        "coverage": ("coverage", "calls.har"),
    }
    cases = {name: partial(_used, path, *said) for name, said in commands.items()}
    for name, found in alternating(rounds, cases).items():
        cpu = tuple((used.ru_utime + used.ru_stime) / size for used in found)
        memory = tuple(used.ru_maxrss * 1024 / MB / size for used in found)
        for unit, values in (("CPU-s/MB", cpu), ("MB/MB", memory)):
            goal = BEFORE[unit] / 3 if name == "load" else None
            yield Figure(f"{name}, {path.suffix[1:]}", unit, values, at_most=goal, note=f"{size:.0f} MB")


def _used(document: Path, command: str, har: str) -> resource.struct_rusage:
    kind = ["--json"] if command == "coverage" else ["-o", "jsonl"]
    key = f"--key-file={document.parent / 'key'}"
    return usage(["spectap", command, "--spec", document, document.parent / har, *kind, key])
