"""Learning from stored exchanges: once each, whatever stops, and decisions stay."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from agent.wire import Record
from server.analysis.inventory import key_of
from server.analysis.rebuild.learn_input import LearnOutcome
from server.analysis.rebuild.learner import Learner
from server.analysis.specs.load import load
from server.ingest.accept import Acceptor
from server.ingest.decode import decode
from server.learning.learning import Learning
from server.learning.outcomes import LearningStep, NotLearnt
from server.store.errors import StoreUnavailable
from server.store.keys import Numbered, number_of
from server.store.sqlite.store import SqliteStore
from server.store.values import Merge
from tests.server import engine
from tests.server.analysis.rebuild.traffic import call, validate
from tests.server.records import NGINX, batch, record
from tests.server.running import Client, serving, wait_for
from tests.server.settled import accept
from tests.server.sql import drop_oldest, sql


@contextmanager
def opened(data: Path) -> Iterator[tuple[SqliteStore, Callable[..., None]]]:
    """A store, and a function that stores records in it."""
    store = SqliteStore(data)
    acceptor = store.write(lambda unit: Acceptor(unit, engine.load)).result()
    ((seq,),) = sql(store, "SELECT count(*) FROM batches")

    def send(*records: Record) -> None:
        nonlocal seq
        seq += 1
        delivery = decode(batch(seq, list(records)))
        store.write(lambda db: accept(acceptor, delivery, 0)).result()

    yield store, send
    store.close()


def users(start: int, stop: int, **fields: Any) -> list[Record]:
    """Calls of one API, each with its own id."""
    found = []
    for i in range(start, stop):
        one = call(path=f"/users/{i}", answer={"id": i, **fields}, ordinal=i)
        found.append(replace(one, id=f"r{i}", time=one.time))
    return found


def number_of_api(one: Record) -> int:
    return number_of(Numbered.API, *key_of(one))


USERS = number_of_api(users(0, 1)[0])


def learning_of(store: SqliteStore) -> Learning:
    return Learning(store, clock=lambda: 1, pause=0.0)


def step(learning: Learning) -> None:
    learning.learn_some()
    learning.publish_due()
    assert learning.save()


def newest(store: SqliteStore, api: int = USERS) -> Any:
    with store.reading() as reader:
        return reader.lessons.publication(api)


def calls_of(store: SqliteStore) -> int:
    operation = newest(store).document["paths"]["/users/{userId}"]["get"]
    return int(operation["x-spectap"]["count"])


def test_a_version_steps_when_the_shape_changes_and_not_when_it_does_not(tmp_path: Path) -> None:
    with opened(tmp_path) as (store, send):
        learning = learning_of(store)
        send(*users(0, 12))
        step(learning)
        assert newest(store).version == "0.1.0"
        validate(newest(store).document)
        send(*users(12, 20))
        step(learning)
        assert newest(store).version == "0.1.0"
        send(*users(20, 30, name="x"))
        step(learning)
        assert newest(store).version == "0.2.0"
        send(call(path="/users/7", answer={"id": "seven"}))
        step(learning)
        assert newest(store).version == "0.3.0"
        assert [change["breaking"] for change in newest(store).changes] == [True]
        with store.reading() as reader:
            versions = reader.lessons.versions(USERS, 9, None).rows
            assert [row.version for row in versions] == ["0.3.0", "0.2.0", "0.1.0"]
            assert reader.lessons.publication(USERS, "0.1.0") is not None


def test_a_draft_is_a_version_after_a_day_and_then_there_is_one_a_day_or_when_asked(tmp_path: Path) -> None:
    hours = 0
    with opened(tmp_path) as (store, send):
        learning = Learning(store, clock=lambda: 1 + hours * 3600 * 10**9, pause=0.0)

        def after(passed: int, *records: Record) -> str:
            nonlocal hours
            hours += passed
            send(*records)
            learning.publishing._due.clear()
            step(learning)
            return str(newest(store).version)

        assert after(0, *users(0, 12)) == "0.1.0"
        assert after(23, *users(20, 30, name="x")) == "0.2.0"
        assert after(1, *users(30, 40, mail="x")) == "1.0.0"
        assert after(1, call(path="/users/7", answer={"id": "seven"})) == "1.0.0"
        assert after(22) == "1.0.0"
        assert after(1) == "2.0.0"
        assert after(1, *users(50, 60, city="x")) == "2.0.0"
        learning.publishing.request({USERS})
        assert after(0) == "2.1.0"


def test_a_request_makes_a_draft_the_first_version_even_unchanged(tmp_path: Path) -> None:
    with opened(tmp_path) as (store, send):
        learning = learning_of(store)
        send(*users(0, 12))
        step(learning)
        for _ in range(2):
            learning.publishing.request({USERS})
            step(learning)
            assert newest(store).version == "1.0.0"


def test_each_exchange_is_learnt_once_whatever_ends_in_between(tmp_path: Path) -> None:
    with opened(tmp_path) as (store, send):
        send(*users(0, 5))
        step(learning_of(store))
        send(*users(5, 10))
        learning_of(store).learn_some()  # not saved, as after kill -9
    with opened(tmp_path) as (store, send):
        learning = learning_of(store)
        send(*users(10, 12, name="x"))
        step(learning)
        assert calls_of(store) == 12


def test_what_retention_takes_is_not_unlearnt(tmp_path: Path) -> None:
    with opened(tmp_path) as (store, send):
        send(*users(0, 5))
        step(learning_of(store))
        drop_oldest(store, 100)
    with opened(tmp_path) as (store, send):
        learning = learning_of(store)
        send(*users(5, 7, name="x"))
        step(learning)
        assert calls_of(store) == 7


@pytest.mark.parametrize("loaded", [True, False])
def test_apis_that_turn_out_to_be_one_are_learnt_as_one(tmp_path: Path, loaded: bool) -> None:
    others = of_other(users(5, 10))
    with opened(tmp_path) as (store, send):
        learning = learning_of(store)
        send(*users(0, 5))
        send(*others)
        step(learning)
        if not loaded:
            learning = learning_of(store)
        merge = Merge(number_of_api(others[0]), USERS)
        store.write(lambda unit: unit.merge(merge)).result()
        step(learning)
        if loaded:
            assert calls_of(store) == 10
        send(*users(10, 12, name="x"))
        step(learning)
        assert calls_of(store) == 12
    with opened(tmp_path) as (store, send):
        learning = learning_of(store)
        send(*users(12, 13, name="x", mail="x"))
        step(learning)
        assert calls_of(store) == 13


def test_a_defect_in_one_exchange_costs_that_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(records: list[Record]) -> Record:
        if records[0].id == "r1":
            raise RuntimeError("secret")
        return records[0]

    monkeypatch.setattr("server.learning.learning.most_seen", broken)
    with opened(tmp_path) as (store, send):
        learning = learning_of(store)
        send(*users(0, 3))
        step(learning)
        assert learning.counts == {LearnOutcome.LEARNT: 2, NotLearnt.FAILED: 1, NotLearnt.SAMPLED_OUT: 0}


OTHER = replace(NGINX, executable="/usr/sbin/other")
BIG = b'{"id": 18446744073709551616}'


def of_other(records: list[Record]) -> list[Record]:
    """The same calls to another API."""
    return [replace(one, process=OTHER) for one in records]


def test_an_integer_of_any_size_is_learnt_and_stored(tmp_path: Path) -> None:
    with opened(tmp_path) as (store, send):
        send(call(path="/users/1", answer=BIG))
        step(learning_of(store))
        learning = learning_of(store)
        send(call(path="/users/2", answer={"id": 2**70, "name": "x"}, ordinal=1))
        step(learning)
        assert learning.shortfall is None
        operation = newest(store).document["paths"]["/users/{userId}"]["get"]
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        assert schema["properties"]["id"]["type"] == "integer"
        assert schema["properties"]["id"]["examples"] == [2**64]


def failing(monkeypatch: pytest.MonkeyPatch, method: str, victim: Callable[[Learner], bool]) -> None:
    """Makes one method of one API's learners raise, with captured text in the message."""
    whole = getattr(Learner, method)

    def broken(self: Learner, *args: Any) -> Any:
        if victim(self):
            raise OverflowError("captured-secret")
        return whole(self, *args)

    monkeypatch.setattr(Learner, method, broken)


def is_big(learner: Learner) -> bool:
    return "http://big.local" in learner.servers.calls


def big(number: int) -> Record:
    plain = of_other([call(path=f"/things/{number}", answer={}, ordinal=number)])[0]
    assert plain.request is not None
    return replace(plain, id=f"big{number}", request=replace(plain.request, authority=b"big.local"))


def test_an_api_that_cannot_be_stored_holds_up_no_other_and_is_logged_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failing(monkeypatch, "state", is_big)
    with opened(tmp_path) as (store, send):
        learning = learning_of(store)
        for start in range(0, 9, 3):
            send(*users(start, start + 3), big(start))
            step(learning)
        assert learning.counts[NotLearnt.NOT_SAVED] == 3
        assert learning.failures.counts == {LearningStep.SAVE: 3}
        assert learning.shortfall == "what 3 of them taught could not be stored"
        (line,) = [one.message for one in caplog.records if one.levelname == "ERROR"]
        assert "OverflowError at" in line
        assert "secret" not in caplog.text
        again = learning_of(store)
        send(*users(9, 10, name="x"))
        step(again)
        assert calls_of(store) == 10


def test_an_api_whose_document_cannot_be_made_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failing(monkeypatch, "grouped", is_big)
    with opened(tmp_path) as (store, send):
        send(big(0), *users(0, 3))
        learning = learning_of(store)
        for _ in range(3):
            step(learning)
        assert [newest(store, api) is not None for api in (number_of_api(big(0)), USERS)] == [False, True]
        assert learning.failures.counts == {LearningStep.PUBLISH: 1}
        assert "secret" not in caplog.text


def test_what_was_stored_and_cannot_be_read_stays_and_holds_up_nothing(tmp_path: Path) -> None:
    with opened(tmp_path) as (store, send):
        send(*users(0, 3), big(0))
        step(learning_of(store))
        sql(store, "UPDATE learners SET state = x'00' WHERE api = ?", number_of_api(big(0)))
        learning = learning_of(store)
        for start, field in ((3, "name"), (4, "mail")):
            send(*users(start, start + 1, **{field: "x"}), big(start))
            step(learning)
        assert calls_of(store) == 5
        assert learning.failures.counts == {LearningStep.LOAD: 1}
        query = "SELECT state = x'00' FROM learners WHERE api = ? ORDER BY number"
        assert sql(store, query, number_of_api(big(0))) == [(True,), (False,)]


def test_what_was_not_saved_at_the_end_is_said_and_learnt_again(tmp_path: Path) -> None:
    with opened(tmp_path) as (store, send):
        send(*users(0, 3))
        learning = learning_of(store)
        learning.learn_some()
        assert learning.shortfall == "learning from the last 3 was not saved: the next start repeats it"
        again = learning_of(store)
        step(again)
        assert again.shortfall is None
        assert calls_of(store) == 3


def test_a_store_that_takes_nothing_is_logged_once_until_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(tmp_path) as (store, send):
        send(*users(0, 3))
        learning = learning_of(store)
        learning.learn_some()

        def full(work: object) -> Any:
            raise StoreUnavailable("the disk is full")

        for _ in range(2):
            with monkeypatch.context() as broken:
                broken.setattr(store, "write", full)
                for _ in range(3):
                    assert not learning.attempt(LearningStep.SAVE)
            assert learning.attempt(LearningStep.SAVE)
        errors = [one.message for one in caplog.records if one.levelname == "ERROR"]
        assert errors == ["what was learned waits to be saved: the disk is full (logged once)"] * 2


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with serving(tmp_path) as client:
        client.core.learning.publishing.pause = 0.0
        client.core.learning.thread.period = 0.01
        yield client


def api_of(client: Client) -> str:
    (api,) = client.items("/apis")
    return str(api["id"])


def published(client: Client, api: str, version: str) -> Any:
    def found() -> Any:
        answer = client.http.get(
            f"/api/v1/apis/{api}/reconstructed",
            params={"version": version, "format": "json"},
            follow_redirects=True,
        )
        return answer.json() if answer.status_code == 200 else None

    return wait_for(found, f"version {version}")


def decide(client: Client, api: str, **decision: Any) -> Any:
    answer = client.http.post(f"/api/v1/apis/{api}/decisions", json=decision)
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_the_document_its_versions_and_their_difference_are_served(client: Client) -> None:
    client.send(*users(0, 12))
    api = api_of(client)
    first = published(client, api, "0.1.0")
    validate(first)
    assert first["servers"] == [{"url": "http://shop.local:8080"}]
    client.send(*[replace(one, id=one.id + "b") for one in users(0, 1, name="x")])
    published(client, api, "0.2.0")
    assert "openapi: 3.1" in client.http.get(f"/api/v1/apis/{api}/reconstructed").text
    versions = client.items(f"/apis/{api}/reconstructed/versions", limit=1)
    assert [one["version"] for one in versions] == ["0.2.0", "0.1.0"]
    found = client.get(f"/apis/{api}/reconstructed/diff", **{"from": "0.1.0", "to": "0.2.0"})
    assert found["breaking"] is False
    assert [one["what"] for one in found["changes"]] == ["changed"]
    back = client.get(f"/apis/{api}/reconstructed/diff", **{"from": "0.2.0", "to": "0.1.0"})
    assert back["breaking"] is True
    page = client.http.get(f"/apis/{api}").text
    assert f"/apis/{api}/reconstructed" in page


def test_operations_that_were_never_accepted_are_listed_apart_from_the_document(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.learning.learning.SAVE_S", 0.0)
    deleted = [call("DELETE", f"/users/{n}", status=403, ordinal=100 + n) for n in range(3)]
    scanned = [call(path=path, status=status, ordinal=200) for path, status in (("/.env", 404), ("/in", 401))]
    refused = [replace(one, id=f"x{n}") for n, one in enumerate([*deleted, *scanned])]
    client.send(*users(0, 12), *refused)
    api = api_of(client)
    assert [*published(client, api, "0.1.0")["paths"]] == ["/users/{userId}"]
    assert wait_for(lambda: client.get(f"/apis/{api}/reconstructed/refused")["items"], "refused") == [
        {"method": "DELETE", "path": "/users/{userId}", "calls": 3, "statuses": {"403": 3}},
        {"method": "GET", "path": "/in", "calls": 1, "statuses": {"401": 1}},
    ]


def test_the_document_is_also_had_as_openapi_3_2_with_the_items_of_streams(client: Client) -> None:
    events = b'data: {"id": 1}\n\ndata: {"id": 2}\n\n'
    streams = [
        call(path="/feed", answer=events, answer_kind="text/event-stream", ordinal=n) for n in range(3)
    ]
    client.send(*[replace(one, id=f"r{n}") for n, one in enumerate(streams)])
    api = api_of(client)
    published(client, api, "0.1.0")
    for version, schema in (("3.1", "schema"), ("3.2", "itemSchema")):
        found = client.get(f"/apis/{api}/reconstructed", format="json", openapi=version)
        validate(found)
        assert found["openapi"].startswith(version)
        content = found["paths"]["/feed"]["get"]["responses"]["200"]["content"]
        assert {"schema", "itemSchema"} & content["text/event-stream"].keys() == {schema}
    assert client.http.get(f"/api/v1/apis/{api}/reconstructed?openapi=2.0").status_code == 422


def test_what_a_person_decides_survives_new_traffic(client: Client) -> None:
    client.send(*users(0, 12))
    api = api_of(client)
    published(client, api, "0.1.0")
    decide(client, api, kind="rename", place=["users"], name="login")
    decide(
        client,
        api,
        kind="fix",
        operation="GET /users/{login}",
        where="response.body",
        pointer="/id",
        schema={"type": "string"},
    )
    wait_for(
        lambda: '"login"' in _newest(client, api) and '"id": {"type": "string"' in _newest(client, api),
        "both",
    )
    client.send(*[replace(one, id=one.id + "b") for one in users(0, 1, name="x")])
    wait_for(lambda: '"name": {"type": "string"' in _newest(client, api, ask=True), "the new field")
    assert '"/users/{login}"' in _newest(client, api)
    assert '"id": {"type": "string"' in _newest(client, api)
    decided = client.get(f"/apis/{api}/decisions")["items"]
    assert [one["decision"]["kind"] for one in decided] == ["rename", "fix"]
    assert client.http.delete(f"/api/v1/apis/{api}/decisions/{decided[0]['id']}").status_code == 204
    wait_for(lambda: '"/users/{userId}"' in _newest(client, api), "the old name")


def _newest(client: Client, api: str, ask: bool = False) -> str:
    if ask:
        asked = client.http.post(f"/api/v1/apis/{api}/reconstructed/versions")
        assert asked.status_code == 202, asked.text
    document = client.http.get(f"/api/v1/apis/{api}/reconstructed", params={"format": "json"}).json()
    return json.dumps({path: document["paths"][path] for path in document["paths"]}).replace(
        ' "x-spectap"', ""
    )


@pytest.mark.parametrize(
    "said",
    [
        {"openapi": "3.1.0", "paths": {"/users/{login}": {}}},
        {"swagger": "2.0", "basePath": "/users", "paths": {"/{login}": {}}},
    ],
)
def test_the_paths_of_an_uploaded_specification_come_first(tmp_path: Path, said: Any) -> None:
    known = {"info": {"title": "t", "version": "1"}, **said}
    with serving(tmp_path, load=load) as client:
        client.core.learning.thread.period = 0.01
        uploaded = client.http.post("/api/v1/specs?host=shop.local:8080", content=json.dumps(known))
        assert uploaded.status_code == 201
        client.send(*users(0, 3))
        assert [*published(client, uploaded.json()["api"], "0.1.0")["paths"]] == ["/users/{login}"]


@pytest.mark.parametrize(
    "decision",
    [
        {"kind": "rename", "place": ["users"]},
        {"kind": "rename", "place": ["users"], "name": "a/b"},
        {"kind": "retype", "place": ["users"], "type": "colour"},
        {"kind": "fix", "operation": "GET /", "where": "path", "pointer": "", "schema": {}},
        {"kind": "fix", "operation": "GET /", "where": "query", "pointer": "a", "schema": {"type": 1}},
        {"kind": "unheard"},
    ],
)
def test_a_decision_that_makes_no_sense_is_refused(client: Client, decision: Any) -> None:
    client.send(record(0))
    answer = client.http.post(f"/api/v1/apis/{api_of(client)}/decisions", json=decision)
    assert answer.status_code == 422


def test_before_anything_was_learnt_there_is_nothing_to_show(client: Client) -> None:
    assert client.http.get("/api/v1/apis/none/reconstructed").status_code == 404
    client.send(record(0, status=None))
    api = api_of(client)
    assert client.http.get(f"/api/v1/apis/{api}/reconstructed").status_code == 404
    assert client.get(f"/apis/{api}/reconstructed/versions") == {"items": [], "next": None}
