from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from server.config import digest
from tests.server.engine import spec
from tests.server.records import batch, record
from tests.server.running import Client, serving
from tests.server.sql import path_of

INGEST, ADMIN = "ingest-token-0123456789", "admin-token-0123456789"
READS = ["/apis", "/apis/x", "/apis/x/operations", "/apis/x/spec", "/specs", "/exchanges", "/exchanges/x"]
READS += ["/deviations", "/agents", "/ledger"]


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Client]:
    with serving(tmp_path, ingest_token=digest(INGEST), admin_token=digest(ADMIN)) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("path", READS)
def test_reading_needs_the_admin_token(guarded: Client, path: str) -> None:
    answer = guarded.http.get(f"/api/v1{path}")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.json()["title"] == "Unauthorized"
    assert guarded.http.get(f"/api/v1{path}", headers=bearer(INGEST)).status_code == 403
    assert guarded.http.get(f"/api/v1{path}", headers=bearer(ADMIN)).status_code in (200, 404)


def test_delivering_needs_the_ingest_token(guarded: Client) -> None:
    def post(headers: dict[str, str]) -> int:
        return guarded.http.post("/api/v1/records", content=batch(1, [record()]), headers=headers).status_code

    assert [post({}), post(bearer(ADMIN)), post(bearer(INGEST)), post({"Authorization": "Basic eA=="})] == [
        401,
        403,
        200,
        401,
    ]


def test_writing_needs_the_admin_token(guarded: Client) -> None:
    for method, path in (("POST", "/specs?host=x"), ("PUT", "/apis/x/spec")):
        for headers, status in (({}, 401), (bearer(INGEST), 403)):
            answer = guarded.http.request(method, f"/api/v1{path}", content=spec("GET /"), headers=headers)
            assert answer.status_code == status
    assert guarded.http.get("/api/v1/specs", headers=bearer(ADMIN)).json()["items"] == []


def test_who_may_not_ask_is_told_that_before_what_is_wrong_with_the_question(guarded: Client) -> None:
    for headers, status in (({}, 401), (bearer(INGEST), 403), (bearer(ADMIN), 422)):
        assert guarded.http.get("/api/v1/exchanges?nonsense=1", headers=headers).status_code == status


def test_health_and_metrics_are_open(guarded: Client) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/openapi.json"):
        assert guarded.http.get(path).status_code == 200


def test_tokens_are_nowhere_in_the_database(guarded: Client) -> None:
    guarded.http.get("/api/v1/apis", headers=bearer(ADMIN)).raise_for_status()
    written = b"".join(path.read_bytes() for path in path_of(guarded.core.store).parent.iterdir())
    assert ADMIN.encode() not in written


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "", "192.168.0.1"]
)
def test_an_open_server_answers_to_this_machines_names_only(client: Client, host: str) -> None:
    answer = client.http.get("/api/v1/apis", headers={"Host": host})
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("host", ["localhost", "localhost:9999", "127.0.0.1", "[::1]:80", "127.1.2.3"])
def test_this_machines_names_are_welcome(client: Client, host: str) -> None:
    assert client.http.get("/api/v1/apis", headers={"Host": host}).status_code == 200


def test_a_guarded_server_answers_to_any_name(guarded: Client) -> None:
    headers = {"Host": "spectap.example", **bearer(ADMIN)}
    assert guarded.http.get("/api/v1/apis", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://[bad"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://localhost:1", "Sec-Fetch-Site": "same-site"},
    ],
)
def test_other_sites_change_nothing(client: Client, headers: dict[str, str]) -> None:
    for path in ("/specs?host=x", "/records"):
        answer = client.http.post(f"/api/v1{path}", content=spec("GET /"), headers=headers)
        assert answer.status_code == 403
    assert client.items("/specs") == []


def test_pages_of_this_server_may_upload(client: Client) -> None:
    origin = str(client.http.base_url).rstrip("/")
    headers = {"Origin": origin, "Sec-Fetch-Site": "same-origin"}
    answer = client.http.post("/api/v1/specs?host=x", content=spec("GET /"), headers=headers)
    assert answer.status_code == 201
