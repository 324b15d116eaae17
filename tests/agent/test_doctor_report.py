"""The report: one document with a schema, one text, one word, one exit status."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from agent.cli import main
from agent.commands import doctor as command
from agent.commands.doctor import existing
from agent.doctor import report
from agent.doctor.facts import (
    Check,
    CheckState,
    LibraryView,
    Outcome,
    Program,
    Report,
    Sees,
    SelfTest,
    Sight,
    Trial,
)
from agent.doctor.libraries import FOREIGN, MARKED
from agent.doctor.selftest import PROTOCOLS, not_made
from tests.e2e.doctor_schema import SCHEMA, assert_valid

ROOT = Path(__file__).parents[2]
OK = Check("kernel", CheckState.OK, "Linux")
PLAIN = LibraryView("plain", Sight.SEEN, "seen")
GO = LibraryView("go", Sight.DARK, "Go's own TLS is not captured", "watch the other end", "/app/shop")
TESTED = SelfTest(tuple(Trial(name, Outcome.SEEN, True, True, "seen") for name in PROTOCOLS), None, 4.5)


def program(*views: LibraryView, pids: Iterable[int] = (7,)) -> Program:
    return Program(tuple(pids), ("shop",), "/app/shop", "c" * 64, "shop.service", (80, 443), 3, views)


def made(
    *, host: tuple[Check, ...] = (OK,), programs: tuple[Program, ...] = (), test: SelfTest = TESTED
) -> Report:
    return Report("0.1.0", "2026-01-02T03:04:05Z", host, programs, test)


def with_outcomes(*outcomes: Outcome) -> SelfTest:
    trials = tuple(replace(t, outcome=o) for t, o in zip(TESTED.trials, outcomes, strict=True))
    return replace(TESTED, trials=trials)


def check(state: CheckState) -> Check:
    return Check("kernel", state, "something", None if state is CheckState.OK else "something else")


SEEN, PARTLY, UNPARSED, UNSEEN, SKIPPED = Outcome


@pytest.mark.parametrize(
    ("found", "answer"),
    [
        (made(), Sees.ALL),
        (made(programs=(program(PLAIN),)), Sees.ALL),
        (made(host=(OK, check(CheckState.WARNING))), Sees.ALL),
        (made(test=not_made("not requested")), Sees.ALL),
        (made(test=with_outcomes(SEEN, SKIPPED, SEEN)), Sees.ALL),
        (made(host=(OK, check(CheckState.LIMITED))), Sees.SOME),
        (made(host=(OK, check(CheckState.UNKNOWN))), Sees.SOME),
        (made(programs=(program(PLAIN, GO),)), Sees.SOME),
        (made(programs=(program(PLAIN), program(replace(PLAIN, sight=Sight.UNKNOWN, cure="x")))), Sees.SOME),
        (made(test=with_outcomes(SEEN, SEEN, UNPARSED)), Sees.SOME),
        (made(test=with_outcomes(PARTLY, SEEN, SEEN)), Sees.SOME),
        (made(host=(OK, check(CheckState.REFUSED)), programs=(program(PLAIN),)), Sees.NONE),
        (made(programs=(program(GO), program(GO))), Sees.NONE),
        (made(programs=(program(PLAIN),), test=with_outcomes(UNSEEN, UNSEEN, UNPARSED)), Sees.NONE),
    ],
)
def test_the_answer_is_all_some_or_none(found: Report, answer: Sees) -> None:
    assert found.sees is answer
    assert_valid(json.dumps(report.document(found)))


def test_the_exit_status_is_documented() -> None:
    text = (ROOT / "agent/README.md").read_text()
    assert command.EXIT == {Sees.ALL: 0, Sees.SOME: 2, Sees.NONE: 3}
    for status in (*command.EXIT.values(), command.EXIT_STOPPED, 64):
        assert f"\n| {status} | " in text


def enumerated(*path: str) -> set[str]:
    node: Any = SCHEMA
    for key in path:
        node = node[key]
    return set(node["enum"])


def test_the_schema_lists_exactly_what_the_doctor_can_say() -> None:
    assert enumerated("properties", "sees") == set(Sees)
    assert enumerated("$defs", "check", "properties", "state") == set(CheckState)
    assert enumerated("$defs", "trial", "properties", "outcome") == set(Outcome)
    assert enumerated("$defs", "trial", "properties", "protocol") == set(PROTOCOLS)
    assert enumerated("$defs", "view", "properties", "sight") == set(Sight)
    kinds = {library.of for library in FOREIGN} | {of for of, _, _ in MARKED.values()}
    assert enumerated("$defs", "view", "properties", "of") == kinds | {"plain", "openssl", "tls", "process"}
    assert SCHEMA["properties"]["version"]["const"] == report.VERSION


@pytest.mark.parametrize(
    "spoil",
    [
        {"sees": "much"},
        {"version": 2},
        {"surplus": 1},
        {"host": [{"subject": "kernel", "state": "refused", "what": "no", "cure": None}]},
        {"programs": [{"pids": []}]},
    ],
)
def test_the_schema_refuses_what_the_doctor_would_never_say(spoil: dict[str, object]) -> None:
    with pytest.raises(jsonschema_rs.ValidationError):
        assert_valid(json.dumps(report.document(made()) | spoil))


def test_the_text_has_one_line_per_fact_and_the_remedy_on_the_next() -> None:
    lines = list(report.lines(made(programs=(program(PLAIN, GO, pids=range(1, 10)),))))
    at = lines.index("    not captured  go                Go's own TLS is not captured (/app/shop)")
    assert lines[at + 1].strip() == "remedy: watch the other end"
    assert lines[at + 1].index("remedy") == lines[at].index("Go's")
    heading = next(line for line in lines if "/app/shop (shop)" in line)
    assert "pid 1, 2, 3, 4, 5, 6 and 3 more; listening at 80, 443; 3 connections" in heading
    assert all(line.isprintable() for line in lines)


def test_the_text_says_of_every_subject_all_that_the_document_says() -> None:
    test = SelfTest(TESTED.trials, None, 1.0, (("/app/lib.so", "no such thing"),))
    found = replace(made(test=test, programs=(program(GO),)), notes=("5 processes were left out",))
    text = "\n".join(report.lines(found))
    for said in ("Linux", GO.what, "/app/lib.so: no such thing", "5 processes were left out"):
        assert said in text


@pytest.mark.parametrize("pid", ["0", "-1", "x", str(2**31), "٣"])
def test_a_pid_that_cannot_be_is_a_usage_error(pid: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["doctor", "--pid", pid])
    assert end.value.code == 64
    assert "--pid" in capsys.readouterr().err


def test_the_schema_is_part_of_what_is_installed(tmp_path: Path) -> None:
    command_line = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command_line, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as parts:
        assert json.loads(parts.read("agent/doctor/schema.json")) == SCHEMA


def test_connections_that_exist_already_are_said_with_what_restarting_brings() -> None:
    assert list(existing(())) == []
    (said,) = existing((program(), program()))
    assert said.startswith("6 connections exist already")
    assert "restarted" in said
