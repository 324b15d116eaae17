"""Later versions load what a learner stored; whatever a body has can be stored."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from server.analysis.rebuild.document import DocumentOptions, document
from server.analysis.rebuild.learn_input import LearnOutcome
from server.analysis.rebuild.learner import Learner
from server.analysis.rebuild.text import to_json, to_yaml
from tests.server.analysis.rebuild.traffic import call, learnt, validate

STORED = Path(__file__).parents[3] / "data/learners"


@pytest.mark.parametrize("version", [1])
def test_a_learner_of_every_earlier_version_is_read(version: int) -> None:
    state = zstandard.decompress((STORED / f"learner-{version}.msgpack.zst").read_bytes())
    expected = json.loads((STORED / f"learner-{version}.json").read_text())
    learner = Learner.restore(state)
    assert document(learner, DocumentOptions("Shop")) == expected
    assert document(Learner.restore(learner.state()), DocumentOptions("Shop")) == expected


numbers = (
    st.integers(-(10**90), 10**90).map(str)
    | st.integers(1, 6_000).map(lambda digits: "-" * (digits % 2) + "9" * digits)
    | st.sampled_from(
        ["1e999", "-1e999", "1E-999", "-0.0", "0", "1e22", "1.0", "1" + "0" * 40 + ".5", "-1E+300"]
    )
    | st.integers(2**63 - 2, 2**64 + 2).map(str)
    | st.sampled_from(["NaN", "Infinity", "-Infinity"])  # not JSON, although Python reads it
)
texts = (
    st.text(max_size=6).map(json.dumps)
    | st.sampled_from(
        ['"\\ud800"', '"\\udfff\\ud800"', '"\\ud83d\\ude00"', '""', '"\\u0000"', '"<<"', '"\\u0085"']
    )
    | st.integers(60, 5_000).map(lambda length: '"' + "k" * length + '"')
)
leaves = numbers | texts | st.sampled_from(["null", "true", "false", "[]", "{}"])


def _array(below: list[str]) -> str:
    return "[" + ",".join(below) + "]"


def _object(below: list[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{key}:{value}" for key, value in below) + "}"


def _nested(value: str, levels: int) -> str:
    opening = ('{"a":' if level % 3 else "[" for level in range(levels))
    closing = ("}" if level % 3 else "]" for level in reversed(range(levels)))
    return "".join(opening) + value + "".join(closing)


bodies = st.recursive(
    leaves,
    lambda below: (
        st.lists(below, max_size=4).map(_array)
        | st.lists(st.tuples(texts, below), max_size=4).map(_object)
        | st.builds(_nested, below, st.integers(1, 70) | st.just(2_000))
    ),
    max_leaves=8,
)


def strict(found: dict[str, Any]) -> str:
    return json.dumps(found, allow_nan=False, sort_keys=True)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(bodies, bodies), min_size=1, max_size=6))
def test_any_json_is_learnt_stored_read_and_written(sent: list[tuple[str, str]]) -> None:
    records = [
        call("POST", "/things", 200, answer.encode("utf-8"), sent=asked.encode("utf-8"))
        for asked, answer in sent
    ]
    learner = Learner()
    assert {learner.learn(one) for one in records} == {LearnOutcome.LEARNT}
    found = document(learner, DocumentOptions("Shop"))
    validate(found)
    assert strict(document(Learner.restore(learner.state()), DocumentOptions("Shop"))) == strict(found)
    assert strict(json.loads(to_json(found))) == strict(found)
    assert strict(yaml.safe_load(to_yaml(found))) == strict(found)


def learnt_of(*answers: str) -> Any:
    learner = learnt(call(answer=answer.encode()) for answer in answers)
    found: Any = document(Learner.restore(learner.state()), DocumentOptions("Shop"))
    content = found["paths"]["/users"]["get"]["responses"]["200"]["content"]
    return content["application/json"]["schema"]


@pytest.mark.parametrize("number", ["18446744073709551616", "-9223372036854775809", "1" + "0" * 64])
def test_an_integer_of_any_size_is_an_integer_with_its_lowest_value(number: str) -> None:
    assert learnt_of(number) == {"type": "integer", "examples": [int(number)]}


@pytest.mark.parametrize("number", ["-1e999", "1e999", "9" * 4_000, "-1e300"])
def test_a_number_too_far_out_is_no_example(number: str) -> None:
    assert learnt_of(number) == {"type": "integer" if number.isdecimal() else "number"}


@pytest.mark.parametrize("numbers", [["1", "1.0"], ["1.0", "1"], ["2.5", "1.0", "1"]])
def test_a_whole_number_is_the_same_example_whichever_way_it_was_written(numbers: list[str]) -> None:
    assert math.copysign(1, learnt_of(*numbers)["examples"][0]) == 1
    assert repr(learnt_of(*numbers)["examples"]) == "[1]"


def test_zero_has_no_sign() -> None:
    assert repr(learnt_of("-0.0", "0")) == repr(learnt_of("0", "-0.0")) == repr(learnt_of("-0.0", "0.5", "0"))
