"""The second opinion uses measures that do not change with the amount of traffic."""

from __future__ import annotations

import pytest

from server.analysis.rebuild.templates.evidence import Level
from server.analysis.rebuild.templates.nodes import Node, together
from server.analysis.rebuild.templates.second_opinion import Measures, second

NAMES = ("otter", "falcon", "raven", "panda", "tiger", "lynx", "crane", "heron")


def place(calls: dict[str, int], shapes: dict[str, str]) -> Level:
    """A place where words were called and answered a number of times."""
    parent = Node()
    for word, times in calls.items():
        parent.children[word] = child = Node()
        child.count("GET", shapes.get(word, "same"), times)
    parent.add_up()
    return Level({word: [node] for word, node in parent.children.items()}, [parent], "zoo", {}, parent.total)


def measures(level: Level, rate: float, first: dict[str, float] | None = None) -> dict[str, Measures]:
    odds = dict.fromkeys(NAMES, 0.0) | (first or {})
    return second(level, odds, dict.fromkeys(NAMES, 0.0), rate)


@pytest.mark.parametrize("times", [8, 200])
def test_what_is_new_and_seen_once_is_the_same_when_all_comes_more_often(times: int) -> None:
    few = {name: 10 * (8 - rank) for rank, name in enumerate(NAMES)}
    before = measures(place(few, {}), 40.0)["otter"]
    after = measures(place({name: n * times for name, n in few.items()}, {}), 40.0 * times)["otter"]
    for measure in ("new_thinned", "once_thinned", "words_rate", "busiest"):
        assert after[measure] == pytest.approx(before[measure], abs=0.05)


def test_values_that_share_a_template_have_fewer_calls_each_than_a_template_has() -> None:
    values = measures(place(dict.fromkeys(NAMES, 5), {}), 40.0)["otter"]
    words = measures(place(dict.fromkeys(NAMES, 40), {}), 40.0)["otter"]
    assert values["busiest"] < words["busiest"]
    assert values["new_thinned"] > words["new_thinned"]


def test_a_word_is_like_those_that_are_answered_as_it_is() -> None:
    shapes = {"otter": "animal", "falcon": "animal", "raven": "status"}
    found = measures(place(dict.fromkeys(NAMES[:3], 9), shapes), 9.0, {"falcon": 3.0, "raven": -3.0})
    assert found["otter"]["alike"] == 3.0
    assert found["raven"]["alike_known"] == 0.0


def test_a_word_below_many_values_is_independent_of_them_and_what_belongs_to_one_is_not() -> None:
    parents = [Node() for _ in range(30)]
    for number, parent in enumerate(parents):
        for word in ("settings", f"own{number}", f"own{number}"):
            parent.children.setdefault(word, Node()).count("GET", None, 3)
        parent.add_up()
    evidence = Level(together(parents), parents, None, {}, 270).evidence()
    assert evidence["settings"]["independent"] > 3.0
    assert evidence["own7"]["independent"] == 0.0


def test_any_counts_have_finite_measures() -> None:
    level = place({"otter": 1, "falcon": 10**9}, {})
    for measure in measures(level, 1.0, {"otter": 99.0})["falcon"].values():
        assert abs(measure) < 100
