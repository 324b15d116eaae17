"""Reading files in a child process: it always ends, and memory is bounded."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest

from agent import config
from agent.sources import formats
from server import agent_options, cli
from server.offline import reading
from server.offline.reading import FORMATS, ReadingError
from tests.har import document, entry


def file(tmp_path: Path, *entries: object) -> Path:
    path = tmp_path / "traffic.har"
    path.write_bytes(document(*entries))
    return path


def key(tmp_path: Path) -> list[str]:
    return [f"--key-file={tmp_path / 'key'}"]


def test_files_become_records(tmp_path: Path) -> None:
    path = file(tmp_path, entry(status=200), entry(status=404))
    found = [one.response.status for one in reading.records([path, path], key(tmp_path)) if one.response]
    assert found == [200, 404, 200, 404]


def test_a_file_that_cannot_be_read_is_an_error_after_what_the_agent_says(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ReadingError, match="see the messages of spectap-agent above"):
        list(reading.records([tmp_path], key(tmp_path)))
    assert "Is a directory" in capfd.readouterr().err


def test_the_other_files_are_read_and_each_unreadable_one_is_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    good, bad = file(tmp_path, entry(status=204)), tmp_path / "bad.har"
    bad.write_text("neither")
    files = [tmp_path / "none", good, bad, good, tmp_path / "gone"]
    records = reading.UntilUnreadable(reading.records(files, key(tmp_path)))
    assert [one.response.status for one in records if one.response] == [204, 204]
    assert records.count == 2
    gone = [f"{tmp_path}/{name}: No such file or directory" for name in ("none", "gone")]
    assert str(records.error).split("; ", 2)[:2] == gone
    assert "see the messages of spectap-agent above" in str(records.error)
    assert f"{bad}: unknown format" in capfd.readouterr().err


def test_who_has_enough_leaves_no_child_behind(tmp_path: Path) -> None:
    found = reading.records([file(tmp_path, *[entry(answer={"pad": "x" * 1000})] * 2000)], key(tmp_path))
    next(found)
    found.close()  # the last test fails if the child still runs


def test_a_child_that_is_ended_by_a_signal_is_no_end_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying = (sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGTERM)")
    monkeypatch.setattr(reading, "agent_program", lambda: dying)
    with pytest.raises(ReadingError, match="killed by signal 15"):
        list(reading.records([file(tmp_path)]))


def test_output_that_is_no_record_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "agent_program", lambda: (sys.executable, "-c", "print('nonsense')"))
    with pytest.raises(ReadingError, match="cannot be read"):
        list(reading.records([file(tmp_path)]))


def test_options_reach_the_agent(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    reading.add_options(parser)
    path = str(file(tmp_path, entry(answer={"colour": "red"})))
    parsed = parser.parse_args([path, "--mask", "colour", "--format", "har", *key(tmp_path)])
    (one,) = reading.records(parsed.files, reading.options(parsed))
    assert one.response is not None
    assert one.response.body.data == b'{"colour": "redacted"}'


def test_formats_are_the_agents_and_another_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert set(FORMATS) == set(formats.FORMATS)
    assert agent_options.MAX_BODY_CAP == config.MAX_BODY_CAP
    with pytest.raises(SystemExit) as end:
        cli.main(["import", "file", "--server", "http://x", "--format", "nonsense"])
    assert end.value.code == 64
    assert "invalid choice" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["match"], ["rebuild"], ["import", "--server", "http://127.0.0.1:1"]])
def test_an_input_that_is_not_there_is_one_sentence_with_its_path(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*command, str(tmp_path / "none")]) == 1
    assert capsys.readouterr().err == f"spectap {command[0]}: {tmp_path}/none: No such file or directory\n"
