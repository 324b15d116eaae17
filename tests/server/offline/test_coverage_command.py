"""The `spectap coverage` command."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from server.cli import main
from tests.har import document, entry
from tests.server.analysis.specs.spec_calls import document as spec_document
from tests.server.analysis.specs.spec_calls import operation, parameter

SHOP = spec_document(
    {
        "/pets/{id}": {
            "get": operation(
                operationId="showPet",
                parameters=[parameter("id", "path", {}), parameter("full", "query", {"type": "boolean"})],
            ),
            "delete": operation(),
        },
        "/v1beta1/pets": {"post": operation(operationId="=addPet")},
        "/old": {"get": operation(deprecated=True)},
    }
)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """--spec, a key and a file with two consumers' traffic."""
    (tmp_path / "spec.json").write_text(json.dumps(SHOP))
    entries = [
        *[entry(headers={"User-Agent": "shop/2"})] * 3,
        entry("DELETE", headers={"User-Agent": "shop/2"}),
        entry(status=404, headers={"User-Agent": "e2e"}),
        entry(url="http://shop.example/admin"),
    ]
    (tmp_path / "a.har").write_bytes(document(*entries))
    return [
        "coverage",
        f"--spec={tmp_path / 'spec.json'}",
        f"--key-file={tmp_path / 'key'}",
        str(tmp_path / "a.har"),
    ]


def test_coverage_counts_the_hosts_of_each_specification(
    tmp_path: Path, files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for name, host in (("shop", "shop.example"), ("other", "other.example")):
        served = {**SHOP, "servers": [{"url": f"https://{host}"}]}
        (tmp_path / f"{name}.json").write_text(json.dumps(served))
    own, other = f"--spec={tmp_path / 'shop.json'}", f"--spec={tmp_path / 'other.json'}"
    assert as_json(capsys, "coverage", own, *files[2:])["exchanges"] == 6
    assert main(["coverage", other, *files[2:]]) == 1
    assert "judge all with --any-host" in capsys.readouterr().err
    assert as_json(capsys, "coverage", other, "--any-host", *files[2:])["exchanges"] == 6


def printed(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> str:
    assert main(list(words)) == status
    return capsys.readouterr().out


def as_json(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    return json.loads(printed(capsys, *words, "--json"))


def test_json_says_what_was_hit(capsys: pytest.CaptureFixture[str], files: list[str]) -> None:
    found = as_json(capsys, *files)
    assert (found["total"], found["hit"], found["percent"], found["exchanges"]) == (3, 2, 66.67, 6)
    shown = next(one for one in found["operations"] if one["operationId"] == "showPet")
    assert shown["hits"] == {"2xx": 3, "4xx": 1}
    assert shown["parameters"] == {"path:id": 4, "query:full": 4}
    assert shown["consumers"]["e2e"] == {"hits": {"4xx": 1}, "watch": {}}
    assert [one["path"] for one in found["unknown"]] == ["/admin"]


def test_csv_has_a_line_an_operation(capsys: pytest.CaptureFixture[str], files: list[str]) -> None:
    rows = list(csv.DictReader(io.StringIO(printed(capsys, *files, "--csv"))))
    assert {row["operation"]: row["calls"] for row in rows} == {
        "GET /pets/{id}": "4",
        "DELETE /pets/{id}": "1",
        "POST /v1beta1/pets": "0",
        "GET /old": "0",
    }


def test_only_accepted_calls_count_if_asked_for(capsys: pytest.CaptureFixture[str], files: list[str]) -> None:
    found = as_json(capsys, *files, "--accepted-only")
    shown = next(one for one in found["operations"] if one["operationId"] == "showPet")
    assert (shown["hits"], [*shown["consumers"]]) == ({"2xx": 3}, ["shop/2"])


def test_keywords_are_counted_and_totalled_if_asked_for(
    capsys: pytest.CaptureFixture[str], files: list[str]
) -> None:
    found = as_json(capsys, *files, "--keywords")
    shown = next(one for one in found["operations"] if one["operationId"] == "showPet")
    assert shown["keywords"] == {"status 200": 3, "value query:full true": 4, "value query:full false": 0}
    assert (found["keywords"]["hit"], found["keywords"]["total"]) == (3, 5)
    assert "keywords: 3 of 5 (60.0%)" in printed(capsys, *files, "--keywords")


def test_lists_choose_consumers_and_leave_operations_out(
    capsys: pytest.CaptureFixture[str], files: list[str], tmp_path: Path
) -> None:
    (tmp_path / "out.yaml").write_text("- endpoint: showPet\n")
    (tmp_path / "who.yaml").write_text("- shop/2\n")
    chosen = (f"--exclude={tmp_path / 'out.yaml'}", f"--consumers-from={tmp_path / 'who.yaml'}")
    found = as_json(capsys, *files, *chosen)
    assert (found["total"], found["hit"], found["excluded"]["hit"]) == (2, 1, 1)
    assert [*found["consumers"]] == ["shop/2"]
    assert main([*files, "--exclude", str(tmp_path / "a.har")]) == 1
    assert "is not a list of names" in capsys.readouterr().err


def test_the_table_says_who_called_and_that_files_do_not_say_what_they_lack(
    capsys: pytest.CaptureFixture[str], files: list[str]
) -> None:
    shown = printed(capsys, *files)
    assert "shop/2 | e2e" in shown
    assert "confidence: unknown, since files" in shown


def test_the_table_shows_totals_and_operations(capsys: pytest.CaptureFixture[str], files: list[str]) -> None:
    shown = printed(capsys, *files)
    assert "66.67" in shown
    assert "GET /pets/{id}" in shown
    assert "GET /old (deprecated)" in shown
    assert "calls not described by the specification: 1" in shown


def test_the_table_shows_each_consumer_with_levels_apart(
    capsys: pytest.CaptureFixture[str], files: list[str]
) -> None:
    lines = [line.split() for line in printed(capsys, *files).splitlines()]
    assert ["consumer", "calls", "called", "%", "with", "2xx", "stable", "beta"] in lines
    assert ["shop/2", "4", "2", "66.67", "2", "2/2", "0/1"] in lines


def test_terminal_commands_in_names_are_not_passed_on(
    capsys: pytest.CaptureFixture[str], files: list[str], tmp_path: Path
) -> None:
    (tmp_path / "a.har").write_bytes(document(entry(url="http://shop.example/x%0d[red]\x1b[31m")))
    assert "\x1b" not in printed(capsys, *files)


def test_one_caller_can_be_looked_at_alone(capsys: pytest.CaptureFixture[str], files: list[str]) -> None:
    found = as_json(capsys, *files, "--consumer", "e2e")
    assert (found["hit"], found["hit_2xx"]) == (1, 0)


def test_what_one_uses_and_another_does_not_test(
    capsys: pytest.CaptureFixture[str], files: list[str]
) -> None:
    words = [*files, "--used-by", "shop/*", "--not-by", "e2e"]
    found = as_json(capsys, *words)
    assert [one["operation"] for one in found["operations"]] == ["DELETE /pets/{id}"]
    assert {one["part"] for one in found["parts"]} == {"2xx"}
    assert "DELETE /pets/{id}" in printed(capsys, *words)


def test_two_reports_can_be_compared(
    capsys: pytest.CaptureFixture[str], files: list[str], tmp_path: Path
) -> None:
    used, tested = tmp_path / "used.json", tmp_path / "tested.json"
    used.write_text(printed(capsys, *files, "--json", "--consumer", "shop/*"))
    tested.write_text(printed(capsys, *files, "--json", "--consumer", "e2e"))
    found = as_json(capsys, "coverage", "--diff", str(used), str(tested))
    assert [one["operation"] for one in found["operations"]] == ["DELETE /pets/{id}"]


def test_the_same_traffic_is_held_against_several_releases(
    capsys: pytest.CaptureFixture[str], files: list[str], tmp_path: Path
) -> None:
    (tmp_path / "next.json").write_text(json.dumps(spec_document({"/admin": {"get": operation()}})))
    old, new = as_json(capsys, *files, f"--spec={tmp_path / 'next.json'}")
    assert (old["total"], new["total"], new["hit"]) == (3, 1, 1)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["file"],
        ["--spec=x"],
        ["--used-by=a", "--spec=x", "file"],
        ["--diff", "a", "b", "file"],
        ["--csv", "--diff", "a", "b"],
        ["--consumer=a", "--used-by=a", "--not-by=b", "--spec=x", "file"],
    ],
)
def test_what_does_not_go_together_is_a_wrong_option(words: list[str]) -> None:
    assert main(["coverage", *words]) == 64


def test_what_cannot_be_read_is_one_sentence(
    capsys: pytest.CaptureFixture[str], files: list[str], tmp_path: Path
) -> None:
    (tmp_path / "spec.json").write_text("{")
    assert main(files) == 1
    assert "line 1" in capsys.readouterr().err
    assert main(["coverage", f"--spec={tmp_path / 'none'}", files[-1]]) == 1
    assert "No such file" in capsys.readouterr().err
    (tmp_path / "spec.json").write_text(json.dumps(SHOP))
    assert main([*files[:-1], str(tmp_path / "none.har")]) == 1
    assert main(["coverage", "--diff", str(tmp_path / "spec.json"), str(tmp_path / "spec.json")]) == 1
    assert "is not a report" in capsys.readouterr().err
