"""The command line itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import agent.cli
import server.cli
from server.commands import COMMANDS

SPECTAP = Path(sys.executable).with_name("spectap")


@pytest.mark.parametrize(("main", "name"), [(server.cli.main, "spectap"), (agent.cli.main, "spectap-agent")])
def test_the_version_is_said(main: object, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert callable(main)
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"{name} {version('spectap')}\n"


ENOUGH = 141  # a shell's status for a program ended by SIGPIPE
ENTRY = {
    "startedDateTime": "2026-01-02T03:04:05Z",
    "time": 1,
    "request": {"method": "GET", "url": "http://shop.test/orders", "httpVersion": "HTTP/1.1", "headers": []},
    "response": {"status": 200, "httpVersion": "HTTP/1.1", "headers": [], "content": {"size": 0}},
}


@pytest.mark.parametrize("command", ["match", "rebuild"])
def test_a_reader_that_has_enough_ends_a_command_quietly(command: str, tmp_path: Path) -> None:
    traffic = tmp_path / "traffic.har"
    traffic.write_text(json.dumps({"log": {"version": "1.2", "entries": [ENTRY]}}))
    ours, theirs = os.pipe()
    os.close(ours)
    words = [str(SPECTAP), command, str(traffic), "--key-file", str(tmp_path / "key")]
    ended = subprocess.run(words, stdout=theirs, stderr=subprocess.PIPE, check=False)
    os.close(theirs)
    assert (ended.stderr, ended.returncode) == (b"", ENOUGH)


SAID = {"full": "No space left on device", "closed": "Bad file descriptor"}


@pytest.mark.parametrize("how", SAID)
@pytest.mark.parametrize("command", ["match", "rebuild", "match --help"])
def test_an_output_that_cannot_be_written_to_is_one_line(command: str, how: str, tmp_path: Path) -> None:
    traffic = tmp_path / "traffic.har"
    traffic.write_text(json.dumps({"log": {"version": "1.2", "entries": [ENTRY]}}))
    words = f"{SPECTAP} {command} {traffic} --key-file {tmp_path / 'key'} "
    redirected = words + (">/dev/full" if how == "full" else ">&-")
    ended = subprocess.run(["sh", "-c", redirected], stderr=subprocess.PIPE, text=True, check=False)
    told = [line for line in ended.stderr.splitlines() if "exchange" not in line]
    assert [line.partition(": ")[2] for line in told] == [f"cannot write the output: {SAID[how]}"]
    assert ended.returncode == 1


@pytest.mark.parametrize("command", ["match", "coverage", "rebuild"])
def test_ctrl_c_ends_a_command_with_one_line_and_leaves_no_file(command: str, tmp_path: Path) -> None:
    pipe, spec, output = tmp_path / "pipe", tmp_path / "spec.json", tmp_path / "output.yaml"
    os.mkfifo(pipe)
    info = {"title": "t", "version": "1"}
    spec.write_text(json.dumps({"openapi": "3.1.0", "info": info, "paths": {}}))
    options = ["-o", str(output)] if command == "rebuild" else ["--spec", str(spec)]
    words = [str(SPECTAP), command, str(pipe), *options, "--key-file", str(tmp_path / "key")]
    child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with pipe.open("wb"):  # it has begun to read
        child.send_signal(signal.SIGINT)
        told = child.communicate()
    assert told == ("", f"spectap {command}: interrupted\n")
    assert child.returncode == 130
    assert {one.name for one in tmp_path.iterdir()} <= {"pipe", "spec.json", "key"}


def test_a_command_imports_no_other() -> None:
    program = "import server.cli, sys; server.cli.main(sys.argv[1:])"
    script = f"import atexit, sys; atexit.register(lambda: print(*sys.modules)); {program}"
    words = [sys.executable, "-c", script, "import", "--help"]
    imported = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    assert "server.offline.importing" in imported
    assert not {"server.offline.matching", "server.analysis.specs.specification", "fastapi"} & {*imported}


@pytest.mark.parametrize("command", [[], *([name] for name in ("apis", "exchanges", "tail", "ledger"))])
def test_help_imports_no_http_client_nor_what_decodes_answers(command: list[str]) -> None:
    program = "import server.cli, sys; server.cli.main(sys.argv[1:])"
    script = f"import atexit, sys; atexit.register(lambda: print(*sys.modules)); {program}"
    words = [sys.executable, "-c", script, *command, "--help"]
    imported = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    assert "server.commands" in imported
    assert not {"httpx", "pydantic", "rich", "yaml"} & {*imported}


def test_every_command_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        server.cli.main(["--help"])
    told = capsys.readouterr().out
    assert [name for name in COMMANDS if f"\n    {name} " not in told] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        server.cli.main([name, "--help"])
    assert end.value.code == 0
    assert f"spectap {name} " in capsys.readouterr().out
