"""Lists as CSV and HAR: first of all that no secret leaves the server by them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from server import cli
from server.api import downloads
from tests.e2e.needles import found_in
from tests.server.engine import spec
from tests.server.offline.test_matching_canary import NEEDLES, traffic
from tests.server.records import record
from tests.server.running import Client

LISTS = ("apis", "operations", "deviations", "exchanges", "consumers")


def rows(client: Client, path: str, **asked: str) -> list[dict[str, str]]:
    answer = client.http.get(f"/api/v1/{path}", params={"format": "csv", **asked})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8"), (
        answer.text
    )
    return [*csv.DictReader(io.StringIO(answer.text))]


@pytest.fixture
def imported(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A server with traffic that has secrets in every part."""
    (tmp_path / "traffic.har").write_bytes(traffic())
    raw = spec("GET /v1/pets/{id}", "POST /v1/pets/{id}")
    client.http.post("/api/v1/specs", params={"host": "shop.example"}, content=raw).raise_for_status()
    assert cli.main(["import", str(tmp_path / "traffic.har"), "--server", str(client.http.base_url)]) == 0
    client.settle()
    return client


def test_no_secret_is_in_any_format_of_any_list(imported: Client) -> None:
    asked = [(name, format) for name in LISTS for format in ("json", "csv")]
    found = {}
    for name, format in [*asked, ("exchanges", "har")]:
        answer = imported.http.get(f"/api/v1/{name}", params={"format": format, "limit": 500})
        assert answer.status_code == 200
        found[f"{name}.{format}"] = answer.content
    consumer = imported.items("/consumers")[0]["id"]
    found["operations of a consumer"] = imported.http.get(
        f"/api/v1/consumers/{consumer}/operations?format=csv"
    ).content
    assert b"shop.example" in found["exchanges.csv"]
    assert b"shop.example" in found["exchanges.har"]
    assert found_in(NEEDLES, found) == []


@pytest.mark.parametrize("name", LISTS)
def test_csv_has_a_row_for_each_item_and_the_same_filters(imported: Client, name: str) -> None:
    items = imported.items(f"/{name}")
    assert len(rows(imported, name)) == len(items) > 0
    assert rows(imported, name, q="nowhere-to-be-found") == []
    assert [row.get("id") for row in rows(imported, name)] == [one["id"] for one in items]


def test_csv_is_also_what_a_client_that_prefers_it_gets(client: Client) -> None:
    client.send(record(0))
    for accepted, kind in (("text/csv", "text/csv"), ("application/json, text/csv", "application/json")):
        answer = client.http.get("/api/v1/exchanges", headers={"accept": accepted})
        assert answer.headers["content-type"].startswith(kind)


def test_text_that_a_spreadsheet_would_run_is_quoted(client: Client) -> None:
    client.send(record(0, path='=HYPERLINK("http://x")', host=b"@x"))
    (row,) = rows(client, "exchanges")
    assert (row["path"], row["host"]) == ('\'=HYPERLINK("http://x")', "'@x")


def test_har_is_that_of_the_export(client: Client, tmp_path: Path) -> None:
    client.send(*[record(n, path=f"/{n}") for n in range(3)])
    path = tmp_path / "out.har"
    assert cli.main(["export", "--server", str(client.http.base_url), "-o", str(path)]) == 0
    answer = client.http.get("/api/v1/exchanges?format=har")
    assert answer.json() == json.loads(path.read_text())
    assert "exchanges.har" in answer.headers["content-disposition"]


def test_a_file_that_has_not_all_says_so(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "MAX_ROWS", 2)
    client.send(*[record(n, path=f"/{n}") for n in range(3)])
    found = rows(client, "exchanges")
    assert (len(found), found[2]["id"]) == (3, downloads.MORE)
    log = client.http.get("/api/v1/exchanges?format=har").json()["log"]
    assert (len(log["entries"]), log["comment"]) == (2, downloads.MORE)
    monkeypatch.setattr(downloads, "MAX_ROWS", 3)
    assert len(rows(client, "exchanges")) == 3
    assert "comment" not in client.http.get("/api/v1/exchanges?format=har").json()["log"]


def test_other_formats_are_refused(client: Client) -> None:
    assert client.http.get("/api/v1/apis?format=har").status_code == 422
    assert client.http.get("/api/v1/exchanges?format=xml").status_code == 422
    assert client.http.get("/api/v1/consumers/none/operations?format=csv").status_code == 404
