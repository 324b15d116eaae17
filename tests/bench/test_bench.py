"""The benchmark's frame: figures are summarised as documented, parts are found, processes return figures."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from io import StringIO

import pytest
from rich.console import Console

from tests.bench import registry, report
from tests.bench.__main__ import arguments
from tests.bench.figures import Figure, alternating, ratios


def test_a_goal_is_held_against_the_median() -> None:
    assert Figure("f", "u", (1.0, 9.0, 2.0), at_most=2.0).met is True
    assert Figure("f", "u", (1.0, 9.0, 2.1), at_most=2.0).met is False
    assert Figure("f", "u", (0.8, 0.9, 0.1), at_least=0.85).met is False
    assert Figure("f", "u", (1.0,)).met is None


def test_every_other_round_goes_backwards() -> None:
    order: list[str] = []

    def case(name: str) -> int:
        order.append(name)
        return len(order)

    cases = {name: partial(case, name) for name in "ab"}
    assert alternating(3, cases) == {"a": (1, 4, 5), "b": (2, 3, 6)}
    assert order == list("abbaab")


def test_ratios_are_of_the_same_round() -> None:
    assert ratios((1.0, 6.0), (2.0, 3.0)) == (0.5, 2.0)


def test_every_part_says_what_it_is_and_whether_it_needs_root() -> None:
    for name in registry.names():
        assert registry.about(name).endswith(".")
        assert isinstance(registry.part(name).NEEDS_ROOT, bool)


def test_a_figure_survives_the_way_between_processes() -> None:
    figure = Figure("f", "u", (1.0, 2.0), at_most=3.0, yardstick=True, note="n")
    assert report.figure_of(json.loads(json.dumps(asdict(figure)))) == figure


def test_the_json_holds_every_round() -> None:
    told = json.loads(report.as_json({"part": [Figure("f", "u", (3.0, 1.0, 2.0), at_least=5.0)]}))
    assert told["machine"]["cpus"] >= 1
    assert told["figures"][0]["values"] == [3.0, 1.0, 2.0]
    assert (told["figures"][0]["median"], told["figures"][0]["met"]) == (2.0, False)


def test_an_unknown_part_is_a_usage_error() -> None:
    with pytest.raises(SystemExit):
        arguments(["no-such-part"])


def test_without_a_terminal_each_figure_is_one_line() -> None:
    pipe = StringIO()
    console = Console(file=pipe, width=20)
    long = "a figure whose name is longer than any pipe's columns"
    report.show("part", Figure(long, "µs", (3.0, 1.0, 2.0), at_most=5.0), console)
    report.show("part", Figure("[b]", "", (1.0,), note="n"), console)
    assert pipe.getvalue().splitlines() == [
        f"part: {long}: 2 µs (from 1 to 3), goal ≤ 5: met",
        "part: [b]: 1 (from 1 to 1); n",
    ]
