"""`python -m tests.bench [PART…]`: measures each part in a process of its own, prints a table, writes
JSON. Each figure is there as soon as it is measured: a run may be cut off.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from tests.bench import registry, report
from tests.bench.figures import Figure
from tests.bench.load import comes_first

ROUNDS = 3
REPOSITORY = Path(__file__).parents[2]


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    known = registry.names()
    listed = "\n".join(f"  {name:12}{registry.about(name)}" for name in known)
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description=f"Measures spectap. Parts:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help="what to measure; everything if none is named"
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how often (default: {ROUNDS})")
    parser.add_argument(
        "--compiled", action="store_true", help="with the agent's compiled rooms (see make compiled)"
    )
    parser.add_argument("--json", type=Path, default=Path("bench.json"), help="file to write the figures to")
    parser.add_argument("--within", help=argparse.SUPPRESS)  # this process measures this part
    options = parser.parse_args(argv)
    unknown = sorted(set(options.parts) - set(known))
    if unknown:
        parser.error(f"no such part: {', '.join(unknown)}")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0, or 1 if a part could not be measured. A missed goal is not an error."""
    options = arguments(argv)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    if options.within:
        comes_first(os.getpid())
        for figure in registry.part(options.within).figures(options.rounds):
            print(json.dumps(asdict(figure)), flush=True)  # noqa: T201 (this process's output)
        return 0
    console, failed = Console(), []
    measured: dict[str, list[Figure]] = {}
    with environment(options.compiled) as prefix:
        for name in options.parts or registry.names():
            console.print(f"measuring {name}: {registry.about(name)}", highlight=False)
            some = measured[name] = []
            try:
                for figure in measure(name, options.rounds, prefix):
                    some.append(figure)
                    report.show(name, figure, console)
            except subprocess.CalledProcessError as error:
                failed.append(name)
                console.print(f"[bold]{name} failed[/bold] with exit status {error.returncode}")
            options.json.write_text(report.as_json(measured))
    report.show_all(measured, console)
    console.print(f"as JSON: {options.json}", highlight=False)
    return 1 if failed else 0


@contextmanager
def environment(compiled: bool) -> Iterator[Sequence[str]]:
    """What a part's command begins with, so that Python prefers compiled rooms where they are asked for."""
    if not compiled:
        yield ()
        return
    with TemporaryDirectory() as folder:
        subprocess.run([REPOSITORY / "tools/compile", folder], check=True)
        yield ("env", f"PYTHONPATH={folder}", "PYTHONSAFEPATH=1")


def measure(name: str, rounds: int, prefix: Sequence[str] = ()) -> Iterator[Figure]:
    """Measures one part in its own process, as root only if it must. Raises CalledProcessError."""
    command = [*prefix, sys.executable, "-m", "tests.bench", "--within", name, "--rounds", str(rounds)]
    if registry.part(name).NEEDS_ROOT and os.geteuid() != 0:
        command = ["tools/as-root", *command]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                yield report.figure_of(json.loads(line))
        except (KeyboardInterrupt, SystemExit):
            process.terminate()  # time to detach its probes
            raise
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)


if __name__ == "__main__":
    sys.exit(main())
