"""`spectap ledger` with a real server."""

from __future__ import annotations

import csv
import io
import json

import pytest
from msgspec.structs import replace

from server import cli
from server.client.models import Balance
from server.offline.lists.ledger import sentence
from tests.server.records import batch, both
from tests.server.running import Client


@pytest.fixture
def delivered(client: Client, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A server with a call of each of two clusters."""
    monkeypatch.setenv("SPECTAP_SERVER", str(client.http.base_url))
    for cluster in ("east", "west"):
        views = [replace(one, cluster=cluster, id=f"{cluster} {one.id}") for one in both()]
        client.http.post("/api/v1/records", content=batch(1, views, cluster)).raise_for_status()
    return client


def test_each_bucket_is_a_row_and_json_is_the_apis(
    delivered: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["ledger", "-o", "csv"]) == 0
    rows = [*csv.DictReader(io.StringIO(capsys.readouterr().out))]
    found = delivered.get("/ledger")
    expected = {**found["agents"], "server": found["server"]}
    assert {(row["ledger"], row["bucket"]): int(row["count"]) for row in rows} == {
        (ledger, bucket): count for ledger, buckets in expected.items() for bucket, count in buckets.items()
    }
    assert cli.main(["ledger", "-o", "json", "--cluster", "east"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["server"] == delivered.get("/ledger", cluster="east")["server"] != found["server"]


def test_whether_it_balances_is_said_beside_it(delivered: Client, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["ledger"]) == 0
    err = capsys.readouterr().err
    assert {line.partition(": ")[0] for line in err.splitlines()} == {"bytes", "exchanges", "delivery"}


@pytest.mark.parametrize(
    ("balance", "text"),
    [
        (Balance(5, 5, 0, 0, []), "5, balanced"),
        (Balance(5, 3, 2, 0, []), "3 of 5 settled, 2 open"),
        (Balance(5, 7, 0, 2, []), "7 settled, 2 beyond the last reported total"),
    ],
)
def test_a_balance_is_one_sentence(balance: Balance, text: str) -> None:
    assert sentence(balance) == text
