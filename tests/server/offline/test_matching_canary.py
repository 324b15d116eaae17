"""No output of `spectap match`, `coverage` and `rebuild` has a secret of the traffic, wherever it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from server import cli
from server.offline.matching import LINES
from server.offline.reports.formats import FORMATS
from tests.e2e.needles import found_in
from tests.har import document, entry
from tests.server.offline.test_matching import SPEC

PASSWORD = "Trombone-Parapet-8814"
TOKEN = "ghp_Zk3mQ9tYb7Wd2LxV5nRc8HfJ4sGp6TaE1uKo"
NEEDLES = {"password": PASSWORD.encode(), "token": TOKEN.encode()}
PET = "http://shop.example/v1/pets"


def traffic() -> bytes:
    """Secrets in every part of a call, of which each deviates from the specification there."""
    headers = {
        "Authorization": f"Bearer {TOKEN}",
        "Cookie": f"sid={PASSWORD}; {TOKEN}=1",
        "X-Api-Key": PASSWORD,
        "User-Agent": f"curl/8 password={PASSWORD}",
        "Referer": f"http://u:{PASSWORD}@shop.example/?token={TOKEN}",
    }
    body = {"password": PASSWORD, TOKEN: 1, "nested": [{"secret": PASSWORD}], "name": TOKEN}
    calls: list[dict[str, Any]] = [
        entry("GET", f"http://u:{PASSWORD}@shop.example/v1/pets/{TOKEN}?{TOKEN}=1&api_key={PASSWORD}"),
        entry(
            "GET", f"{PET}/7?password={PASSWORD}", answer=body, answer_headers={"Set-Cookie": f"s={PASSWORD}"}
        ),
        entry("POST", f"{PET}/7", body=body, answer=body, status=418),
        entry("GET", f"http://shop.example/v1/token/{PASSWORD}/{TOKEN}", answer={"a": TOKEN}),
        entry("DELETE", f"http://shop.example/v1/old?session={PASSWORD}", headers={TOKEN: "1"}),
        entry("GET", f"http://{TOKEN}.shop.example/v1/old"),
    ]
    for call in calls:
        call["request"]["headers"] += [{"name": name, "value": value} for name, value in headers.items()]
    return document(*calls)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """The arguments that every command takes."""
    (tmp_path / "traffic.har").write_bytes(traffic())
    (tmp_path / "openapi.yaml").write_text(SPEC)
    assert len(found_in(NEEDLES, {"traffic": traffic()})) == len(NEEDLES)
    return [str(tmp_path / "traffic.har"), "--key-file", str(tmp_path / "key")]


@pytest.mark.parametrize("output", [LINES, *FORMATS])
def test_no_secret_is_in_what_match_prints(
    output: str, files: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    spec = str(tmp_path / "openapi.yaml")
    assert cli.main(["match", *files, "--spec", spec, "--any-host", "-o", output]) == 2
    out, err = capfd.readouterr()
    assert "/v1/pets" in out
    assert found_in(NEEDLES, {"output": out.encode(), "messages": err.encode()}) == []


@pytest.mark.parametrize("by", ["user_agent", "test", "ip"])
def test_no_secret_is_in_a_coverage_report(
    by: str, files: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    spec = str(tmp_path / "openapi.yaml")
    assert cli.main(["coverage", *files, "--spec", spec, "--any-host", "--by", by, "--json"]) == 0
    out, err = capfd.readouterr()
    assert json.loads(out)
    assert found_in(NEEDLES, {"output": out.encode(), "messages": err.encode()}) == []


def test_no_secret_is_in_a_rebuilt_document(
    files: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["rebuild", *files, "-o", str(tmp_path / "apis")]) == 0
    written = {path.name: path.read_bytes() for path in (tmp_path / "apis").iterdir()}
    assert any(b"/v1/pets" in content for content in written.values())
    messages = capfd.readouterr().err.encode()
    names = {f"name {at}": name.encode() for at, name in enumerate(written)}
    assert found_in(NEEDLES, {**written, **names, "messages": messages}) == []
