from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from server.api import delivery
from tests.server.records import record
from tests.server.running import Client, serving

LISTS = ("/api/v1/apis", "/api/v1/exchanges", "/api/v1/deviations", "/openapi.json")
ALL = {"accept-encoding": "gzip"}
PLAIN = {"accept-encoding": "identity"}


@pytest.mark.parametrize(
    "path", [*LISTS, "/healthz", "/readyz", "/metrics", "/exchanges", "/static/spectap.css"]
)
def test_whatever_answers_get_answers_head_alike_and_without_a_body(client: Client, path: str) -> None:
    client.send(record(0))
    got, headed = (client.http.request(method, path, headers=PLAIN) for method in ("GET", "HEAD"))
    assert (headed.status_code, headed.content) == (got.status_code, b"")
    assert headed.headers["content-type"] == got.headers["content-type"]
    assert client.http.head("/api/v1/records").status_code == 405


@pytest.mark.parametrize("path", LISTS)
def test_what_a_client_has_is_not_sent_again_until_it_changes(client: Client, path: str) -> None:
    client.send(record(0))
    first = client.http.get(path)
    known = {"if-none-match": f'"other", {first.headers["etag"]}'}
    again = client.http.get(path, headers=known)
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert client.http.get(path, headers={"if-none-match": '"other"'}).content == first.content
    assert first.headers["cache-control"] == "private, no-cache"


def test_a_list_that_has_changed_is_sent(client: Client) -> None:
    client.send(record(0))
    known = {"if-none-match": client.http.get("/api/v1/exchanges").headers["etag"]}
    client.send(record(1))
    changed = client.http.get("/api/v1/exchanges", headers=known)
    assert (changed.status_code, len(changed.json()["items"])) == (200, 2)


def test_what_is_not_found_has_no_tag(client: Client) -> None:
    assert "etag" not in client.http.get("/api/v1/exchanges/none", headers={"if-none-match": "*"}).headers


def test_answers_to_get_are_compressed_for_those_who_can_read_it(client: Client) -> None:
    client.send(*[record(n) for n in range(20)])
    plain = client.http.get("/api/v1/exchanges", headers=PLAIN)
    with client.http.stream("GET", "/api/v1/exchanges", headers=ALL) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(raw) == plain.content
    assert len(raw) < len(plain.content) / 5
    assert "accept-encoding" in answer.headers["vary"].lower()


def test_answers_with_a_secret_are_not_compressed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "SMALLEST", 1)
    with serving(tmp_path) as client:
        made = client.http.post("/api/v1/tokens", json={"name": "east", "cluster": "east"}, headers=ALL)
        assert (made.status_code, "content-encoding" in made.headers) == (201, False)
        assert "content-encoding" in client.http.get("/api/v1/tokens", headers=ALL).headers


def test_a_decision_with_a_number_that_cannot_be_is_not_found(client: Client) -> None:
    client.send(record(0))
    api = client.items("/apis")[0]["id"]
    for number in (0, -1, 2**63, 10**30):
        gone = client.http.delete(f"/api/v1/apis/{api}/decisions/{number}")
        assert gone.status_code == 404, number
