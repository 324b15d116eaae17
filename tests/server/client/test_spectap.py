"""The client of programs, with a real server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from spectap_client import (
    AddressError,
    AnswerUnreadable,
    NotOnServer,
    ServerUnreachable,
    Spectap,
    TokenRejected,
    WrongQuery,
)

from server.config import digest
from tests.server.engine import spec
from tests.server.offline.test_remote import answering
from tests.server.records import both, record
from tests.server.running import Client, serving


@pytest.fixture
def spectap(client: Client, monkeypatch: pytest.MonkeyPatch) -> Spectap:
    """A server with calls of one API, which deviates from its specification, by the environment."""
    raw = spec("GET /users/{id}")
    client.http.post("/api/v1/specs", params={"host": "shop.local:8080"}, content=raw).raise_for_status()
    client.send(*[one for n in range(3) for one in both(n, f"/users/{n}")], *both(9, "/other"))
    monkeypatch.setenv("SPECTAP_SERVER", str(client.http.base_url))
    return Spectap()


def test_everything_that_it_lists_is_what_the_server_has(spectap: Spectap, client: Client) -> None:
    with spectap:
        (api,) = spectap.apis()
        assert spectap.api(api.id) == api
        assert {one.operation for one in spectap.operations()} == {"GET /users/{id}", "GET /other"}
        assert [one.id for one in spectap.exchanges()] == [one["id"] for one in client.items("/exchanges")]
        assert {one.kind for one in spectap.deviations()} == {"unknown-path"}
        (consumer,) = spectap.consumers()
        assert consumer.calls == sum(one.calls for one in spectap.consumer_operations(consumer.id)) == 4
        assert [one.agent for one in spectap.agents()] == ["agent-1"]
        assert spectap.ledger().server == client.server_ledger()
        assert (
            sum(sum(one.statuses.values()) for one in spectap.stats(since="2026-11-23T00:00:00Z").items) == 4
        )
        assert spectap.coverage(api.id).hit == 1
        assert spectap.gaps(api.id, used_by="curl*", not_by="no*").operations[0].calls == 3
        (kept,) = spectap.specs()
        assert json.loads(spectap.spec(api.id)) == json.loads(spectap.spec(api.id, kept.id))
        assert spectap.put_spec(api.id, spec("GET /other")).operations == 1
        assert all(one.version for one in spectap.versions(api.id))


def test_a_list_goes_on_over_pages_until_its_limit(spectap: Spectap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.client.connection.PAGE", 2)
    with spectap:
        assert len([*spectap.exchanges()]) == 4
        assert len([*spectap.exchanges(limit=3)]) == 3
        assert len([*spectap.exchanges(q="verdict:conforming", status=["200", "404"])]) == 3


def test_bytes_are_text_or_what_they_were(client: Client) -> None:
    client.send(record(0, path=b"/\xff"), record(1, path="/ok"))
    with Spectap(str(client.http.base_url)) as spectap:
        paths = [one.path for one in spectap.exchanges(sort="time")]
    assert [bytes(one) for one in paths if one is not None] == [b"/\xff", b"/ok"]
    assert [None if one is None else one.text for one in paths] == [None, "/ok"]


def test_errors_have_types(spectap: Spectap) -> None:
    with spectap:
        with pytest.raises(NotOnServer, match="exchange"):
            spectap.exchange("nowhere")
        with pytest.raises(WrongQuery, match="hosst"):
            [*spectap.apis(q="hosst:a")]
    with (
        answering(200, b"[]", {}) as url,
        Spectap(url, patience_s=0) as other,
        pytest.raises(AnswerUnreadable),
    ):
        [*other.apis()]


def test_tokens_come_as_text_as_file_or_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = "a" * 32
    (tmp_path / "token").write_text(token)
    with serving(tmp_path / "data", ingest_token=digest("i" * 32), admin_token=digest(token)) as client:
        url = str(client.http.base_url)
        with Spectap(url) as spectap, pytest.raises(TokenRejected) as refused:
            [*spectap.apis()]
        assert str(refused.value).startswith(f"the server at {url} rejected the request: give a valid token")
        for spectap in (Spectap(url, token=token), Spectap(url, token_file=tmp_path / "token")):
            with spectap:
                assert [*spectap.apis()] == []
        monkeypatch.setenv("SPECTAP_TOKEN_FILE", str(tmp_path / "token"))
        with Spectap(url) as spectap:
            assert [*spectap.apis()] == []


@pytest.mark.parametrize("url", ["ftp://x", "nonsense", "http://", "http://x:port", None])
def test_what_is_no_address_is_said_before_anything_is_sent(
    url: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SPECTAP_SERVER", raising=False)
    with pytest.raises(AddressError, match="url"):
        Spectap(url)


def test_no_message_has_the_password_of_an_address_or_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        Spectap("http://u:Trombone@127.0.0.1:9", patience_s=0) as spectap,
        pytest.raises(ServerUnreachable) as raised,
    ):
        [*spectap.apis()]
    assert "Trombone" not in str(raised.value)
    with pytest.raises(AddressError) as wrong:
        Spectap("http://127.0.0.1:9", token="Tromb one")
    assert "Tromb" not in str(wrong.value)
