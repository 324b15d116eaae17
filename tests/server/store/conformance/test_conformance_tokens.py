"""Tokens of clusters: what is stored of them, and what is not."""

from __future__ import annotations

from functools import partial

from server.store.tokens import KnownToken
from server.store.unit import Unit
from tests.server.records import NOON
from tests.server.store.conformance.opened import OpenStore, pieces

ONE, TWO, THREE = bytes(32), b"\1" * 32, b"\2" * 32


def add(id: str, cluster: str, digest: bytes, now: int, unit: Unit) -> None:
    unit.tokens.add(id, f"agents of {cluster} ({id})", "ingest", cluster, digest, now)


def test_tokens_are_listed_newest_first_and_by_cluster(opened: OpenStore) -> None:
    for n in range(5):
        opened.do(partial(add, f"id-{n}", "east" if n % 2 else "west", bytes([n]) * 32, NOON + n))
    opened.again()
    with opened.store.reading() as reader:
        found = pieces(partial(reader.tokens.listed, None), 2)
        assert [one.id for one in found] == [f"id-{n}" for n in (4, 3, 2, 1, 0)]
        assert [one.id for one in pieces(partial(reader.tokens.listed, "east"), 1)] == ["id-3", "id-1"]
        assert pieces(partial(reader.tokens.listed, "north"), 1) == []
        row = reader.tokens.one("id-3")
        assert row == reader.tokens.named("agents of east (id-3)")
        assert (reader.tokens.one("id-9"), reader.tokens.named("id-3")) == (None, None)
    assert row is not None
    assert (row.role, row.cluster, row.created, row.last_used) == ("ingest", "east", NOON + 3, None)
    assert opened.do(lambda unit: unit.tokens.count()) == 5


def test_a_rotated_token_keeps_its_previous_digest_only_if_that_has_an_end(opened: OpenStore) -> None:
    def known() -> list[KnownToken]:
        with opened.store.reading() as reader:
            return [*reader.tokens.known()]

    opened.do(partial(add, "id", "east", ONE, NOON))
    assert known() == [KnownToken("id", "east", ONE)]
    assert opened.do(lambda unit: unit.tokens.rotate("id", TWO, NOON + 1, NOON + 9))
    opened.again()
    assert known() == [KnownToken("id", "east", TWO, ONE, NOON + 9)]
    assert opened.do(lambda unit: unit.tokens.rotate("id", THREE, NOON + 2, None))
    assert known() == [KnownToken("id", "east", THREE)]
    assert not opened.do(lambda unit: unit.tokens.rotate("other", ONE, NOON, None))


def test_the_last_use_never_goes_back(opened: OpenStore) -> None:
    opened.do(partial(add, "id", "east", ONE, NOON))
    opened.do(lambda unit: unit.tokens.record_use("id", NOON + 7))
    opened.do(lambda unit: unit.tokens.record_use("id", NOON + 3))
    with opened.store.reading() as reader:
        row = reader.tokens.one("id")
    assert row is not None
    assert row.last_used == NOON + 7


def test_a_revoked_token_is_gone_and_its_name_is_free(opened: OpenStore) -> None:
    opened.do(partial(add, "id", "east", ONE, NOON))
    opened.undo(lambda unit: unit.tokens.revoke("id"))
    assert opened.do(lambda unit: unit.tokens.revoke("id"))
    assert not opened.do(lambda unit: unit.tokens.revoke("id"))
    with opened.store.reading() as reader:
        assert (reader.tokens.known(), reader.tokens.one("id")) == ([], None)
    opened.do(lambda unit: unit.tokens.add("next", "agents of east (id)", "ingest", "east", TWO, NOON))
