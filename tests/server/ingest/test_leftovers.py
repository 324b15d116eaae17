"""Calls past retention: what is said of them after their API's specifications changed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.engine import spec
from tests.server.records import record
from tests.server.running import Client, wait_for
from tests.server.sql import drop_oldest, sql

SOME = spec("GET /users/{userId}", "!GET /old")
ALL = spec("GET /users/{userId}", "GET /old", "GET /admin/{page}", "!GET /carts")
PATHS = ("/users/1", "/old", "/admin/7", "/carts")


def api_of(client: Client) -> dict[str, Any]:
    (api,) = client.items("/apis")
    return api


def upload(client: Client, raw: bytes) -> None:
    client.http.put(f"/api/v1/apis/{api_of(client)['id']}/spec", content=raw).raise_for_status()
    judged(client)


def judged(client: Client) -> None:
    """Waits until the API is re-validated and the calls past retention are settled."""
    store = client.core.store
    stale = "SELECT 1 FROM exchanges JOIN apis ON apis.number = api WHERE exchanges.revision <> apis.revision"
    wait_for(lambda: not sql(store, stale), "re-validation")
    wanted = api_of(client)["exchanges"] if api_of(client)["specs"] else 0
    wait_for(lambda: sum(api_of(client)["verdicts"].values()) == wanted, "a verdict for each call")


def listed(client: Client, state: str) -> set[str]:
    return {one["operation"] for one in client.items(f"/apis/{api_of(client)['id']}/operations", state=state)}


def called(client: Client, times: int = 3) -> None:
    calls = [(path, status) for path in PATHS for status in (200, 200, 500)][: 4 * times]
    client.send(*[record(n, path=path, status=status) for n, (path, status) in enumerate(calls)])


@pytest.mark.parametrize("dropped", [0, 5, 12])
def test_what_is_described_now_is_not_undocumented_whatever_retention_has_dropped(
    client: Client, dropped: int
) -> None:
    called(client)
    upload(client, SOME)
    assert listed(client, "shadow") == {"GET /admin/{id}", "GET /carts"}
    assert listed(client, "zombie") == {"GET /old"}
    drop_oldest(client.core.store, dropped)
    upload(client, ALL)
    assert (listed(client, "shadow"), listed(client, "zombie")) == (set(), {"GET /carts"})
    assert {key: one["count"] for key, one in client.operations().items()} == {
        "GET /users/{userId}": 3,
        "GET /old": 3,
        "GET /admin/{page}": 3,
        "GET /carts": 3,
    }
    assert api_of(client)["verdicts"].get("unjudged", 0) == dropped


def test_what_is_not_described_any_more_is_undocumented_although_its_calls_are_past_retention(
    client: Client,
) -> None:
    called(client)
    upload(client, ALL)
    drop_oldest(client.core.store, 100)
    upload(client, SOME)
    assert api_of(client)["verdicts"] == {"shadow": 6, "unjudged": 6}
    assert listed(client, "shadow") == {"GET /admin/{page}", "GET /carts"}


@pytest.mark.parametrize("dropped", [5, 12])
def test_after_the_same_specification_again_all_numbers_are_of_what_is_stored(
    client: Client, dropped: int
) -> None:
    called(client)
    upload(client, ALL)
    assert api_of(client)["verdicts"] == {"conforming": 6, "deviating": 4, "zombie": 2}
    drop_oldest(client.core.store, dropped)
    upload(client, ALL)
    stored = client.items("/exchanges")
    assert len(stored) == 12 - dropped
    verdicts = [one["verdict"] for one in stored]
    found = {one: verdicts.count(one) for one in verdicts}
    assert api_of(client)["verdicts"] == {**found, "unjudged": dropped}
    assert sum(one["count"] for one in client.items("/deviations")) == found.get("deviating", 0)
    assert client.get(f"/apis/{api_of(client)['id']}/coverage")["exchanges"] == len(stored)
    client.send(record(20, path="/old", status=500), record(21, path="/none"))
    assert api_of(client)["verdicts"]["deviating"] == found.get("deviating", 0) + 1
    assert client.get(f"/apis/{api_of(client)['id']}/coverage")["exchanges"] == len(stored) + 2


def test_without_a_specification_there_is_no_verdict(client: Client) -> None:
    called(client)
    upload(client, SOME)
    drop_oldest(client.core.store, 5)
    (one,) = client.items("/specs")
    client.http.delete(f"/api/v1/specs/{one['id']}").raise_for_status()
    judged(client)
    assert (api_of(client)["exchanges"], api_of(client)["verdicts"]) == (12, {})
    assert (listed(client, "shadow"), client.items("/deviations")) == (set(), [])


def test_options_past_retention_may_have_been_preflights(client: Client) -> None:
    client.send(record(0, path="/x", method="OPTIONS"), record(1, path="/x"))
    drop_oldest(client.core.store, 2)
    upload(client, SOME)
    assert {key: one["verdicts"] for key, one in client.operations().items()} == {
        "OPTIONS /x": {"unjudged": 1},
        "GET /x": {"shadow": 1},
    }
