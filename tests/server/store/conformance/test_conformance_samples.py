"""Stored exchanges and their views: numbered once, written, rewritten, and deleted by retention."""

from __future__ import annotations

from dataclasses import replace

from msgspec import structs

from agent.wire import Body, Endpoint, Response, pack_record
from server.analysis.inventory import ConsumerKind
from server.store.draft import ExchangeDraft
from server.store.rows import Learnable
from server.store.unit import Unit
from server.store.values import DAY_NS, HOUR_NS, RetentionBounds, StoredView
from tests.server.narrowed import by
from tests.server.records import NETNS, NOON, both, record
from tests.server.store.conformance.opened import UNKNOWN_STATUS, OpenStore, count, someone, take

MUCH = 2**40  # bytes


def paired(unit: Unit) -> ExchangeDraft:
    """Stores the client's view of an exchange, then the server's."""
    client, server = both(0)
    (draft,) = take(unit, client)
    draft.records.append(server)
    (draft.second,) = unit.samples.numbers(1, NOON)
    unit.samples.add_views([StoredView(draft.second, server.id, draft.number, pack_record(server))])
    draft.deviations = {UNKNOWN_STATUS: "not described"}
    draft.duration, draft.why, draft.deprecated, draft.revision = 5, "a reason", True, 3
    assert draft.counted is not None
    draft.fault, draft.counted = "caller", replace(draft.counted, fault="caller")
    unit.samples.write([draft])
    return draft


def kept(opened: OpenStore) -> list[int]:
    return sorted(one.number for one in opened.exchanges())


def drop(opened: OpenStore, days: float, now: int, target: int = MUCH) -> int:
    """Deletes everything that may be deleted."""
    dropped, some = 0, 1
    while some:
        some = opened.do(lambda unit: unit.retention.drop_some(RetentionBounds(days, MUCH), now, target))
        dropped += some
    return dropped


def test_a_number_is_given_once_whatever_is_dropped(opened: OpenStore) -> None:
    first = [*opened.do(lambda unit: unit.samples.numbers(3, NOON))]
    assert first == [first[0], first[0] + 1, first[0] + 2]
    opened.undo(lambda unit: unit.samples.numbers(5, NOON))
    (draft,) = opened.do(lambda unit: take(unit, record(0)))
    assert draft.number > first[-1]
    assert drop(opened, 0, NOON + DAY_NS) == 1
    opened.again()
    (later,) = opened.do(lambda unit: unit.samples.numbers(1, NOON))
    assert later > draft.number


def test_ids_of_views_are_known(opened: OpenStore) -> None:
    draft = opened.do(paired)
    ids = [one.id for one in draft.records]
    asked = [*ids, *(f"other-{n}" for n in range(2000))]
    assert {*opened.do(lambda unit: unit.samples.known(asked))} == {*ids}
    assert not opened.do(lambda unit: unit.samples.known([]))


def test_an_exchange_is_loaded_as_it_was_written(opened: OpenStore) -> None:
    written = opened.do(paired)
    opened.again()
    loaded = opened.do(lambda unit: unit.samples.load(written.number))
    assert loaded == written
    assert opened.do(lambda unit: unit.samples.load(written.number + 1)) is None


def test_an_exchange_is_read_as_it_was_written_by_the_id_of_either_view(opened: OpenStore) -> None:
    written = opened.do(paired)
    (row,) = opened.exchanges()
    assert (row.number, row.api, row.operation) == (written.number, written.api, "GET /users/1")
    assert (row.duration, row.why, row.fault, row.deprecated) == (5, "a reason", "caller", True)
    assert (row.deviations, row.views) == ({UNKNOWN_STATUS: "not described"}, written.records)
    assert (row.consumer_kind, row.consumer_name) == (ConsumerKind.USER_AGENT, "curl/8.0")
    with opened.store.reading() as reader:
        assert [reader.exchanges.one(view.id) for view in written.records] == [row, row]
        assert reader.exchanges.one("none") is None
        assert reader.exchanges.views([row.number, row.number + 1]) == {row.number: row.views}


def test_a_call_without_an_answer_has_no_status(opened: OpenStore) -> None:
    (draft,) = opened.do(lambda unit: take(unit, record(0, status=None)))
    loaded = opened.do(lambda unit: unit.samples.load(draft.number))
    assert loaded is not None
    assert loaded.counted is not None
    assert loaded.counted.status is None
    with opened.store.reading() as reader:
        (learnable,) = reader.exchanges.after(0, 9)
    assert learnable == Learnable(draft.number, draft.api, loaded.counted.operation, None)


def test_what_was_not_judged_as_the_api_stands_is_listed_until_it_is_or_is_given_up(
    opened: OpenStore,
) -> None:
    drafts = opened.do(lambda unit: take(unit, *(record(n) for n in range(5))))
    api = drafts[0].api
    listed = opened.do(lambda unit: unit.samples.unjudged(api, 1, 3))
    assert len(listed) == 3
    assert {*opened.do(lambda unit: unit.samples.unjudged(api, 1, 9))} == {one.number for one in drafts}
    drafts[0].revision = 1
    opened.do(lambda unit: unit.samples.write(drafts[:1]))
    opened.do(lambda unit: unit.samples.mark_judged(drafts[1].number, 1))
    assert {*opened.do(lambda unit: unit.samples.unjudged(api, 1, 9))} == {one.number for one in drafts[2:]}
    assert opened.do(lambda unit: unit.samples.unjudged(api + 1, 1, 9)) == []


def test_exchanges_with_a_deviation_are_judged_again_and_still_counted(opened: OpenStore) -> None:
    drafts = opened.do(lambda unit: take(unit, *(record(n) for n in range(3)), verdict="deviating"))
    api, other = drafts[0].api, UNKNOWN_STATUS._replace(place="50")

    def show(unit: Unit) -> None:
        for draft, found in zip(drafts, (UNKNOWN_STATUS, other, UNKNOWN_STATUS), strict=True):
            draft.deviations, draft.revision = {found: 'not "described"'}, 4
        unit.samples.write(drafts)

    opened.do(show)
    for _ in range(2):
        opened.do(lambda unit: unit.samples.reconsider(api, UNKNOWN_STATUS))
        found = opened.do(lambda unit: unit.samples.unjudged(api, 4, 9))
        assert {*found} == {drafts[0].number, drafts[2].number}
    loaded = opened.do(lambda unit: unit.samples.load(drafts[0].number))
    assert loaded is not None
    assert loaded.revision == 4
    opened.do(lambda unit: unit.samples.mark_judged(drafts[0].number, 4))
    opened.do(lambda unit: unit.samples.mark_judged(drafts[1].number, 5))
    shown = {one.number: (one.verdict, len(one.deviations)) for one in opened.exchanges()}
    assert shown[drafts[0].number] == ("deviating", 1)
    assert shown[drafts[1].number] == (None, 0)


def test_exchanges_go_so_many_days_after_they_came_and_their_counts_stay(opened: OpenStore) -> None:
    early = opened.do(lambda unit: take(unit, record(0), now=NOON))
    late = opened.do(lambda unit: take(unit, record(1), record(2), now=NOON + DAY_NS))
    opened.again()
    assert drop(opened, 7, NOON + 7 * DAY_NS) == 0
    assert drop(opened, 7, NOON + 7 * DAY_NS + HOUR_NS) == 1
    assert kept(opened) == [one.number for one in late]
    assert opened.do(lambda unit: unit.samples.known([early[0].id])) == set()
    assert drop(opened, 7, NOON + 8 * DAY_NS + HOUR_NS) == 2
    assert kept(opened) == []
    (operation,) = opened.operations(early[0].api)
    assert operation.count == 3


def test_what_came_while_the_clock_was_ahead_is_kept_no_longer(opened: OpenStore) -> None:
    opened.do(lambda unit: take(unit, record(0), now=NOON + 999 * DAY_NS))
    (after,) = opened.do(lambda unit: take(unit, record(1), now=NOON))
    assert drop(opened, 7, NOON + 7 * DAY_NS) == 1
    assert kept(opened) == [after.number]
    assert drop(opened, 7, NOON + 7 * DAY_NS + HOUR_NS) == 1


def test_exchanges_that_came_first_go_first_when_there_is_too_little_room(opened: OpenStore) -> None:
    body = Body(50_000, bytes(50_000), "complete")
    large = Response(200, (), (), body, None)
    bulky = [record(n, response=large) for n in range(100)]
    numbers = [one.number for one in opened.do(lambda unit: take(unit, *bulky))]
    used = opened.do(lambda unit: unit.retention.used_bytes())
    assert used > 100 * 50_000
    dropped = drop(opened, 7, NOON, used // 2)
    assert 0 < dropped < 100
    assert kept(opened) == numbers[dropped:]
    assert opened.do(lambda unit: unit.retention.used_bytes()) <= used // 2
    left = 1
    while left:
        fewer = opened.do(lambda unit: unit.retention.release_space())
        assert fewer < left or fewer == 0 or left == 1
        left = fewer
    assert kept(opened) == numbers[dropped:]


def test_hours_long_past_become_days_but_of_hours_that_have_samples(opened: OpenStore) -> None:
    hours = [NOON + hour * HOUR_NS for hour in range(6)]
    (draft,) = opened.do(lambda unit: take(unit, record(0, start=hours[5])))
    assert draft.counted is not None
    of_hours = [replace(draft.counted, time=time) for time in hours]
    opened.do(lambda unit: count(unit, *of_hours))

    def first_seen() -> tuple[int, int]:
        (operation,) = opened.operations(draft.api)
        (by,) = operation.consumers
        assert operation.count == by.count == 7
        return by.first_seen, by.last_seen

    bounds = RetentionBounds(7, MUCH)
    opened.do(lambda unit: unit.retention.fold_hours(bounds, NOON + DAY_NS))
    assert first_seen() == (hours[0], hours[5])
    opened.do(lambda unit: unit.retention.fold_hours(bounds, NOON + 365 * DAY_NS))
    assert first_seen() == (NOON - 12 * HOUR_NS, hours[5])
    opened.do(lambda unit: unit.calls.add(draft.counted, -1) if draft.counted else None)
    opened.do(lambda unit: unit.calls.flush())
    (operation,) = opened.operations(draft.api)
    assert operation.count == 6


def test_samples_of_other_ends_are_filtered_by_namespace_and_workload(opened: OpenStore) -> None:
    server = Endpoint("10.0.0.1", 8080, NETNS, namespace="shop", workload="orders")
    named, _ = opened.do(lambda unit: take(unit, record(0, server=server), record(1)))
    for filters in (by(namespace="shop"), by(workload="orders")):
        assert [one.number for one in opened.exchanges(filters)] == [named.number]
    for filters in (by(namespace="sho"), by(workload="orders2")):
        assert opened.exchanges(filters) == []


def test_samples_are_filtered_by_cluster_and_by_pod_and_image_of_either_end(opened: OpenStore) -> None:
    shop = Endpoint(
        *("10.0.0.1", 8080, NETNS), pod="shop-1", namespace="shop", image="shop:1.2", digest="sha256:5"
    )
    till = Endpoint("10.0.0.2", 40000, pod="till-1", namespace="front")
    ours = structs.replace(record(0, server=shop, client=till), cluster="east")
    others = structs.replace(record(1), cluster="west")
    named, _ = opened.do(lambda unit: take(unit, ours, others))
    for filters in (
        *(by(cluster="east"), by(pod="shop-1"), by(pod="till-1")),
        *(by(image="shop:1.2"), by(image="sha256:5")),
        by(cluster="east", pod="till-1", image="shop:1.2"),
    ):
        assert [one.number for one in opened.exchanges(filters)] == [named.number]
        with opened.store.reading() as reader:
            (api,) = reader.inventory.apis(filters, 9, None).rows
            assert (api.number, api.cluster) == (named.api, "east")
    for filters in (by(cluster="eas"), by(pod="shop"), by(cluster="west", pod="shop-1")):
        assert opened.exchanges(filters) == []
        with opened.store.reading() as reader:
            assert [*reader.inventory.apis(filters, 9, None).rows] == []


def test_nothing_is_asked_of_an_empty_store_in_vain(opened: OpenStore) -> None:
    api, _ = opened.do(someone)
    assert (kept(opened), drop(opened, 0, NOON + DAY_NS)) == ([], 0)
    with opened.store.reading() as reader:
        assert (reader.exchanges.after(0, 9), [*reader.exchanges.samples(api, 9)]) == ([], [])
