"""The formats of reports: well-formed, complete, and safe with hostile names."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import jsonschema_rs
import pytest

from server.analysis.specs.kinds import Fault
from server.offline.reports import markdown, table
from server.offline.reports.formats import FORMATS
from tests.server.offline.reports.reported import reported

PATHS = ("/pets/a", "/pets/b", "/old", "/nowhere")
SCHEMA = Path(__file__).parents[3] / "data/sarif/sarif-schema-2.1.0.json"


def text(tmp_path: Path, name: str, *paths: str) -> str:
    return "".join(FORMATS[name]([reported(tmp_path, *paths)]))


@pytest.fixture(autouse=True)
def in_the_folder_of_the_specification(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_sarif_is_valid_and_points_into_the_specification(tmp_path: Path) -> None:
    log = json.loads(text(tmp_path, "sarif", *PATHS))
    jsonschema_rs.Draft4Validator(json.loads(SCHEMA.read_text())).validate(log)
    (run,) = log["runs"]
    found = [
        (
            one["ruleId"],
            one["level"],
            one["occurrenceCount"],
            one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
            one["locations"][0]["physicalLocation"]["region"]["startLine"],
        )
        for one in run["results"]
    ]
    assert found == [
        ("unknown-path", "error", 1, "shop.yaml", 3),
        ("type", "warning", 2, "shop.yaml", 8),
        ("zombie", "warning", 1, "shop.yaml", 14),
    ]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == [
        one["ruleId"] for one in run["results"]
    ]


def test_a_fingerprint_outlives_edits_of_the_file(tmp_path: Path) -> None:
    def fingerprints(log: str) -> list[str]:
        return [one["partialFingerprints"]["deviation/v1"] for one in json.loads(log)["runs"][0]["results"]]

    before = fingerprints(text(tmp_path, "sarif", *PATHS))
    after = reported(tmp_path, *reversed(PATHS), text="# moved\n" + (tmp_path / "shop.yaml").read_text())
    assert sorted(fingerprints("".join(FORMATS["sarif"]([after])))) == sorted(before)
    assert len(set(before)) == 3


def test_junit_has_a_case_for_each_operation_and_each_undocumented_call(tmp_path: Path) -> None:
    suite = ElementTree.fromstring(text(tmp_path, "junit", *PATHS).encode())[0]
    assert dict(suite.attrib, name="") == {
        "name": "",
        "tests": "4",
        "failures": "3",
        "errors": "0",
        "skipped": "1",
    }
    told = {case.get("name"): [below.tag for below in case] for case in suite}
    assert told == {
        "GET /nowhere": ["failure"],
        "GET /old": ["failure"],
        "GET /pets/{id}": ["failure"],
        "GET /quiet": ["skipped"],
    }


def test_github_has_an_annotation_for_each_deviation(tmp_path: Path) -> None:
    assert text(tmp_path, "github", "/pets/a", "/nowhere").splitlines() == [
        "::error file=shop.yaml,line=3,title=unknown-path::GET /nowhere:"
        " no such path is described (path), 1 call",
        "::warning file=shop.yaml,line=8,title=type::GET /pets/{id}: not of type string"
        " (response.body /name), 1 call",
        "::notice::2 exchanges: 1 shadow, 1 deviating",
    ]


def test_the_table_names_one_place_of_each_deviation(tmp_path: Path) -> None:
    lines = text(tmp_path, "table", *PATHS).splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["high", "GET", "/nowhere", "unknown-path", "path", "1", "#3", "shop.yaml:3"],
        ["medium", "GET", "/pets/{id}", "type", "response.body", "/name", "2", "#0", "shop.yaml:8"],
        ["medium", "GET", "/old", "zombie", "-", "1", "#2", "shop.yaml:14"],
    ]


def test_json_counts_operations_and_verdicts(tmp_path: Path) -> None:
    document = json.loads(text(tmp_path, "json", *PATHS))
    assert document["verdicts"] == {"shadow": 1, "deviating": 2, "zombie": 1, "unjudged": 0, "conforming": 0}
    assert {one: document["faults"][one] for one in Fault} == {"caller": 0, "server-lax": 0, "server": 3}
    assert [(one["operation"], one["calls"]) for one in document["operations"]] == [
        ("GET /old", 1),
        ("GET /pets/{id}", 2),
    ]


@pytest.mark.parametrize(("name", "bound"), [("table", table.MAX_LINES), ("markdown", markdown.MAX_LINES)])
def test_what_people_read_is_bounded_and_says_so(tmp_path: Path, name: str, bound: int) -> None:
    told = text(tmp_path, name, *(f"/n{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(bound + 7)))
    assert "and 7 more" in told


HOSTILE = "/x\x1b[31m|`<b>@all\r\n::error::%0A]]>\u202e"


@pytest.mark.parametrize("name", FORMATS)
def test_a_hostile_path_is_neither_a_command_nor_markup(tmp_path: Path, name: str) -> None:
    told = text(tmp_path, name, HOSTILE)
    assert not {"\x1b", "\u202e", "\r"} & set(told)
    assert "\n::error::%0A" not in told
    if name == "junit":
        ElementTree.fromstring(told.encode())
    if name == "markdown":
        assert not [markup for markup in ("<b>", "@all") if markup in told]


@pytest.mark.parametrize("name", FORMATS)
def test_a_report_may_be_of_several_specifications(tmp_path: Path, name: str) -> None:
    both = [reported(tmp_path, "/pets/a"), reported(tmp_path, "/nowhere", name="other.yaml")]
    told = "".join(FORMATS[name](both))
    assert told.count("other.yaml") >= 1
    match name:
        case "json":
            assert [one["exchanges"] for one in json.loads(told)] == [1, 1]
        case "sarif":
            log = json.loads(told)
            jsonschema_rs.Draft4Validator(json.loads(SCHEMA.read_text())).validate(log)
            assert [len(run["results"]) for run in log["runs"]] == [1, 1]
        case "junit":
            assert len(ElementTree.fromstring(told.encode())) == 2
        case _:
            assert "GET /nowhere" in told
