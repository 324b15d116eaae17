"""The model agrees with an older server, which counted each view on arrival; and its calls are of every
kind.
"""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from server.analysis.clocks import SKEW_NS
from tests.oracle.batches import deliveries
from tests.oracle.calls import SECOND, UNPLACED, Call, Saw, traffic
from tests.oracle.frozen import FOLDER, World, kept
from tests.oracle.kinds import COLOUR, ID, KINDS, LACKING, Judged
from tests.oracle.model import SEEN, Key, counts
from tests.oracle.world import ADDRESSES, CALLERS, NODES, SERVERS

BLAMED_UNANSWERED = {
    "asked wrong": Judged("deviating", ("hits:none", "deviating", ID), COLOUR),
    "made wrong": Judged("deviating", ("hits:none", "deviating", "field:request.body/count"), LACKING),
}
"""That server counted wrong requests as deviations also if no answer was seen."""

WORLDS = kept(FOLDER / "2f925bc.json.gz")


@pytest.mark.parametrize("world", WORLDS, ids=range(len(WORLDS)))
def test_the_model_counts_what_the_server_of_2f925bc_counted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, judged in BLAMED_UNANSWERED.items():
        monkeypatch.setitem(KINDS, name, replace(KINDS[name], unanswered=judged))
    found = counts(world.calls, world.skews)
    assert found.pop("uncertain") == {}
    assert found.keys() == world.counts.keys()
    found["coverage"] = {key: count for key, count in found["coverage"].items() if not _is_newer(key)}
    for table, expected in world.counts.items():
        if table in SEEN:  # from one view of each call
            assert found[table] == pytest.approx(expected, rel=0, abs=SKEW_NS)
        else:
            assert {key: count for key, count in found[table].items() if _was_counted(key)} == expected, table


def _was_counted(key: Key) -> bool:
    """Later servers also count coverage by namespace, and calls that nothing describes."""
    return key[3:4] != ("namespace",) and not str(key[-1]).startswith("undescribed:")


def _is_newer(key: Key) -> bool:
    """Whether that server did not count it: coverage by namespace, and calls that nothing describes."""
    return key[3] == "namespace" or str(key[-1]).startswith("undescribed:")


def test_a_call_more_shows_in_every_table() -> None:
    for world in WORLDS:
        more = counts([*world.calls, *world.calls[:1]], world.skews)
        assert more["calls"] != world.counts["calls"]


def sorts(call: Call) -> set[str]:
    """The kinds that a call is an example of."""
    ends = f"{call.client_saw or 'not seen'}, {call.server_saw or 'not seen'}"
    unplaced = f"{call.unplaced or 'none'} unplaced, {'both' if call.server_saw else 'one'} seen"
    way = f"{call.there // SECOND} s there, {call.back // SECOND} s back"
    places = SERVERS[call.server].places
    is_far = bool(places) and CALLERS[call.caller].node != places[call.place].node
    joined = f"joined {call.joined}" + (" far" if is_far else " near")
    return {call.kind, call.protocol, call.caller, call.server, call.address, ends, unplaced, way, joined}


def test_the_calls_are_of_every_sort() -> None:
    calls = traffic(random.Random(0), 3000)
    for seed in range(4):
        calls += traffic(random.Random(seed), 300, in_order=True)
    found = set().union(*map(sorts, calls))
    assert found >= {*KINDS, *CALLERS, *SERVERS, *ADDRESSES, "h1", "h2"}
    whole, unseen, unanswered = Saw.WHOLE, Saw.BODY_UNSEEN, Saw.UNANSWERED
    alone = {f"{saw}, not seen" for saw in Saw} | {f"not seen, {saw}" for saw in (whole, unseen)}
    both = {
        f"{one}, {other}"
        for one, other in [(whole, whole), (whole, unseen), (unseen, whole), (unanswered, whole)]
    }
    assert found >= alone | both | {"not seen, not seen"}
    assert found >= {f"{one} unplaced, both seen" for one in UNPLACED} | {"client unplaced, one seen"}
    assert found >= {"0 s there, 2 s back", "2 s there, 0 s back", "8 s there, 0 s back"}
    assert found >= {f"joined {calls} {place}" for calls in (1, 2, 8, 9) for place in ("far", "near")}
    ports = {(call.caller, call.port, call.connection) for call in calls}
    assert len({(caller, port) for caller, port, _ in ports}) < len(ports), "no port is used again"


def test_every_view_is_delivered_once() -> None:
    calls = traffic(random.Random(1), 500)
    found = [
        one.id
        for batch in deliveries(random.Random(1), calls, dict.fromkeys(NODES, 0))
        for one in batch.batch.records
    ]
    ends = sum((call.client_saw is not None) + (call.server_saw is not None) for call in calls)
    assert len(found) == len({*found}) == ends
