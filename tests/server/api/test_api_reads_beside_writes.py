"""Reads are answered completely, whatever the writer is doing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from server.api.context import WRITES_AT_ONCE
from server.store.errors import StoreUnavailable
from server.store.reader import Reader
from server.store.sqlite.writer import MAX_WAITING
from server.store.sqlite.writing.decisions import SqliteDecisions
from server.store.sqlite.writing.specs import SqliteSpecs
from server.store.store import Store
from server.store.unit import Unit
from server.store.values import Merge
from tests.server.engine import spec
from tests.server.records import record
from tests.server.running import Client, serving, wait_for

MANY = 48  # more than the server has threads
USERS = spec("GET /users/{userId}", "GET /never")
SOON_S = 10.0  # far less than the writer is held, far more than an answer takes


class Held:
    """Blocks the writer's thread wherever it reads the stored specifications and decisions."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached, self._go_on = threading.Event(), threading.Event()
        for module, name in ((SqliteSpecs, "stored"), (SqliteDecisions, "ignored")):
            monkeypatch.setattr(module, name, self._holding(getattr(module, name)))
        self._armed = False

    def _holding(self, read: Callable[..., Any]) -> Callable[..., Any]:
        def hold(*arguments: Any) -> Any:
            if self._armed:
                self.reached.set()
                assert self._go_on.wait(60)
            return read(*arguments)

        return hold

    def arm(self) -> None:
        self._armed = True

    def release(self) -> None:
        self._armed = False
        self._go_on.set()


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    return Held(monkeypatch)


@pytest.fixture
def shop(tmp_path: Path, held: Held) -> Iterator[Client]:
    with serving(tmp_path) as client:
        client.http.post("/api/v1/specs?host=shop.local:8080", content=USERS).raise_for_status()
        client.send(record(0, status=500))
        client.core.settling.stop()  # it would wait for the writer, too
        client.http.timeout = SOON_S
        try:
            yield client
        finally:
            held.release()


def unused(client: Client) -> list[str]:
    (api,) = client.items("/apis")
    return [one["operation"] for one in client.items(f"/apis/{api['id']}/operations", state="unused")]


def coverage(client: Client) -> tuple[int, int]:
    (api,) = client.items("/apis")
    found = client.get(f"/apis/{api['id']}/coverage")
    return found["total"], found["hit"]


def ignore(client: Client) -> int:
    (one,) = client.items("/deviations")
    said = {"reason": "known"}
    return client.http.post(f"/api/v1/deviations/{one['id']}/ignore", json=said, timeout=60).status_code


def add(client: Client) -> int:
    params = {"host": "shop.local:8080", "base_path": "/v2"}
    other = spec("GET /other", base_paths=["/v2"])
    return client.http.post("/api/v1/specs", params=params, content=other, timeout=60).status_code


def remove(client: Client) -> int:
    (one,) = client.items("/specs")
    return client.http.delete(f"/api/v1/specs/{one['id']}", timeout=60).status_code


@pytest.mark.parametrize("write", [ignore, add, remove])
def test_a_reader_never_sees_an_api_without_its_specification_while_another_is_being_written(
    shop: Client, held: Held, write: Callable[[Client], int]
) -> None:
    before = unused(shop), coverage(shop)
    assert before == (["GET /never"], (2, 1))
    with ThreadPoolExecutor(1) as other:
        held.arm()
        written = other.submit(write, shop)
        assert held.reached.wait(60)
        during = unused(shop), coverage(shop)
        held.release()
        assert written.result() in (201, 204)
    assert during == before


def holding(store: Store, go_on: threading.Event) -> Future[object]:
    """Work that has begun and blocks the writer until it is released."""
    began = threading.Event()

    def hold(unit: Unit) -> object:
        began.set()
        return go_on.wait(60)

    future = store.write(hold)
    assert began.wait(60)
    return future


def test_coverage_is_answered_while_no_more_work_may_wait_for_the_writer(shop: Client) -> None:
    store, go_on = shop.core.store, threading.Event()
    futures: list[Future[object]] = [holding(store, go_on)]
    try:
        with pytest.raises(StoreUnavailable):
            futures.extend(store.write(lambda db: None) for _ in range(MAX_WAITING + 1))
        assert coverage(shop) == (2, 1)
        assert unused(shop) == ["GET /never"]
    finally:
        go_on.set()
    for future in futures:
        future.result()


def test_reads_are_answered_while_many_writes_wait_for_the_writer(shop: Client) -> None:
    store, go_on = shop.core.store, threading.Event()
    held = holding(store, go_on)
    with ThreadPoolExecutor(MANY) as others:
        try:
            gone = [others.submit(shop.http.delete, "/api/v1/specs/none", timeout=60) for _ in range(MANY)]
            wait_for(lambda: store.waiting >= WRITES_AT_ONCE, "writes that wait")
            for _ in range(30):
                assert unused(shop) == ["GET /never"]
            assert coverage(shop) == (2, 1)
        finally:
            go_on.set()
        assert {one.result().status_code for one in gone} == {404}
    held.result()


@pytest.mark.parametrize(
    "path", ["/api/v1/apis/{id}", "/api/v1/apis/{id}/spec", "/apis/{id}", "/apis/{id}/spec"]
)
def test_an_api_that_is_merged_while_it_is_read_is_found(
    tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(tmp_path) as client:
        for host in ("old.local", "new.local"):
            assert client.http.post("/api/v1/specs", content=USERS, params={"host": host}).is_success
        ids = {one["hosts"][0]: one["id"] for one in client.items("/apis")}
        store = client.core.store
        read = store.reading

        @contextmanager
        def merged_after(*arguments: Any) -> Iterator[Reader]:
            with read(*arguments) as reader:
                yield reader
            if ids:
                old, new = (ids.pop(host) for host in ("old.local", "new.local"))
                store.write(lambda unit: unit.merge(Merge(number(unit, old), number(unit, new)))).result()

        monkeypatch.setattr(store, "reading", merged_after)
        answer = client.http.get(path.format(id=ids["old.local"]))
        assert not ids, "merged meanwhile"
        assert answer.status_code == 200, answer.text


def number(unit: Unit, id: str) -> int:
    found = unit.apis.number_of(id)
    assert found is not None
    return found
