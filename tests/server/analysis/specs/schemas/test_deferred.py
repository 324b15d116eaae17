"""Schemas of a large document: compiled for what values have, with the verdicts of any other document."""

from __future__ import annotations

from typing import Any

import pytest

from server.analysis.specs.schemas import deferred, validators
from server.analysis.specs.schemas.compiler import BROKEN
from server.analysis.specs.schemas.convert import Converter, SchemaDirection
from server.analysis.specs.specification import Specification
from tests.server.analysis.specs.spec_calls import answering, body, call, found, operation, parameter, spec


@pytest.fixture(autouse=True)
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validators, "MAX_TOGETHER", -1)


def reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def chain(count: int = 50) -> Specification:
    """Types that each hold the next one."""
    types: Any = {
        f"T{i}": {"type": "object", "properties": {f"f{i}": reference(f"T{i + 1}"), "n": {"type": "integer"}}}
        for i in range(count)
    }
    types[f"T{count}"] = {"type": "string"}
    return answering(reference("T0"), **types)


def deviations(loaded: Specification, value: Any) -> list[tuple[str, str, str]]:
    return found(loaded.match(call(answer=body(value))))


@pytest.fixture
def converted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of schemas converted, a number for each time."""
    sizes: list[int] = []
    convert = Converter.convert

    def counted(self: Converter, *given: Any) -> frozenset[str]:
        branching = convert(self, *given)
        sizes.append(self.size)
        return branching

    monkeypatch.setattr(Converter, "convert", counted)
    return sizes


def test_only_schemas_of_fields_that_values_have_are_compiled_and_once(converted: list[int]) -> None:
    loaded = chain()
    assert converted == []
    for _ in range(3):
        assert deviations(loaded, {"n": 1}) == []
    assert converted == [2]
    assert deviations(loaded, {"f0": {"f1": {"n": "x"}}}) == [("type", "response.body", "/f0/f1/n")]
    assert deviations(loaded, {"f0": {"n": 2}, "elsewhere": 1}) == [
        ("unknown-field", "response.body", "/elsewhere")
    ]
    assert [size < 12 for size in converted] == [True, True]


def test_roots_that_refer_to_one_schema_share_what_is_compiled(converted: list[int]) -> None:
    content = {"content": {"application/json": {"schema": reference("T")}}}
    answer = {"responses": {"200": {"description": "", **content}}}
    schemas = {"T": {"properties": {"n": {"type": "integer"}}}}
    loaded = spec({f"/x{i}": {"get": answer} for i in range(3)}, components={"schemas": schemas})
    for i in range(3):
        judgement = loaded.match(call(path=b"/x%d" % i, answer=body({"n": "x"})))
        assert found(judgement) == [("type", "response.body", "/n")]
    assert len(converted) == 1


def test_what_was_unused_for_longest_is_dropped_and_compiled_again(
    monkeypatch: pytest.MonkeyPatch, converted: list[int]
) -> None:
    monkeypatch.setattr(deferred, "MAX_KEPT", 2)
    parameters = [parameter(f"q{i}", "query", {"type": "integer"}) for i in range(4)]
    loaded = spec({"/x": {"get": operation(parameters=parameters)}})
    for _ in range(2):
        judgement = loaded.match(call(query=b"q0=1&q1=a&q2=1&q3=b"))
        assert [pointer for _, _, pointer in found(judgement)] == ["q1", "q3"]
    assert len(converted) == 8


def test_a_schema_is_not_compiled_for_new_fields_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deferred, "MAX_GROWTHS", 2)
    loaded = answering({"properties": {f"p{i}": {"type": "integer"} for i in range(9)}})
    verdicts = [loaded.match(call(answer=body({f"p{i}": "x"}))).verdict for i in range(5)]
    assert verdicts == ["deviating", "deviating", "deviating", "unjudged", "unjudged"]
    assert deviations(loaded, {"p0": "x", "p2": "x"}) != []


def test_a_value_deeper_than_its_schema_bears_is_unjudged() -> None:
    below = {"properties": {"x": reference("N")}}
    loaded = answering(reference("N"), N={"allOf": [below, below]})
    value: Any = {}
    for _ in range(40):
        value = {"x": value}
    assert loaded.match(call(answer=body({"x": {}}))).verdict == "conforming"
    judgement = loaded.match(call(answer=body(value)))
    assert (judgement.verdict, judgement.why) == ("unjudged", f"response.body: {deferred.TOO_DEEP}")


def test_whether_an_alternative_fits_is_known_for_each_value() -> None:
    one, other = {"properties": {"a": {"type": "integer"}}}, {"properties": {"b": {"type": "integer"}}}
    loaded = answering({"anyOf": [one, other]})
    (content,) = (operation.responses["200"] for operation in loaded.operations if operation.method == "GET")
    place = f"{content.media['application/json']}/anyOf/0"
    values: list[Any] = [{"a": 1}, {"a": "x"}, {"b": "x"}]
    fitting = [loaded.fits(place, value, SchemaDirection.RESPONSE) for value in values]
    assert fitting == [True, False, True]


@pytest.mark.parametrize("broken", [{"type": "int"}, {"$ref": "#/nowhere"}, {"properties": []}, 3])
def test_a_broken_schema_matters_to_values_that_it_is_for_alone(broken: Any) -> None:
    loaded = answering(
        reference("T"), T={"properties": {"n": {"type": "integer"}, "b": reference("B")}}, B={"items": broken}
    )
    assert len(loaded.warnings) == 1
    assert deviations(loaded, {"n": "x"}) == [("type", "response.body", "/n")]
    judgement = loaded.match(call(answer=body({"n": 1, "b": [1]})))
    assert (judgement.verdict, judgement.why) == ("unjudged", f"response.body: {BROKEN}")
    assert loaded.match(call(answer=body({"n": 1}))).verdict == "conforming"
