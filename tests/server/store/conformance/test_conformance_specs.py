"""Specifications, and accepted deviations for them."""

from __future__ import annotations

from functools import partial

import pytest
from msgspec.structs import replace as changed

from agent.wire import Record
from server.analysis.specs.amending.patches import Change, replace
from server.store.filters import Filters
from server.store.rows import DeviationState, Proposal, SpecTitle
from server.store.unit import Unit
from server.store.values import DeviationDecision, StoredSpec, Upload
from tests.server.records import NOON, record
from tests.server.store.conformance.opened import UNKNOWN_STATUS, OpenStore, show, someone

RAW = b'  {"openapi": "3.1.0", "\xc3\xa9": "\x00"}'
PATCH: list[Change] = [replace("/info", "title", "Shöp")]


def add(opened: OpenStore, api: int, title: str = "Shop", now: int = NOON) -> StoredSpec:
    upload = Upload(RAW, "shop.local", "/v1")
    return opened.do(lambda unit: unit.specs.add(api, upload, title, "1.2", ["a", "warning"], now))


def api_of(one: Record, unit: Unit) -> int:
    return unit.apis.resolve(one)[0]


def accept(opened: OpenStore, api: int, spec: str, place: str = "500") -> None:
    decision = DeviationDecision(DeviationState.ACCEPTED, "agreed", "Ann", NOON, spec, PATCH)
    identity = UNKNOWN_STATUS._replace(place=place)
    opened.do(lambda unit: unit.decisions.decide(api, identity, decision))


def proposals(opened: OpenStore, api: int, spec: str | None = None) -> list[Proposal]:
    with opened.store.reading() as reader:
        return [*reader.deviations.proposals(api, spec)]


def test_a_specification_is_found_as_it_was_uploaded(opened: OpenStore) -> None:
    api = opened.do(lambda unit: unit.apis.declare(["shop.local"], "Shop"))
    added = add(opened, api)
    opened.again()
    assert (added.api, added.host, added.base_path) == (api, "shop.local", "/v1")
    assert opened.do(lambda unit: unit.specs.find(added.id)) == added
    assert opened.do(lambda unit: unit.specs.find("none")) is None
    assert opened.do(lambda unit: unit.specs.document(added.number)) == RAW
    api_id = opened.do(lambda unit: unit.apis.id_of(api))
    with opened.store.reading() as reader:
        found = reader.specs.one(added.id)
        assert reader.specs.one("none") is None
        assert found is not None
        assert reader.specs.of_api(api) == [found]
    row = found.row
    assert (row.number, row.id, row.api, row.host, row.base_path) == (
        *(added.number, added.id, api_id),
        *("shop.local", "/v1"),
    )
    assert (row.title, row.version, row.uploaded, row.warnings) == ("Shop", "1.2", NOON, ["a", "warning"])
    assert (found.raw, found.is_json) == (RAW, True)
    (listed,) = opened.apis()
    assert listed.specs == [SpecTitle(added.id, "Shop", "1.2")]


def test_specifications_are_in_the_order_of_their_uploads(opened: OpenStore) -> None:
    api, _ = opened.do(someone)
    added = [add(opened, api) for _ in range(8)]
    assert len({one.id for one in added}) == 8
    assert opened.do(lambda unit: unit.specs.stored()) == added
    with opened.store.reading() as reader:
        assert [one.row.id for one in reader.specs.of_api(api)] == [one.id for one in added[::-1]]


def test_specifications_are_those_of_a_clusters_apis(opened: OpenStore) -> None:
    added = {}
    for cluster in ("east", "west", None):
        api = opened.do(partial(api_of, changed(record(0), cluster=cluster)))
        added[cluster] = add(opened, api)
    with opened.store.reading() as reader:
        for cluster in ("east", "west"):
            assert [row.id for row in reader.specs.listed(10, None, cluster).rows] == [added[cluster].id]
        assert len(reader.specs.listed(10, None).rows) == 3
        assert reader.specs.listed(10, None, "north").rows == []


def test_a_title_of_megabytes_is_cut(opened: OpenStore) -> None:
    api, _ = opened.do(someone)
    add(opened, api, "x" * 15_000_000)
    with opened.store.reading() as reader:
        (row,) = reader.specs.listed(10, None).rows
    assert len(row.title) <= 1000
    assert opened.do(lambda unit: unit.retention.used_bytes()) < 1_000_000


def test_a_specification_goes_with_what_was_proposed_for_it_alone(opened: OpenStore) -> None:
    api, consumer = opened.do(someone)
    added = [add(opened, api) for _ in range(8)]
    for number, one in enumerate(added):
        accept(opened, api, one.id, f"50{number}")
    ignored = DeviationDecision(DeviationState.IGNORED, None, None, NOON)
    opened.do(lambda unit: unit.decisions.decide(api, UNKNOWN_STATUS._replace(place="none"), ignored))
    opened.do(lambda unit: show(unit, api, consumer, UNKNOWN_STATUS._replace(place="503")))
    opened.do(lambda unit: unit.specs.remove(added[3:5]))
    left = added[:3] + added[5:]
    assert opened.do(lambda unit: unit.specs.stored()) == left
    assert [one.spec for one in proposals(opened, api)] == [one.id for one in left]
    assert opened.do(lambda unit: unit.decisions.ignored()) == {
        api: frozenset({UNKNOWN_STATUS._replace(place="none")})
    }
    with opened.store.reading() as reader:
        (row,) = reader.deviations.listed(Filters(), 10, None).rows
    assert row.state == DeviationState.OPEN


def test_an_id_is_never_given_again(opened: OpenStore) -> None:
    api, _ = opened.do(someone)
    first = add(opened, api)
    opened.do(lambda unit: unit.specs.remove([first]))
    assert add(opened, api).id != first.id


def test_proposals_are_listed_as_they_were_made(opened: OpenStore) -> None:
    api, _ = opened.do(someone)
    first, second = add(opened, api), add(opened, api)
    accept(opened, api, first.id, "500")
    accept(opened, api, second.id, "501")
    opened.again()
    one, two = proposals(opened, api)
    assert one == Proposal(UNKNOWN_STATUS, first.id, PATCH, "agreed", "Ann", NOON)
    assert (two.spec, two.identity.place) == (second.id, "501")
    assert proposals(opened, api, second.id) == [two]
    assert proposals(opened, api + 1) == proposals(opened, api, "none") == []
    opened.do(lambda unit: unit.decisions.undo(api, UNKNOWN_STATUS))
    assert proposals(opened, api) == [two]


@pytest.mark.parametrize(("host", "base_path"), [(None, None), ("shop.local", None), (None, "")])
def test_what_was_not_given_is_absent(opened: OpenStore, host: str | None, base_path: str | None) -> None:
    api, _ = opened.do(someone)
    upload = Upload(RAW, host, base_path)
    added = opened.do(lambda unit: unit.specs.add(api, upload, "", "", [], NOON))
    assert opened.do(lambda unit: unit.specs.find(added.id)) == added
    assert (added.host, added.base_path) == (host, base_path)
