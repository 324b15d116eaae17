"""`spectap match`: its lines, summary and exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from server import cli
from server.analysis.specs.load import load
from server.offline import reading
from server.offline.judged_call import JudgedCall
from server.offline.reports.formats import FORMATS
from server.offline.reports.locations import SpecFile, SpecReport
from server.offline.reports.report import MatchReport
from tests.har import document, entry

SPEC = """
openapi: 3.0.3
info: {title: shop, version: '1'}
servers: [{url: https://shop.example/v1}]
paths:
  /pets/{id}:
    get:
      parameters: [{name: id, in: path, required: true, schema: {type: integer}}]
      responses:
        '200':
          description: ok
          content:
            application/json: {schema: {type: object, properties: {name: {type: string}}}}
  /old: {get: {deprecated: true, responses: {'200': {description: ok}}}}
"""
PET = "http://shop.example/v1/pets/7"


def matched(tmp_path: Path, *entries: Any, options: tuple[str, ...] = (), spec: str | None = SPEC) -> int:
    har = tmp_path / "traffic.har"
    har.write_bytes(document(*entries))
    arguments = ["match", *options, str(har), "--key-file", str(tmp_path / "key")]
    if spec is not None:
        (tmp_path / "openapi.yaml").write_text(spec)
        arguments += ["--spec", str(tmp_path / "openapi.yaml")]
    return cli.main(arguments)


def printed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_line_says_what_was_found_of_an_exchange(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = matched(
        tmp_path,
        entry(url=PET, answer={"name": "Bo"}),
        entry(url=PET, answer={"name": 7}),
        entry(url="http://shop.example/v1/old"),
        entry(url="http://shop.example/v1/secret"),
    )
    assert found == 2
    lines = printed(capsys)
    assert lines[1] == {
        "i": 1,
        "method": "GET",
        "path": "/v1/pets/7",
        "host": "shop.example",
        "operation": "GET /v1/pets/{id}",
        "deprecated": False,
        "verdict": "deviating",
        "fault": "server",
        "why": None,
        "deviations": [
            {
                "kind": "type",
                "where": "response.body",
                "pointer": "/name",
                "message": "not of type string",
                "severity": "medium",
            }
        ],
    }
    assert [(line["i"], line["verdict"], line["deprecated"]) for line in lines] == [
        (0, "conforming", False),
        (1, "deviating", False),
        (2, "zombie", True),
        (3, "shadow", False),
    ]
    assert lines[3]["operation"] is None


@pytest.mark.parametrize(
    ("entries", "status"),
    [
        ([entry(url=PET, answer={})], 0),
        ([entry(url=PET, answer={}, status=404)], 2),
        ([entry(url="http://shop.example/v1/old")], 2),
        ([], 0),
    ],
)
def test_the_exit_status_is_2_where_anything_was_found(tmp_path: Path, entries: Any, status: int) -> None:
    assert matched(tmp_path, *entries) == status


def test_without_a_specification_there_is_no_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert matched(tmp_path, entry(url=PET, answer={"name": 7}), spec=None) == 0
    (line,) = printed(capsys)
    assert (line["verdict"], line["operation"], line["deprecated"], line["deviations"]) == (
        None, None, False, [],
    )  # fmt: skip


def test_exchanges_of_several_files_are_counted_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.har"
    other.write_bytes(document(entry(url=PET, answer={}), entry(url=PET, answer={})))
    assert matched(tmp_path, entry(url=PET, answer={}), options=(str(other),)) == 0
    out, err = capsys.readouterr()
    assert [json.loads(line)["i"] for line in out.splitlines()] == [0, 1, 2]
    assert err.splitlines()[-1] == "3 exchanges: 3 conforming"


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ((), 2),
        (("--unknown-fields", "ignore", "--ignore-parameter", "utm_*"), 0),
        (("--ignore-field", "x-*", "--unknown-parameters", "ignore"), 0),
        (("--unknown-fields", "ignore"), 2),
    ],
)
def test_what_is_not_described_is_told_or_not(tmp_path: Path, options: Any, status: int) -> None:
    assert matched(tmp_path, entry(url=PET + "?utm_s=1", answer={"x-a": 1}), options=options) == status


def test_a_folder_holds_a_specification_over_several_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "spec"
    (folder / "schemas").mkdir(parents=True)
    inline = "{type: object, properties: {name: {type: string}}}"
    (folder / "openapi.yaml").write_text(SPEC.replace(inline, "{$ref: schemas/Pet.yaml}"))
    (folder / "schemas/Pet.yaml").write_text(f"allOf: [{inline}]")
    options = ("--spec", str(folder))
    assert matched(tmp_path, entry(url=PET, answer={"name": 7}), options=options, spec=None) == 2
    assert printed(capsys)[0]["deviations"][0]["pointer"] == "/name"


def test_a_folder_holds_several_documents_and_a_line_names_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "specs"
    (folder / "orders").mkdir(parents=True)
    (folder / "pets.yaml").write_text(SPEC)
    (folder / "orders/swagger.json").write_text(
        '{"swagger":"2.0","info":{"title":"o","version":"1"},"host":"orders.example",'
        '"paths":{"/orders":{"get":{"responses":{"200":{"description":"ok"}}}}}}'
    )
    (folder / "values.yaml").write_text("replicas: 3")
    entries = [
        entry(url=PET, answer={}),
        entry(url="http://orders.example/orders"),
        entry(url="http://x.example/"),
    ]
    assert matched(tmp_path, *entries, options=("--spec", str(folder)), spec=None) == 0
    out, err = capsys.readouterr()
    lines = [json.loads(line) for line in out.splitlines()]
    assert [(line["i"], line["spec"], line["operation"]) for line in lines] == [
        (0, str(folder / "pets.yaml"), "GET /v1/pets/{id}"),
        (1, str(folder / "orders"), "GET /orders"),
    ]
    assert err.splitlines()[-1] == (
        "2 exchanges: 2 conforming; 1 of other hosts left out (x.example 1):"
        " --host HOST or --any-host judges them"
    )
    several = ("--spec", str(folder), "-o")
    assert (
        matched(
            tmp_path,
            *entries[:2],
            entry(url=PET, answer={"name": 7}),
            options=(*several, "markdown"),
            spec=None,
        )
        == 2
    )
    assert capsys.readouterr().out.count(" (pets.yaml)") == 1
    matched(tmp_path, *entries, options=(*several, "sarif"), spec=None)
    runs = json.loads(capsys.readouterr().out)["runs"]
    assert [run["properties"]["exchanges"] for run in runs] == [1, 1]


def test_nothing_judged_for_its_host_is_an_error_not_a_success(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    staging = entry(url="http://staging.example/v1/pets/7", answer={})
    assert matched(tmp_path, staging) == 1
    assert "spectap match: no exchange is of a host" in capsys.readouterr().err
    assert matched(tmp_path, staging, options=("--host", "staging.example")) == 0
    assert matched(tmp_path, staging, options=("--any-host",)) == 0
    assert matched(tmp_path, staging, entry(url=PET), options=("--host", "staging.example"), spec=None) == 0
    assert "1 exchange; 1 of other hosts left out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("spec", "said"),
    [("openapi: 3.0.3\ninfo: [", "line 3"), ("openapi: 9.0\ninfo: {}", "/openapi"), ("{", "line 1")],
)
def test_a_bad_specification_is_an_error_that_says_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], spec: str, said: str
) -> None:
    assert matched(tmp_path, entry(url=PET), spec=spec) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert "openapi.yaml" in err


def test_files_that_are_not_there_are_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert matched(tmp_path, spec=None, options=("--spec", str(tmp_path / "none.yaml"))) == 1
    assert "No such file" in capsys.readouterr().err
    assert matched(tmp_path, spec=None, options=("--spec", str(tmp_path))) == 1
    assert matched(tmp_path, spec=None, options=(str(tmp_path / "none.har"),)) == 1


def test_a_base_path_replaces_that_of_the_servers_and_keeps_their_hosts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = [
        entry(url=f"http://{host}/v2/pets/7", answer={"name": "Bo"})
        for host in ("shop.example", "other.example")
    ]
    assert matched(tmp_path, *calls, options=("--base-path", "/v2")) == 0
    assert [line["verdict"] for line in printed(capsys)] == ["conforming"]


@pytest.mark.parametrize("asked", ["openapi.yaml", ""])
def test_a_linked_specification_is_read_with_the_files_beside_the_real_one(
    tmp_path: Path, asked: str
) -> None:
    real, linked = tmp_path / "real", tmp_path / "linked"
    real.mkdir()
    linked.mkdir()
    (real / "openapi.yaml").write_text(SPEC.replace("{type: integer}", "{$ref: id.yaml}"))
    (real / "id.yaml").write_text("type: integer\n")
    (linked / "openapi.yaml").symlink_to(real / "openapi.yaml")
    options = ("--spec", str(linked / asked))
    assert matched(tmp_path, entry(url=PET, answer={"name": "Bo"}), spec=None, options=options) == 0
    assert matched(tmp_path, entry(url=PET), spec=None, options=(*options, "--spec-root", str(linked))) == 1


def test_a_pipe_is_no_specification_and_no_file_of_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert matched(tmp_path, spec=SPEC.replace("{type: integer}", "{$ref: pipe}")) == 1
    assert "pipe: no regular file" in capsys.readouterr().err
    assert matched(tmp_path, spec=None, options=("--spec", str(tmp_path / "pipe"))) == 1
    assert "pipe is no regular file" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        *(["match"], ["match", "--unknown-fields", "x", "f"], ["match", "--spec", "", "f"], ["match", ""]),
        *(["match", "--host", "", "f"], ["match", "--mask", "", "f"], ["match", "--body-cap", "-1", "f"]),
        *(["rebuild", "--body-cap", "99999999", "f"], ["rebuild", "--keep", " ", "f"]),
        *(["coverage", "--spec", "", "f"], ["rebuild", "--spec", "", "f"], ["rebuild", "--host", "", "f"]),
        *(
            ["try", "f", "--server", "http://h", *more]
            for more in (["--exchanges", "0"], ["--base-path", "x"])
        ),
        ["match", "--base-path", "v1", "f"],
    ],
)
def test_wrong_usage_exits_64(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    assert end.value.code == 64


def test_a_reader_that_has_enough_is_no_defect(tmp_path: Path) -> None:
    har = tmp_path / "traffic.har"
    har.write_bytes(document(*[entry(url=PET, answer={"pad": "x" * 500})] * 3000))
    command = [sys.executable, "-m", "server", "match", str(har), "--key-file", str(tmp_path / "key")]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline()
    child.stdout.close()
    assert child.stderr is not None
    assert b"Traceback" not in child.stderr.read()
    child.stderr.close()
    assert child.wait() == 141


def test_what_of_the_specification_is_not_judged_is_told_once_on_standard_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = SPEC.replace("{type: string}", "{type: string, pattern: '(?=x)'}")
    matched(tmp_path, entry("GET", PET), entry("GET", PET), spec=spec)
    told = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert len(told) == 1
    assert told[0].startswith(f"{tmp_path / 'openapi.yaml'}:10: warning: /paths/~1pets~1{{id}}/get")
    many = "".join(f"p{n}: {{pattern: '(?={n})'}}, " for n in range(30))
    matched(tmp_path, spec=SPEC.replace("{name:", "{" + many + "name:"))
    told = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert (len(told), told[-1]) == (21, f"{tmp_path / 'openapi.yaml'}: warning: and 10 more")


@pytest.mark.parametrize("name", ["table", "sarif"])
def test_a_report_replaces_the_lines_and_has_the_same_exit_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert matched(tmp_path, entry(url=PET, answer={"name": 7}), options=("-o", name)) == 2
    out, err = capsys.readouterr()
    assert "GET /v1/pets/" in out.replace("\\", "")
    assert '"i": 0' not in out
    assert err.splitlines()[-1] == "1 exchange: 1 deviating"


def test_a_report_needs_a_specification(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="64"):
        matched(tmp_path, entry(url=PET), options=("-o", "sarif"), spec=None)
    assert "-o sarif needs --spec" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("said", "status"),
    [("shadow", 0), ("deviating", 2), ("severity=high", 0), ("severity=medium", 2), ("none", 0)],
)
def test_what_fails_is_chosen(tmp_path: Path, said: str, status: int) -> None:
    options = ("--fail-on", said)
    assert matched(tmp_path, entry(url=PET, answer={"name": 7}), options=options) == status


def test_an_unknown_word_of_fail_on_is_a_usage_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="64"):
        matched(tmp_path, entry(url=PET), options=("--fail-on", "shadows"))
    assert "'shadows' is none of shadow, deviating" in capsys.readouterr().err


SECRET = "Quagmire7Bassoon4Zeppelin9Fjord"
CARRIERS = (
    entry(url=f"{PET}?api_key={SECRET}", answer={"name": 1, "password": SECRET}),
    entry(
        url=PET, headers={"Authorization": f"Bearer {SECRET}", "Cookie": f"s={SECRET}"}, answer={"name": 2}
    ),
    entry(url=f"http://shop.example/v1/token/{SECRET}"),
    entry("POST", PET, body={"password": SECRET, "nested": {"token": [SECRET]}}),
    entry(url=f"http://u:{SECRET}@shop.example/v1/secret"),
    entry(url=PET, answer={"name": 3}, answer_headers={"Set-Cookie": f"session={SECRET}"}),
)


def test_no_output_holds_a_secret(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert matched(tmp_path, *CARRIERS, options=("--json",)) == 2
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == len(CARRIERS)
    har, key = tmp_path / "traffic.har", tmp_path / "key"
    specification, report, names = load(SPEC.encode()), MatchReport(), reading.unmasked().names
    for i, record in enumerate(reading.records([har], [f"--key-file={key}"])):
        report.add(JudgedCall(i, record, specification.match(record), names))
    file = SpecFile(tmp_path / "openapi.yaml", specification)
    printed = {name: "".join(write([SpecReport(report, file)])) for name, write in FORMATS.items()}
    assert {name for name, text in printed.items() if "token" in text} == FORMATS.keys()
    assert [name for name, text in {**printed, "lines": out + err}.items() if SECRET in text] == []


def test_a_file_that_cannot_be_read_does_not_hide_what_is_found_in_the_others(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    gone = str(tmp_path / "gone.har")
    found = matched(tmp_path, entry(url=PET, answer={"name": 7}), options=("-o", "jsonl", gone))
    out, err = capfd.readouterr()
    assert found == 1
    assert json.loads(out)["verdict"] == "deviating"
    assert err == f"1 exchange: 1 deviating\nspectap match: {gone}: No such file or directory\n"


def test_names_of_traffic_are_no_commands_for_terminals_or_runners(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hostile = "http://a\n::stop-commands::tok\x1b[31m\u202e/##[add-mask]x"
    assert matched(tmp_path, entry(url=PET), entry(url=hostile), entry(url=f"{PET}?##[add-mask]e=1")) in (
        0,
        1,
        2,
    )
    out, err = capsys.readouterr()
    assert "\n::stop" not in out + err
    assert not [char for char in ("\x1b", "\u202e") if char in out + err]
