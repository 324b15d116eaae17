"""The completion of shells."""

from __future__ import annotations

import subprocess

import pytest

from server import cli
from server.commands import COMMANDS
from server.completion import SHELLS

COMPLETE = """
{script}
COMP_WORDS=({words}); COMP_CWORD={at}
_shtab_spectap
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.main(["completion", shell]) == 0
    return capsys.readouterr().out


def completed(words: str, printed: str) -> set[str]:
    """What bash offers for the last of these words."""
    program = COMPLETE.format(script=printed, words=words, at=len(words.split()) - 1)
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True)
    return {one.strip() for one in done.stdout.splitlines() if one.strip()}


def test_bash_completes_commands_actions_options_and_choices(capsys: pytest.CaptureFixture[str]) -> None:
    printed = script("bash", capsys)
    assert completed("spectap ap", printed) == {"apis"}
    assert completed("spectap specs re", printed) == {"remove"}
    assert completed("spectap apis --names", printed) == {"--namespace"}
    assert completed("spectap apis -o js", printed) == {"json"}


@pytest.mark.parametrize("shell", SHELLS)
def test_each_script_has_every_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    printed = script(shell, capsys)
    assert [name for name in COMMANDS if name not in printed] == []
