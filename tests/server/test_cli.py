"""The command line itself."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import agent.cli
import server.cli

SPECTAP = Path(sys.executable).with_name("spectap")


@pytest.mark.parametrize(("main", "name"), [(server.cli.main, "spectap"), (agent.cli.main, "spectap-agent")])
def test_the_version_is_said(main: object, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert callable(main)
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"{name} {version('spectap')}\n"


def test_a_reader_that_has_enough_ends_a_command_quietly(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    gap = {"operationId": None, "level": "stable", "deprecated": False, "hits": {"2xx": 1}, "watch": {}}
    gap |= {"parameters": {}, "fields": {}, "consumers": {}}
    report.write_text(json.dumps({"operations": [{"operation": f"GET /{n}", **gap} for n in range(5000)]}))
    empty = tmp_path / "empty.json"
    empty.write_text('{"operations": []}')
    words = [str(SPECTAP), "coverage", "--json", "--diff", str(report), str(empty)]
    child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stderr is not None
    child.stdout.read(10)
    child.stdout.close()
    assert child.stderr.read() == b""
    child.stderr.close()
    assert child.wait() in (0, 141)
