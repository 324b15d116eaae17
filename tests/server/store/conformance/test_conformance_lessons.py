"""Learned documents: states, published versions and decisions."""

from __future__ import annotations

import pytest

from agent.wire import Endpoint
from server.store.rows import Publication, VersionRow
from server.store.unit import Unit
from server.store.values import Learned, Merge
from tests.server.records import NETNS, NOON, record
from tests.server.store.conformance.opened import OpenStore, pieces, someone

NOTHING: frozenset[int] = frozenset()


def save(opened: OpenStore, api: int, state: bytes, last: int, rows: frozenset[int] = NOTHING) -> int:
    saved = opened.do(lambda unit: unit.lessons.save({api: Learned(state, rows)}, last))
    assert saved is not None
    row = saved[api]
    assert isinstance(row, int)
    return row


def learnt(opened: OpenStore, api: int) -> tuple[int, list[bytes]]:
    with opened.store.reading() as reader:
        lessons = reader.lessons
        return lessons.watermark(), [lessons.state(row) for row in sorted(lessons.rows_of(api))]


def publish(opened: OpenStore, api: int, version: str, time: int = NOON) -> Publication:
    one = Publication(version, time, {"info": {"title": "Shöp"}}, [{"change": version}])
    opened.do(lambda unit: unit.lessons.publish(api, one))
    return one


def test_what_was_learnt_replaces_the_rows_it_stands_for_with_the_watermark(opened: OpenStore) -> None:
    api, _ = opened.do(someone)
    assert learnt(opened, api) == (0, [])
    first = save(opened, api, b"first" * 10_000, 5)
    opened.again()
    assert learnt(opened, api) == (5, [b"first" * 10_000])
    save(opened, api, b"second", 9, frozenset({first}))
    assert learnt(opened, api) == (9, [b"second"])
    opened.undo(lambda unit: unit.lessons.save({api: Learned(b"third", NOTHING)}, 10))
    assert learnt(opened, api) == (9, [b"second"])


def test_of_an_api_that_was_merged_meanwhile_nothing_is_saved_and_what_was_is_the_others(
    opened: OpenStore,
) -> None:
    def resolve_both(unit: Unit) -> tuple[int, int]:
        other = record(0, server=Endpoint("10.0.0.1", 9090, NETNS))
        return unit.apis.resolve(record(0))[0], unit.apis.resolve(other)[0]

    api, other = opened.do(resolve_both)
    save(opened, api, b"one", 1)
    save(opened, other, b"two", 2)
    opened.do(lambda unit: unit.merge(Merge(other, api)))
    both = {api: Learned(b"new", NOTHING), other: Learned(b"lost", NOTHING)}
    assert opened.do(lambda unit: unit.lessons.save(both, 3)) is None
    assert learnt(opened, api) == (2, [b"one", b"two"])
    assert learnt(opened, other) == (2, [])
    with opened.store.reading() as reader:
        rows = frozenset(reader.lessons.rows_of(api))
    save(opened, api, b"together", 3, rows)
    assert learnt(opened, api) == (3, [b"together"])


def test_a_state_that_is_not_there_cannot_be_read(opened: OpenStore) -> None:
    with opened.store.reading() as reader, pytest.raises(ValueError, match="not what was stored"):
        reader.lessons.state(77)


def test_published_versions_stay(opened: OpenStore) -> None:
    api, _ = opened.do(someone)
    published = [publish(opened, api, f"1.{n}", NOON + n) for n in range(7)]
    opened.again()
    with opened.store.reading() as reader:
        lessons = reader.lessons
        assert (lessons.newest_version(api), lessons.count(api)) == ("1.6", 7)
        assert (lessons.newest_version(api + 1), lessons.count(api + 1)) == (None, 0)
        assert lessons.publication(api) == published[6]
        assert lessons.publication(api, "1.2") == published[2]
        assert lessons.publication(api, "2.0") is lessons.publication(api + 1) is None
        found: list[VersionRow] = pieces(lambda limit, after: lessons.versions(api, limit, after), 3)
    assert [one.version for one in found] == [f"1.{n}" for n in range(6, -1, -1)]
    assert [(one.time, one.changes) for one in found] == [
        (NOON + n, [{"change": f"1.{n}"}]) for n in range(6, -1, -1)
    ]


def test_decisions_of_rebuilt_documents_are_kept_in_order_until_they_are_withdrawn(
    opened: OpenStore,
) -> None:
    api, _ = opened.do(someone)
    first = opened.do(lambda unit: unit.lessons.decide(api, {"ignore": ["a", 1, None]}, NOON + 5))
    second = opened.do(lambda unit: unit.lessons.decide(api, {"name": "Bücher"}, NOON))
    opened.again()
    with opened.store.reading() as reader:
        found = reader.lessons.decisions(api)
        assert reader.lessons.decisions(api + 1) == []
    assert [(one.number, one.time, one.decision) for one in found] == [
        (first, NOON + 5, {"ignore": ["a", 1, None]}),
        (second, NOON, {"name": "Bücher"}),
    ]
    assert opened.do(lambda unit: unit.lessons.withdraw(api + 1, first)) is False
    assert opened.do(lambda unit: unit.lessons.withdraw(api, first)) is True
    assert opened.do(lambda unit: unit.lessons.withdraw(api, first)) is False
    with opened.store.reading() as reader:
        assert [one.number for one in reader.lessons.decisions(api)] == [second]
