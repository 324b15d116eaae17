"""Which of the answers, media types and values that an operation allows were seen."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.wire import Mask, Record
from server.analysis.coverage import keywords as module
from server.analysis.coverage.counts import By, Counts
from server.analysis.coverage.outline import Outline
from server.analysis.coverage.report import report
from server.analysis.specs.judging.judged import Judged
from server.analysis.specs.specification import Specification
from tests.server.analysis.specs.spec_calls import PATIENT, answering, body, call, parameter, spec

PET = {
    "type": "object",
    "properties": {
        "state": {"type": "string", "enum": ["free", "sold"]},
        "tame": {"type": "boolean"},
        "name": {"type": "string", "minLength": 1, "maxLength": 5},
        "toys": {"type": "array", "maxItems": 2, "items": {"enum": [1, 2]}},
        "kind": {
            "oneOf": [
                {"type": "object", "required": ["meow"], "properties": {"meow": {"type": "string"}}},
                {"type": "object", "required": ["bark"], "properties": {"bark": {"type": "integer"}}},
            ]
        },
    },
}


def hits(specification: Specification, *records: Record) -> dict[str, int]:
    outline, counts = Outline([specification]), Counts(with_keywords=True)
    for record in records:
        counts.add_exchange(Judged.by(specification, record), outline, By.USER_AGENT)
    found: Any = report(outline, counts)
    (operation,) = [one for one in found["operations"] if one["hits"]]
    assert isinstance(operation["keywords"], dict)
    return operation["keywords"]


def answered(value: Any, **options: Any) -> dict[str, int]:
    return hits(answering(PET), call(answer=body(value), **options))


def hit(found: dict[str, int]) -> set[str]:
    return {name.replace("response.body.200", "") for name, count in found.items() if count}


STATUS_AND_MEDIA = {"status 200", "media  application/json"}


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ({"state": "sold"}, {'value /state "sold"'}),
        ({"tame": False}, {"value /tame false"}),
        ({"name": "Bello"}, {"bound /name maxLength"}),
        ({"name": "B"}, {"bound /name minLength"}),
        ({"toys": [1, 7]}, {"bound /toys maxItems", "value /toys/* 1"}),
        ({"toys": [1.0, True]}, {"bound /toys maxItems", "value /toys/* 1"}),
        ({"kind": {"meow": "loud"}}, {"branch /kind oneOf/0"}),
        ({"kind": {"bark": 3}}, {"branch /kind oneOf/1"}),
        ({"kind": {"bark": "3"}}, set()),
        ({"other": "sold"}, set()),
        ("sold", set()),
    ],
)
def test_a_value_hits_the_keywords_of_its_place(value: Any, names: set[str]) -> None:
    assert hit(answered(value)) == STATUS_AND_MEDIA | names


def test_what_was_not_hit_is_listed_with_none() -> None:
    found = answered({"state": "free"})
    assert found['value response.body.200/state "sold"'] == 0
    assert found["status 204"] == 0
    assert len(found) == 14


def test_an_exchange_counts_once_for_each_keyword() -> None:
    assert answered({"toys": [1, 1]})["value response.body.200/toys/* 1"] == 1


def test_a_masked_value_hits_nothing() -> None:
    masked = (Mask("response.body", "/state", "name"),)
    assert hit(answered({"state": "sold", "tame": True}, masks=masked)) == STATUS_AND_MEDIA | {
        "value /tame true"
    }


def test_parameters_are_read_as_their_texts_stand_for() -> None:
    limit = {"type": "integer", "minimum": 1, "maximum": 100}
    states = {"type": "array", "items": {"enum": ["open", "done"]}}
    said = spec(
        {
            "/x": {
                "get": {
                    "parameters": [
                        parameter("limit", "query", limit),
                        parameter("state", "query", states),
                        parameter("X-Mode", "header", {"enum": ["slow", "fast"]}),
                    ],
                    "responses": {"200": {"description": "ok"}, "4XX": {"description": "no"}},
                }
            }
        }
    )
    headers = [(b"host", b"h"), (b"x-mode", b"fast")]
    found = hits(said, call(query=b"limit=100&state=open,shut", headers=headers), call(status=404))
    assert {name for name, count in found.items() if count} == {
        "status 200",
        "status 4XX",
        "bound query:limit maximum",
        'value query:state/* "open"',
        'value header:x-mode "fast"',
    }


def test_keywords_are_counted_only_where_asked_for() -> None:
    specification = answering(PET)
    outline, counts = Outline([specification]), Counts()
    counts.add_exchange(Judged.by(specification, call(answer=body({}))), outline, By.USER_AGENT)
    found: Any = report(outline, counts)
    assert (found["keywords"], found["operations"][0]["keywords"]) == (None, None)


def test_keywords_of_a_schema_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_KEYWORDS", 4)
    assert len([name for name in answered({}) if name.startswith(("value", "bound", "branch"))]) <= 2 * 4


def test_schemas_that_fan_out_are_followed_as_far_as_fields_are() -> None:
    wide: dict[str, Any] = {"L8": {"enum": [1]}}
    for level in range(8):
        below = {"$ref": f"#/components/schemas/L{level + 1}"}
        wide[f"L{level}"] = {"properties": {f"p{n}": below for n in range(10)}}
    specification = answering(wide["L0"], **wide)
    assert hit(hits(specification, call(answer=body({"p1": {"p2": 3}})))) == STATUS_AND_MEDIA


NAMES = st.sampled_from(["state", "tame", "name", "toys", "kind", "meow", "bark"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda below: st.lists(below) | st.dictionaries(NAMES, below),
)


@PATIENT
@given(VALUES)
def test_whatever_a_body_holds_only_described_keywords_are_counted(value: Any) -> None:
    assert set(answered(value)) == set(answered({}))
