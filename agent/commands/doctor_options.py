"""The options of `spectap-agent doctor`, apart from what it imports: other commands do without that."""

from __future__ import annotations

import argparse

from agent.options import BACKENDS

MAX_PID = 2**31 - 1


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON (agent/doctor/schema.json)")
    parser.add_argument(
        "--pid",
        action="append",
        type=_pid,
        metavar="PID",
        help="check only this process, even without TCP sockets; repeatable",
    )
    parser.add_argument("--backend", choices=BACKENDS, help="try this backend only")
    parser.add_argument(
        "--no-self-test",
        action="store_true",
        help="skip the self-test, which makes calls on loopback and captures them",
    )


def _pid(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MAX_PID:
        raise argparse.ArgumentTypeError(f"a whole number from 1 to {MAX_PID} is wanted")
    return int(text)
