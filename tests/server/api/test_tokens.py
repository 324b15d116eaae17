"""Tokens of clusters over HTTP: who may do what with them, and where their secrets are not."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from agent.wire import Record, pack_batch, pack_record
from server.config import digest
from tests.server.records import record
from tests.server.running import Client, serving
from tests.server.sql import path_of

INGEST, ADMIN = "ingest-token-0123456789", "admin-token-0123456789"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Client]:
    """The client has the admin token."""
    with serving(tmp_path, ingest_token=digest(INGEST), admin_token=digest(ADMIN)) as client:
        client.http.headers.update(bearer(ADMIN))
        yield client


def created(client: Client, cluster: str, name: str | None = None) -> dict[str, Any]:
    answer = client.http.post(
        "/api/v1/tokens", json={"name": name or f"agents of {cluster}", "cluster": cluster}
    )
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store"), answer.text
    found: dict[str, Any] = answer.json()
    return found


def deliver(client: Client, secret: str, *records: Record, cluster: str | None = None) -> httpx.Response:
    client.seq += 1
    packed = [pack_record(one) for one in records]
    content = pack_batch("agent-1", "epoch-1", client.seq, {}, packed, cluster=cluster)
    return client.http.post("/api/v1/records", content=content, headers=bearer(secret))


def of(cluster: str | None, ordinal: int = 0) -> Record:
    return replace(record(ordinal), cluster=cluster)


def test_no_secret_is_in_the_database_the_log_or_any_other_answer(
    guarded: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    made = created(guarded, "east")
    first = made["secret"]
    rotated = guarded.http.post(f"/api/v1/tokens/{made['id']}/rotate", json={"grace_s": 60}).json()
    secrets = [first, rotated["secret"]]
    answers = [deliver(guarded, secret, of("east", n)) for n, secret in enumerate(secrets)]
    answers += [deliver(guarded, secret, of("west", n + 7)) for n, secret in enumerate(secrets)]
    answers += [deliver(guarded, f"{first}x"), guarded.http.post("/api/v1/tokens", json={"name": first})]
    answers += [
        guarded.http.get(f"/api/v1{path}") for path in ("/tokens", "/agents", "/exchanges", "/ledger")
    ]
    answers += [guarded.http.get("/api/v1/apis", headers=bearer(first)), guarded.http.get("/metrics")]
    answers += [guarded.http.post(f"/api/v1/tokens/{first}/rotate", json={})]
    answers += [guarded.http.delete(f"/api/v1/tokens/{made['id']}"), deliver(guarded, first)]
    statuses = [200, 200, 403, 403, 403, 422, 200, 200, 200, 200, 403, 200, 404, 204, 403]
    assert [one.status_code for one in answers] == statuses
    written = b"".join(path.read_bytes() for path in path_of(guarded.core.store).parent.iterdir())
    logged = [one.getMessage() for one in caplog.records if one.name.startswith("server")]
    told = "\n".join([*logged, *(f"{one.text}{one.headers}" for one in answers)])
    for secret in secrets:
        random = secret.split("_", 2)[2]
        assert random.encode() not in written
        assert random not in told
    assert made["id"] in told  # what is looked through is what was said


def test_a_batch_of_the_tokens_cluster_is_taken_and_one_that_names_none_becomes_that_clusters(
    guarded: Client,
) -> None:
    secret = created(guarded, "east")["secret"]
    for n, cluster in enumerate(("east", None)):
        assert deliver(guarded, secret, of(cluster, n)).status_code == 200
    guarded.settle()
    assert [one["cluster"] for one in guarded.items("/apis")] == ["east"]
    views = [view for one in guarded.items("/exchanges") for view in one["witnesses"]]
    assert [view["cluster"] for view in views] == ["east", "east"]
    assert [one["cluster"] for one in guarded.items("/agents")] == ["east"]


def test_a_batch_of_another_cluster_is_refused_whole_and_says_why(guarded: Client) -> None:
    secret = created(guarded, "east")["secret"]
    refused = [
        deliver(guarded, secret, of("east", 0), of("west", 1)),
        deliver(guarded, secret, cluster="west"),
    ]
    for answer in refused:
        assert answer.status_code == HTTPStatus.FORBIDDEN
        assert answer.headers["content-type"] == "application/problem+json"
        assert "of the cluster 'east', and the batch names another one" in answer.json()["detail"]
    guarded.settle()
    assert guarded.items("/exchanges") == guarded.items("/agents") == []
    assert deliver(guarded, secret, of("east", 0)).status_code == 200


def test_what_one_cluster_sends_makes_nothing_of_another_a_duplicate(guarded: Client) -> None:
    secrets = [created(guarded, cluster)["secret"] for cluster in ("east", "west")]
    packed = [pack_record(of(None))]

    def stored(secret: str, seq: int, epoch: str = "epoch-1") -> str:
        content = pack_batch("agent-1", epoch, seq, {}, packed)
        answer = guarded.http.post("/api/v1/records", content=content, headers=bearer(secret))
        assert answer.status_code == 200
        return str(answer.headers["spectap-stored"])

    assert [stored(secrets[0], seq) for seq in (1, 10**9)] == ["1", "0"]
    assert [stored(secrets[1], seq) for seq in (1, 1)] == ["1", "0"]
    assert [stored(secret, 1, "epoch-2") for secret in (*secrets, INGEST, INGEST)] == ["0", "0", "1", "0"]
    guarded.settle()
    agents = {(one["cluster"], one["epoch"]) for one in guarded.items("/agents")}
    assert agents == {(cluster, f"epoch-{n}") for cluster in ("east", "west") for n in (1, 2)} | {
        (None, "epoch-2")
    }
    views = [view["cluster"] for one in guarded.items("/exchanges") for view in one["witnesses"]]
    assert sorted(map(str, views)) == ["None", "east", "west"]


def test_a_record_stored_before_ids_had_marks_is_known_to_its_clusters_token(guarded: Client) -> None:
    made = [created(guarded, cluster)["secret"] for cluster in ("east", "west")]
    assert deliver(guarded, INGEST, of("east")).headers["spectap-stored"] == "1"
    assert deliver(guarded, made[0], of("east")).headers["spectap-stored"] == "0"
    assert deliver(guarded, made[1], of("west")).headers["spectap-stored"] == "1"


def test_an_agent_without_records_is_of_its_tokens_cluster_too(guarded: Client) -> None:
    assert deliver(guarded, created(guarded, "east")["secret"]).status_code == 200
    assert [one["cluster"] for one in guarded.items("/agents")] == ["east"]


def test_a_clusters_token_delivers_and_does_nothing_else(guarded: Client) -> None:
    secret = created(guarded, "east")["secret"]
    for method, path in (("GET", "/apis"), ("GET", "/tokens"), ("POST", "/tokens"), ("DELETE", "/tokens/x")):
        answer = guarded.http.request(method, f"/api/v1{path}", headers=bearer(secret))
        assert answer.status_code == 403, path
    for headers in (bearer(INGEST), {"Authorization": ""}):
        assert guarded.http.get("/api/v1/tokens", headers=headers).status_code in (401, 403)


def test_tokens_in_files_deliver_for_any_cluster_as_before(guarded: Client) -> None:
    created(guarded, "east")
    for n, cluster in enumerate(("east", "west", None)):
        assert deliver(guarded, INGEST, of(cluster, n)).status_code == 200
    assert deliver(guarded, ADMIN).status_code == 403


def test_a_revoked_token_is_refused_even_where_no_token_is_needed(client: Client) -> None:
    made = created(client, "east")
    assert deliver(client, made["secret"], of(None)).status_code == 200
    client.http.delete(f"/api/v1/tokens/{made['id']}").raise_for_status()
    assert deliver(client, made["secret"]).status_code == 403
    assert deliver(client, "some-other-program").status_code == 200


def test_rotation_has_the_stated_grace_and_ends_the_secret_at_once_without_one(guarded: Client) -> None:
    made = created(guarded, "east")
    rotate = f"/api/v1/tokens/{made['id']}/rotate"
    second = guarded.http.post(rotate, json={}).json()
    assert second["previous_until"] > second["rotated"] > made["created"]
    third = guarded.http.post(rotate, json={"grace_s": 0}).json()
    assert third["previous_until"] is None
    statuses = [deliver(guarded, one["secret"]).status_code for one in (made, second, third)]
    assert statuses == [403, 403, 200]
    assert guarded.http.post(rotate, json={"grace_s": -1}).status_code == 422


def test_the_list_has_what_people_need_and_is_narrowed_by_cluster(guarded: Client) -> None:
    made = [created(guarded, cluster) for cluster in ("east", "west")]
    deliver(guarded, made[0]["secret"]).raise_for_status()
    guarded.core.store.write(lambda unit: None).result(60)
    west, east = guarded.items("/tokens", limit=1)
    assert east.pop("last_used") is not None
    assert west["last_used"] is None
    assert east == {name: value for name, value in made[0].items() if name not in ("secret", "last_used")}
    assert (east["role"], east["cluster"]) == ("ingest", "east")
    assert guarded.items("/tokens", cluster="west") == [west]
    again = guarded.http.post("/api/v1/tokens", json={"name": "agents of east", "cluster": "x"})
    assert again.status_code == 409
