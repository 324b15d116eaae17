"""Options of the agent that the server's commands accept and pass on unchanged; the agent checks them.

The server does not import the agent, so a test compares them with the agent's own.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Passed:
    """One passed-on option; without a metavar it is a flag."""

    name: str
    help: str
    metavar: str | None = None
    many: bool = False


MAX_BODY_CAP = 16 * 1024 * 1024  # bytes

SHAPES = (
    Passed("--aggregation-header", "request header whose value is kept to group calls by", "NAME"),
    Passed("--mask", "also mask values of this name; repeatable", "NAME", many=True),
    Passed("--keep", "keep values of this name unless they look secret; repeatable", "NAME", many=True),
)
"""The options about kept values."""

COST = (
    Passed("--priority", "scheduling class of the agent: idle or normal (default: idle)", "CLASS"),
    Passed("--cpu", "percent of the CPU that the agent takes while it is behind (default: 5)", "PERCENT"),
    Passed("--cpu-max", "most cores that the agent uses (default: 1)", "CORES"),
    Passed("--memory-mib", "memory beyond which the agent captures less (default: 512)", "MIB"),
    Passed("--no-step-down", "capture everything, however late the agent becomes"),
)
"""The options about the cost of capturing."""

BODIES = (
    Passed("--body-cap", "maximum bytes kept of each body (default: 65536)", "BYTES"),
    Passed("--heads-only", "keep no bodies"),
    Passed("--websocket", "keep JSON text messages of WebSocket connections, redacted"),
)

FILTERS = (
    Passed("--exclude-port", "do not capture this port; repeatable", "N", many=True),
    Passed("--process", "capture only processes with this name; repeatable", "NAME", many=True),
    Passed("--pid", "capture only this process; repeatable", "PID", many=True),
    Passed("--exclude-pid", "do not capture this process; repeatable", "PID", many=True),
    Passed("--cgroup", "capture only processes in this cgroup or below; repeatable", "PATH", many=True),
    Passed("--exclude-cgroup", "do not capture this cgroup and below; repeatable", "PATH", many=True),
    Passed("--java", "capture Java's own TLS as well: changes classes in running Java virtual machines"),
)
"""The options about what is captured."""


def declare(parser: argparse.ArgumentParser, options: Iterable[Passed]) -> None:
    """Adds the options to a command."""
    for option in options:
        if option.metavar is None:
            parser.add_argument(option.name, action="store_true", help=option.help)
        else:
            action = "append" if option.many else "store"
            parser.add_argument(
                option.name, type=_text, action=action, metavar=option.metavar, help=option.help
            )


def _text(value: str) -> str:
    if not value.strip():
        raise argparse.ArgumentTypeError("is empty: give a value, or leave the option out")
    return value


def given(parsed: argparse.Namespace, options: Iterable[Passed]) -> list[str]:
    """The options given, as arguments for the agent."""
    found: list[str] = []
    for option in options:
        value = getattr(parsed, option.name.strip("-").replace("-", "_"))
        if value is True:
            found.append(option.name)
        else:
            values = value if isinstance(value, list) else [] if value in (None, False) else [value]
            found += [f"{option.name}={one}" for one in values]
    return found
