"""Received batches, and both ledgers."""

from __future__ import annotations

from functools import partial

from msgspec.structs import replace

from agent.wire import Batch, Capture
from server.store.rows import AgentRow, CaptureRow
from server.store.unit import Unit
from server.store.values import DAY_NS, DeliveredStart
from tests.server.records import NOON, record
from tests.server.store.conformance.opened import OpenStore, batch_of


def receive(opened: OpenStore, batch: Batch, now: int = NOON) -> bool:
    """Whether the batch was new."""

    def work(unit: Unit) -> bool:
        is_new = not unit.positions.is_duplicate(batch)
        if is_new:
            unit.positions.record(batch, now)
        return is_new

    return opened.do(work)


def only_agent(opened: OpenStore) -> AgentRow:
    with opened.store.reading() as reader:
        (row,) = reader.fleet.agents(10, None).rows
    return row


def test_a_batch_counts_once_whatever_order_it_comes_in(opened: OpenStore) -> None:
    assert [receive(opened, batch_of(seq)) for seq in (1, 2, 5, 3, 2, 5, 1)] == [True] * 4 + [False] * 3
    opened.again()
    assert [receive(opened, batch_of(seq)) for seq in (1, 3, 4, 5)] == [False, False, True, False]
    assert receive(opened, batch_of(1, epoch="other"))
    assert receive(opened, replace(batch_of(1), agent="other"))


def test_what_comes_much_later_than_its_followers_counts_as_seen(opened: OpenStore) -> None:
    assert receive(opened, batch_of(5000))
    assert receive(opened, batch_of(4500))
    assert not receive(opened, batch_of(4000))
    assert not receive(opened, batch_of(1))
    opened.again()
    assert not receive(opened, batch_of(4500))
    assert not receive(opened, batch_of(3000))
    assert receive(opened, batch_of(4501))


def test_the_newest_ledger_of_a_start_holds_and_starts_add_up(opened: OpenStore) -> None:
    receive(opened, batch_of(1, parsed=10))
    receive(opened, batch_of(3, parsed=30))
    receive(opened, batch_of(2, parsed=20))
    receive(opened, batch_of(1, parsed=5, epoch="later"))
    with opened.store.reading() as reader:
        ledgers = reader.fleet.ledgers()
    assert ledgers.agents == {"exchanges": {"parsed": 35}}
    assert sorted(ledger["exchanges"]["parsed"] for _, ledger in ledgers.starts) == [5, 30]
    assert {name for name, _ in ledgers.starts} == {"agent"}


def test_a_start_of_an_agent_is_described(opened: OpenStore) -> None:
    receive(opened, batch_of(1), NOON)
    assert (only_agent(opened).node, only_agent(opened).records) == (None, 0)
    receive(opened, batch_of(2, [record(0), record(1)]), NOON + 7)
    receive(opened, batch_of(3, [record(2)]), NOON + 3)
    row = only_agent(opened)
    assert (row.agent, row.epoch, row.node, row.cluster) == ("agent", "epoch", "node-1", None)
    assert (row.last_seq, row.records, row.first_seen, row.last_seen) == (3, 3, NOON, NOON + 7)
    assert row.ledger == {"exchanges": {"parsed": 0}}


def test_of_each_agent_the_newest_report_of_its_newest_start_is_known(opened: OpenStore) -> None:
    def captured(
        seq: int, now: int, capture: Capture | None, agent: str = "agent", epoch: str = "epoch"
    ) -> None:
        receive(opened, replace(batch_of(seq, epoch=epoch), agent=agent, capture=capture), now)

    captured(1, NOON, Capture("nothing"))
    captured(3, NOON + 2, Capture("everything", 30))
    captured(2, NOON + 3, Capture("nothing"))
    captured(1, NOON + 1, None, agent="older")
    captured(9, NOON + 9, Capture("nothing"), agent="b", epoch="1")
    captured(1, NOON + 10, Capture("everything", 7), agent="b", epoch="2")
    captured(10, NOON + 11, Capture("nothing"), agent="b", epoch="1")
    captured(1, NOON - 5, Capture("everything", 1), agent="forgotten")
    with opened.store.reading() as reader:
        found = {one.agent: one for one in reader.fleet.captures(NOON)}
        rows = {(one.agent, one.epoch): one for one in reader.fleet.agents(10, None).rows}
    assert found == {
        "agent": CaptureRow("agent", "everything", 30, NOON + 3),
        "older": CaptureRow("older", None, None, NOON + 1),
        "b": CaptureRow("b", "everything", 7, NOON + 10),
    }
    assert (rows["b", "1"].watching, rows["b", "1"].lag_ms) == ("nothing", None)
    assert (rows["b", "2"].watching, rows["b", "2"].lag_ms) == ("everything", 7)


def test_who_delivered_since_a_time_is_known_after_a_restart(opened: OpenStore) -> None:
    for second, agent in enumerate("abc"):
        receive(opened, replace(batch_of(1), agent=agent), NOON + second)
    receive(opened, replace(batch_of(2), agent="a"), NOON + 9)
    opened.again()
    found = opened.do(lambda unit: unit.positions.delivered(NOON + 2))
    assert [*found] == [
        DeliveredStart(None, "c", "epoch", NOON + 2),
        DeliveredStart(None, "a", "epoch", NOON + 9),
    ]


def test_agents_of_one_name_in_two_clusters_are_two(opened: OpenStore) -> None:
    for n, cluster in enumerate(("east", "west")):
        start = replace(batch_of(1, [record(0), record(1)][n:], parsed=7 + n, epoch=cluster), cluster=cluster)
        capture = Capture("everything", 10 + n)
        receive(opened, replace(start, capture=capture), NOON + n)
    opened.again()
    with opened.store.reading() as reader:
        fleet = reader.fleet
        rows = {cluster: [*fleet.captures(NOON, cluster)] for cluster in ("east", "west", "north")}
        ledgers = {cluster: fleet.ledgers(cluster) for cluster in ("east", "west", "north")}
        assert [*fleet.captures(NOON)] == rows["east"] + rows["west"]
        assert (fleet.ledgers().agents, fleet.ledgers().records) == ({"exchanges": {"parsed": 15}}, 3)
    assert rows["east"] == [CaptureRow("agent", "everything", 10, NOON, "east")]
    assert rows["west"] == [CaptureRow("agent", "everything", 11, NOON + 1, "west")]
    assert (rows["north"], ledgers["north"].agents, ledgers["north"].records) == ([], {}, 0)
    assert (ledgers["east"].agents, ledgers["east"].records) == ({"exchanges": {"parsed": 7}}, 2)
    assert (ledgers["west"].agents, ledgers["west"].records) == ({"exchanges": {"parsed": 8}}, 1)


def test_the_cluster_of_a_start_is_known_once_one_of_its_batches_has_named_it(opened: OpenStore) -> None:
    def cluster_after(batch: Batch) -> str | None:
        return opened.do(lambda unit: unit.positions.record(batch, NOON))

    assert cluster_after(batch_of(1)) is None
    assert cluster_after(batch_of(2, [replace(record(0), cluster="east")])) == "east"
    assert cluster_after(batch_of(3)) == "east"
    assert cluster_after(replace(batch_of(1, epoch="other"), cluster="west")) == "west"
    found = opened.do(lambda unit: unit.positions.delivered(NOON))
    assert {(one.cluster, one.epoch) for one in found} == {("east", "epoch"), ("west", "other")}


def test_a_batch_of_one_cluster_makes_none_of_another_a_duplicate(opened: OpenStore) -> None:
    clusters = (None, "east", "west")
    for cluster, far in (("east", 10**9), ("west", 1), (None, 1)):
        assert receive(opened, replace(batch_of(far), cluster=cluster))
    for cluster in clusters:
        sent = replace(batch_of(2), cluster=cluster)
        assert receive(opened, sent) is (cluster != "east")
        assert not receive(opened, sent)
    with opened.store.reading() as reader:
        rows = reader.fleet.agents(10, None).rows
    assert {(one.cluster, one.epoch, one.last_seq) for one in rows} == {
        (None, "epoch", 2),
        ("east", "epoch", 10**9),
        ("west", "epoch", 2),
    }


def test_a_start_whose_records_named_the_cluster_goes_on_when_its_batches_do(opened: OpenStore) -> None:
    assert receive(opened, batch_of(1, [replace(record(0), cluster="east")], parsed=3))
    named = [replace(batch_of(seq, parsed=4), cluster="east") for seq in (1, 2, 2)]
    assert [receive(opened, one) for one in named] == [False, True, False]
    assert receive(opened, replace(batch_of(1), cluster="west"))
    row = min((one for one in agents_of(opened) if one.cluster == "east"), key=lambda one: one.number)
    assert (row.last_seq, row.ledger) == (2, {"exchanges": {"parsed": 4}})
    assert [one.cluster for one in agents_of(opened)].count("east") == 1


def agents_of(opened: OpenStore) -> list[AgentRow]:
    with opened.store.reading() as reader:
        return [*reader.fleet.agents(10, None).rows]


def test_an_agent_that_gets_a_cluster_is_still_one_agent(opened: OpenStore) -> None:
    receive(opened, replace(batch_of(1), capture=Capture("everything", 5)), NOON)
    later = replace(batch_of(1, epoch="later"), cluster="east", capture=Capture("everything", 6))
    receive(opened, later, NOON + 1)
    with opened.store.reading() as reader:
        assert [*reader.fleet.captures(NOON)] == [CaptureRow("agent", "everything", 6, NOON + 1, "east")]


def test_sums_of_starts_that_are_over_stay_with_their_cluster(opened: OpenStore) -> None:
    clusters = (None, "east", "west")
    for n, cluster in enumerate(clusters):
        for start in range(3):
            one = batch_of(1, [record(0)], parsed=10**n, epoch=f"{cluster} {start}")
            receive(opened, replace(one, cluster=cluster), NOON)
    for _ in range(2):
        opened.do(partial(forget_starts, NOON + 31 * DAY_NS))
        with opened.store.reading() as reader:
            rows = reader.fleet.agents(10, None).rows
            sums = {cluster: reader.fleet.ledgers(cluster) for cluster in ("east", "west")}
        assert {(one.agent, one.cluster) for one in rows} == {("(earlier)", one) for one in clusters}
        assert len(rows) == 3
        assert {name: one.agents for name, one in sums.items()} == {
            "east": {"exchanges": {"parsed": 30}},
            "west": {"exchanges": {"parsed": 300}},
        }
        assert {one.records for one in sums.values()} == {3}


def forget_starts(now: int, unit: Unit) -> None:
    unit.positions.forget_starts(now)


def is_duplicate(batch: Batch, unit: Unit) -> bool:
    return unit.positions.is_duplicate(batch)


def test_of_starts_that_are_over_only_sums_are_kept(opened: OpenStore) -> None:
    for start in range(20):
        for seq in (3, 2, 4):
            receive(opened, batch_of(seq, [record(seq)], parsed=seq, epoch=f"start {start}"), NOON + start)
    receive(opened, batch_of(1, parsed=7, epoch="present"), NOON + 31 * DAY_NS)
    for days in (1.5, 31, 31):
        with opened.store.reading() as reader:
            before = reader.fleet.ledgers()
        opened.do(partial(forget_starts, NOON + int(days * DAY_NS)))
        opened.again()
        with opened.store.reading() as reader:
            after, rows = reader.fleet.ledgers(), reader.fleet.agents(100, None).rows
        assert after.agents == before.agents == {"exchanges": {"parsed": 20 * 4 + 7}}
        assert sum(one.records for one in rows) == 60
        if days == 1.5:
            again = [batch_of(seq, epoch="start 0") for seq in (1, 2, 3, 4, 5)]
            known = [opened.do(partial(is_duplicate, one)) for one in again]
            assert (known, len(rows)) == ([True] * 4 + [False], 21)
    assert sorted(one.epoch for one in rows) == ["(earlier)", "present"]
    assert (rows[-1].first_seen, rows[-1].last_seen) == (NOON, NOON + 19)


def test_the_servers_own_ledger_adds_up(opened: OpenStore) -> None:
    opened.do(lambda unit: unit.positions.count({"stored": 2, "refused": 0}))
    opened.do(lambda unit: unit.positions.count({"stored": 3, "merged": 1}))
    with opened.store.reading() as reader:
        assert reader.fleet.ledgers().server == {"stored": 5, "merged": 1}


def stored_two(cluster: str | None, unit: Unit) -> None:
    unit.positions.count({"stored": 2}, cluster)


def test_the_servers_own_ledger_is_of_one_cluster_or_of_all(opened: OpenStore) -> None:
    for cluster in ("east", "west", "east", None):
        opened.do(partial(stored_two, cluster))
    opened.again()
    with opened.store.reading() as reader:
        found = {at: reader.fleet.ledgers(at).server for at in ("east", "west", "north", None)}
    assert found == {"east": {"stored": 4}, "west": {"stored": 2}, "north": {}, None: {"stored": 8}}
