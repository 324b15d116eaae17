"""`spectap import` with a real server: everything once, however often it is repeated."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.wire import pack_record
from server import cli
from server.client.connection import Remote
from server.client.errors import SpectapError
from server.config import digest
from server.offline import importing
from server.offline.importing import BATCH_RECORDS, epoch_of, send
from server.offline.reading import packed_records
from tests.har import document, entry
from tests.server.records import record
from tests.server.running import Client, serving
from tests.server.sql import drop_oldest

AUDIT_LOG = Path(__file__).parents[2] / "data/audit/kube-apiserver.jsonl"


def har(tmp_path: Path, count: int, name: str = "traffic.har") -> Path:
    path = tmp_path / name
    path.write_bytes(document(*[entry(url=f"http://shop.example/pets/{i}") for i in range(count)]))
    return path


def imported(client: Client, tmp_path: Path, *files: Path, options: tuple[str, ...] = ()) -> int:
    url = str(client.http.base_url)
    arguments = [*map(str, files), "--server", url, "--key-file", str(tmp_path / "key"), *options]
    return cli.main(["import", "--json", *arguments])


def counts(capsys: pytest.CaptureFixture[str]) -> dict[str, int]:
    found: dict[str, int] = json.loads(capsys.readouterr().out)
    return found


def test_a_file_is_imported_and_a_second_time_adds_nothing(
    client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = har(tmp_path, BATCH_RECORDS + 7)
    assert imported(client, tmp_path, path) == 0
    assert counts(capsys) == {"records": 207, "new": 207, "known": 0}
    assert len(client.items("/exchanges")) == 207
    before = client.items("/apis")
    assert imported(client, tmp_path, path) == 0
    assert counts(capsys) == {"records": 207, "new": 0, "known": 207}
    assert client.items("/apis") == before


def test_what_retention_took_is_not_counted_again(
    client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = har(tmp_path, 3)
    imported(client, tmp_path, path)
    assert drop_oldest(client.core.store, 500) == 3
    capsys.readouterr()
    imported(client, tmp_path, path)
    assert counts(capsys)["new"] == 0
    (operation,) = client.operations().values()
    assert operation["statuses"] == {"200": 3}


def test_a_file_of_years_ago_is_kept_as_what_was_captured_now(
    client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "traffic.har"
    path.write_bytes(document(entry(started="2020-01-01T00:00:00Z")))
    assert imported(client, tmp_path, path) == 0
    assert capsys.readouterr().err == ""
    assert client.core.jobs.enforce_retention() == 0
    (kept,) = client.items("/exchanges", until="2020-01-02T00:00:00Z")
    assert kept["time"].startswith("2020-01-01T00:00:00")
    assert client.items("/exchanges", since="2020-01-02T00:00:00Z") == []


def test_of_a_file_that_grew_only_the_rest_is_new(
    client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "audit.log"
    lines = AUDIT_LOG.read_bytes().splitlines(True)
    log.write_bytes(b"".join(lines[:10]))
    imported(client, tmp_path, log)
    first = counts(capsys)["new"]
    log.write_bytes(b"".join(lines))
    imported(client, tmp_path, log)
    assert counts(capsys) == {"records": 18, "new": 18 - first, "known": first}


def test_an_import_that_broke_off_goes_on_where_it_did(client: Client, tmp_path: Path) -> None:
    path = har(tmp_path, BATCH_RECORDS + 7)
    options = [f"--key-file={tmp_path / 'key'}"]
    epoch = epoch_of([path], options)

    class Cut(Exception):
        pass

    def cut() -> Iterator[bytes]:
        for number, one in enumerate(packed_records([path], options)):
            if number == BATCH_RECORDS + 3:
                raise Cut
            yield one

    with Remote(str(client.http.base_url), None) as server:
        with pytest.raises(Cut):
            send(cut(), epoch, server)
        assert len(client.items("/exchanges")) == BATCH_RECORDS
        found = send(packed_records([path], options), epoch, server)
    assert (found.records, found.new) == (207, 7)


def test_all_that_was_imported_is_shown_at_the_end(client: Client) -> None:
    with Remote(str(client.http.base_url), None) as server:
        found = send(
            [pack_record(record(n, "client", port=40_000 + n)) for n in range(BATCH_RECORDS + 1)],
            "epoch",
            server,
        )
    assert len(client.items("/exchanges")) == found.new == BATCH_RECORDS + 1


def test_a_token_is_needed_where_the_server_has_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token = tmp_path / "token"
    token.write_text("t" * 32)
    path = har(tmp_path, 1)
    with serving(tmp_path / "data", ingest_token=digest("t" * 32), admin_token=digest("a" * 32)) as client:
        assert imported(client, tmp_path, path) == 1
        assert "rejected the request: give --token-file with a valid token" in capsys.readouterr().err
        assert imported(client, tmp_path, path, options=("--token-file", str(token))) == 0
        assert counts(capsys)["new"] == 1


def test_no_server_is_one_sentence(tmp_path: Path) -> None:
    with (
        Remote("http://127.0.0.1:9", None, patience_s=0) as server,
        pytest.raises(SpectapError, match="cannot be reached"),
    ):
        server.send("POST", "/records")


@pytest.mark.parametrize("url", ["ftp://x", "nonsense", "http://"])
def test_an_address_that_is_none_is_a_usage_error(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["import", str(har(tmp_path, 1)), "--server", url]) == importing.EXIT_USAGE
    assert "--server takes" in capsys.readouterr().err


def test_a_missing_file_holds_up_no_other(
    client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "missing"
    assert imported(client, tmp_path, missing, har(tmp_path, 3)) == 1
    said = capsys.readouterr()
    assert json.loads(said.out) == {"records": 3, "new": 3, "known": 0}
    assert said.err == f"spectap import: {missing}: No such file or directory\n"
    assert len(client.items("/exchanges")) == 3


def test_a_missing_file_is_one_sentence(
    client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert imported(client, tmp_path, tmp_path / "missing") == 1
    assert "No such file" in capsys.readouterr().err
