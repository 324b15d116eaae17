"""How the commands of `spectap` are parsed, and how their help looks."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from server.commands import COMMANDS, examples

USAGE = 64  # EX_USAGE of sysexits.h
PROGRAM = "spectap"
TAKE_MINUS = frozenset({"-q", "--query", "--sort"})
_CHOICE = re.compile(r"argument (?P<what>[^:]+): invalid choice: (?P<given>.+) \(choose from (?P<known>.*)\)")


class Paragraphs(argparse.HelpFormatter):
    """Keeps lines that are indented, such as examples, and fills the paragraphs between them. Each command
    has its help beside it.
    """

    def add_argument(self, action: argparse.Action) -> None:
        super().add_argument(action)
        if isinstance(action, argparse._SubParsersAction):  # whose own indent argparse forgets
            self._action_max_length += self._indent_increment

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        fill = super()._fill_text
        lines = text.split("\n")
        return "\n".join(one if one[:1] in ("", " ") else fill(one, width, indent) for one in lines)


class _Commands(argparse._SubParsersAction):  # type: ignore[type-arg]  # it is generic in stubs alone
    """Gives each command its help and its examples."""

    def add_parser(self, name: str, **given: Any) -> argparse.ArgumentParser:
        command = f"{self._prog_prefix} {name}".removeprefix(f"{PROGRAM} ")
        if command in COMMANDS:
            given["help"] = COMMANDS[command].help
        shown = "\n".join(f"  {one}" for one in examples(command))
        given["epilog"] = "\n\n".join(filter(None, (given.get("epilog"), shown and f"Examples:\n{shown}")))
        found: argparse.ArgumentParser = super().add_parser(name, **given)
        return found


class Parser(argparse.ArgumentParser):
    """Usage errors exit 64, argparse's own 2; they say what may have been meant."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **{"formatter_class": Paragraphs, **named})
        self.register("action", "parsers", _Commands)

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {_meant(message)}\n")

    def parse_known_args(  # type: ignore[override]  # its overloads are about the namespace's type
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """Refuses what it does not know itself, so that the usage shown is that of the command."""
        parsed, unknown = super().parse_known_args(args, namespace)
        if unknown:
            from server.query.errors import did_you_mean

            option = unknown[0].partition("=")[0]
            question = did_you_mean(option, self._option_string_actions) if option.startswith("-") else ""
            self.error(f"unrecognized arguments: {' '.join(unknown)}{question}")
        return parsed, unknown


def _meant(message: str) -> str:
    """A message about a choice, with the closest one that there is."""
    found = _CHOICE.fullmatch(message)
    if found is None:
        return message
    from server.query.errors import did_you_mean

    given = found["given"].strip("'\"")
    known = [one.strip(" '\"") for one in found["known"].split(",")]
    question = did_you_mean(given, known)
    if found["what"] in ("COMMAND", "ACTION"):
        there_are = "" if question else f"; there are {', '.join(known)}"
        return f"no {found['what'].lower()} {given}{question}{there_are}"
    return f"{message}{question}"


def joined(given: Sequence[str]) -> list[str]:
    """The same arguments, each of TAKE_MINUS joined to a value such as -status:5xx, which argparse would take
    for an option.
    """
    found: list[str] = []
    for one in given:
        if found and found[-1] in TAKE_MINUS and re.match(r"-[^-].", one):
            found[-1] += f"={one}" if found[-1].startswith("--") else one
        else:
            found.append(one)
    return found
