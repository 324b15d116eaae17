"""The table of commands."""

from __future__ import annotations

import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest

from server.cli import parser_of
from server.commands import ACTION_EXAMPLES, COMMANDS
from server.parser import joined

EXAMPLES = [
    *(one for command in COMMANDS.values() for one in command.examples),
    *(one for several in ACTION_EXAMPLES.values() for one in several),
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_each_example_is_one_that_the_command_takes(
    example: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPECTAP_SERVER", "http://127.0.0.1:8080")
    program, *words = shlex.split(re.split(" [>|] ", example)[0])
    parsed = parser_of(words[:1]).parse_args(joined(words))
    assert (program, parsed.command) == ("spectap", words[0])
    assert callable(parsed.run)


def test_each_command_has_a_module_that_adds_it() -> None:
    assert all(callable(import_module(one.module).add_parser) for one in COMMANDS.values())
