"""Documents and bodies made to cost time or memory are handled within fixed bounds.

Nothing here is timed. Unbounded work would not end within the test run, or would end the process.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from server.analysis.specs import load as loading
from server.analysis.specs.document import text
from server.analysis.specs.load import load
from server.analysis.specs.model import SpecError
from server.analysis.specs.schemas import checker, convert
from tests.server.analysis.specs.spec_calls import (
    answering,
    body,
    call,
    document,
    found,
    operation,
    parameter,
    spec,
    verdict_on,
)


def reference(name: object) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/S{name}"}


def refusal(raw: bytes) -> str:
    with pytest.raises(SpecError) as caught:
        load(raw)
    return caught.value.reason


def test_a_bomb_of_yaml_aliases_is_counted_before_it_is_built() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 40)]
    assert "aliases" in refusal("\n".join(lines).encode())


def test_a_bomb_of_yaml_merges_is_counted_before_it_is_built() -> None:
    lines = ["a0: &a0 {" + ", ".join(f"k{i}: 1" for i in range(1000)) + "}"]
    lines += [f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 1000)}]}}" for i in range(1, 20)]
    assert "aliases" in refusal("\n".join(lines).encode())


@pytest.mark.parametrize("raw", [b"[" * 1_000_000, b"- " * 1_000_000, b'{"a":' * 500_000, b"{a: " * 500_000])
def test_depth_is_refused(raw: bytes) -> None:
    assert refusal(raw)


def test_a_document_beyond_the_size_bound_is_refused_unread() -> None:
    assert "larger" in refusal(b" " * (text.MAX_BYTES + 1))


@pytest.mark.parametrize("keyword", ["allOf", "oneOf", "anyOf"])
def test_a_bomb_of_references_leaves_only_its_own_place_unjudged(keyword: str) -> None:
    bomb: Any = {f"S{i}": {keyword: [reference(i + 1)] * 10} for i in range(60)} | {
        "S60": {"type": "integer"}
    }
    loaded = answering(reference(0), **bomb)
    judgement = loaded.match(call(answer=body(1), query=b"z=1"))
    assert found(judgement) == [("unknown-parameter", "query", "z")]
    assert "bounded time" in str(judgement.why)


def test_a_long_chain_of_combinations_is_unjudged_and_does_not_end_the_process() -> None:
    chain: Any = {f"S{i}": {"allOf": [reference(i + 1)]} for i in range(20_000)} | {"S20000": {}}
    assert answering(reference(0), **chain).match(call(answer=body(1))).verdict == "unjudged"


@pytest.mark.parametrize("openapi", ["3.0.3", "3.1.0"])
def test_combinations_that_lead_in_a_circle_are_judged(openapi: str) -> None:
    pet = {"type": "object", "oneOf": [reference("Cat"), reference("Dog")]}
    cat = {"allOf": [reference("Pet"), {"properties": {"lives": {"type": "integer"}}}]}
    dog = {"allOf": [reference("Pet"), {"required": ["bark"]}]}
    judgement = verdict_on(reference("Pet"), {"lives": "x"}, openapi, SPet=pet, SCat=cat, SDog=dog)
    assert judgement.verdict in ("deviating", "conforming")


def nested(depth: int) -> Any:
    value: Any = {}
    for _ in range(depth):
        value = {"x": value}
    return value


def test_a_schema_that_doubles_at_each_level_is_judged_as_deep_as_its_cost_allows() -> None:
    below = {"properties": {"x": reference("N")}}
    loaded = answering(reference("N"), SN={"allOf": [below, below]})
    assert loaded.match(call(answer=body(nested(4)))).verdict == "conforming"
    assert loaded.match(call(answer=body(nested(40)))).verdict == "unjudged"


def test_a_plain_schema_that_holds_itself_is_judged_to_the_bound_of_any_body() -> None:
    loaded = answering(reference("N"), SN={"type": "object", "properties": {"x": reference("N")}})
    assert loaded.match(call(answer=body(nested(60)))).verdict == "conforming"
    assert loaded.match(call(answer=body(nested(70)))).verdict == "unjudged"


def test_a_body_too_large_for_its_schema_is_unjudged() -> None:
    loaded = answering({"items": {"type": "integer"}})
    size = checker.MAX_WORK * 4
    assert loaded.match(call(answer=body(b"[" + b"1," * size + b"1]"))).verdict == "unjudged"


def test_of_a_large_body_full_of_errors_the_first_is_told() -> None:
    judgement = answering({"items": {"type": "integer"}}).match(call(answer=body(["x"] * 200_000)))
    assert found(judgement) == [("type", "response.body", "/0")]


@pytest.mark.parametrize(
    "pattern",
    ["^(a+)+$", "^(a|a)*$", "^(.*a){25}$", "^([a-zA-Z]+)*$"],
    ids=["nested", "same", "times", "star"],
)
def test_a_pattern_that_blows_up_elsewhere_runs_in_linear_time(pattern: str) -> None:
    judgement = verdict_on({"type": "string", "pattern": pattern}, "a" * 5000 + "!")
    assert found(judgement) == [("pattern", "response.body", "")]


@pytest.mark.parametrize(
    "pattern", ["(", "(?=a)", r"(a)\1", "a{1000}{1000}{1000}", "[z-a]", "(?<n>a)(?<n>b)"]
)
def test_a_pattern_that_cannot_run_is_warned_of_and_not_judged(pattern: str) -> None:
    loaded = answering({"type": "string", "pattern": pattern})
    assert [pattern in warning or "pattern" in warning for warning in loaded.warnings] == [True]
    judgement = loaded.match(call(answer=body("x")))
    assert judgement.verdict == "unjudged"
    assert judgement.why == "response.body: a pattern cannot be run in bounded time"
    assert loaded.match(call(answer=body(1))).verdict == "deviating"


def test_a_pattern_that_cannot_run_leaves_unjudged_only_what_it_is_about() -> None:
    city = {"type": "string", "pattern": "^(?=x)x", "nullable": True}
    loaded = answering({"type": "object", "properties": {"city": city, "n": {"type": "integer"}}}, "3.0.3")
    verdicts = [
        loaded.match(call(answer=body(value))).verdict
        for value in ({"n": 1}, {"city": "york"}, {"city": None})
    ]
    assert verdicts == ["conforming", "unjudged", "conforming"]
    fields = answering({"patternProperties": {"(?=x)": {"type": "integer"}}})
    assert [fields.match(call(answer=body(value))).verdict for value in ({}, {"x": "a"})] == [
        "conforming",
        "unjudged",
    ]
    query = parameter("q", "query", {"type": "string", "pattern": "(?=x)"})
    asked = spec({"/x": {"get": operation(parameters=[query])}})
    assert asked.match(call(query=b"q=york")).why == "query: a pattern cannot be run in bounded time"
    assert asked.match(call()).verdict == "conforming"


@pytest.mark.parametrize(
    ("schema", "verdict"),
    [
        ({"not": {"pattern": "(?=x)"}}, "unjudged"),
        ({"oneOf": [{"pattern": "^(?=x)x"}, {"pattern": "^y"}]}, "unjudged"),
        ({"oneOf": [{"pattern": "^(?=x)x"}, {"type": "integer"}]}, "unjudged"),
        ({"not": {"type": "string"}, "pattern": "(?=x)"}, "deviating"),
    ],
)
def test_a_pattern_that_cannot_run_is_no_blame_where_fitting_is_wrong(schema: Any, verdict: str) -> None:
    assert answering(schema).match(call(answer=body("york"))).verdict == verdict


def test_templates_made_of_parts_do_not_backtrack() -> None:
    template = "/" + "".join(f"{{p{i}}}a" for i in range(100)) + "b"
    loaded = spec({template: {"get": operation()}, "/" + "{x}/" * 200 + "end": {"get": operation()}})
    assert loaded.match(call(path=b"/" + b"a" * 8000)).verdict == "shadow"
    assert loaded.match(call(path=b"/a" * 200)).verdict == "shadow"


def test_operations_beyond_the_bound_are_refused_also_by_many_base_paths(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loading, "MAX_ROUTES", 6)
    paths = {f"/{n}": {"get": operation()} for n in range(6)}
    assert len(load(json.dumps(document(paths)).encode()).operations) == 6
    two = [{"url": "/a"}, {"url": "/b"}]
    for beyond in (document({**paths, "/6": {"get": operation()}}), document(paths, servers=two)):
        assert "more than 6 operations" in refusal(json.dumps(beyond).encode())


def test_many_distinct_paths_leave_no_trace() -> None:
    loaded = spec({"/x/{id}": {"get": operation()}})
    assert {loaded.match(call(path=b"/x/%d" % i)).verdict for i in range(2000)} == {"conforming"}


def test_a_query_of_many_names_is_reported_within_the_bound() -> None:
    loaded = spec({"/x": {"get": operation(parameters=[parameter("q", "query", {"type": "array"})])}})
    query = b"&".join(b"n%d=1" % i for i in range(20_000)) + b"&q=1" * 20_000
    assert len(loaded.match(call(query=query)).deviations) == 100


def test_warnings_are_bounded() -> None:
    properties = {f"p{i}": {"pattern": f"(?={i})"} for i in range(3000)}
    assert len(answering({"properties": properties}).warnings) == 100


def test_schemas_beyond_the_bound_leave_bodies_unjudged_and_the_rest_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(convert, "MAX_SCHEMAS", 10)
    loaded = answering({"properties": {f"p{i}": {"type": "string"} for i in range(20)}})
    assert "more schemas than can be kept" in loaded.warnings[0]
    judgement = loaded.match(call(answer=body({}), query=b"z=1"))
    assert found(judgement) == [("unknown-parameter", "query", "z")]
    assert judgement.why is not None


def test_schemas_that_all_lead_to_one_another_are_read_once() -> None:
    count, width = 300, 10

    def fields(i: int) -> Any:
        targets = [reference((i * width + k) % count) for k in range(width)]
        return {f"p{k}": {"anyOf": [target, {"type": "string"}]} for k, target in enumerate(targets)}

    components: Any = {f"S{i}": {"type": "object", "properties": fields(i)} for i in range(count)}
    content = [{"content": {"application/json": {"schema": reference(i)}}} for i in range(count)]
    paths = {
        f"/x{i}": {"get": {"responses": {"200": {"description": "", **content[i]}}}} for i in range(count)
    }
    loaded = spec(paths, components={"schemas": components})
    for i in range(count):
        judgement = loaded.match(call(path=b"/x%d" % i, answer=body({"p1": {"p2": 3}})))
        assert found(judgement) == [("one-of", "response.body", "/p1")]


def test_a_document_of_many_operations_is_read() -> None:
    paths = {f"/x{i}/{{id}}": {"get": operation()} for i in range(20_000)}
    loaded = load(json.dumps(document(paths)).encode())
    assert loaded.match(call(path=b"/x19999/1")).operation == "GET /x19999/{id}"


@pytest.mark.parametrize("kind", ["application/json", "application/xml", "text/plain"])
def test_a_body_of_100_megabytes_is_answered(kind: str) -> None:
    content = {"content": {kind: {"schema": {"type": "string", "maxLength": 5}}}}
    loaded = spec({"/x": {"get": {"responses": {"200": {"description": "", **content}}}}})
    raw = {"application/json": b'"%s"', "application/xml": b"<a>%s</a>", "text/plain": b"%s"}[kind]
    judgement = loaded.match(call(answer=body(raw % (b"x" * 100_000_000)), answer_type=kind))
    assert judgement.verdict in ("unjudged", "conforming")


@pytest.mark.parametrize("raw", [b"[" * 10_000 + b"]" * 10_000, b'{"x":' * 10_000 + b"1" + b"}" * 10_000])
def test_a_body_of_depth_10_000_is_unjudged(raw: bytes) -> None:
    loaded = answering(reference("N"), SN={"properties": {"x": reference("N")}, "items": reference("N")})
    assert loaded.match(call(answer=body(raw))).verdict == "unjudged"


def test_an_entity_bomb_in_xml_is_not_followed() -> None:
    entities = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 20))
    bomb = f'<!DOCTYPE a [<!ENTITY e0 "x">{entities}]><a>&e19;</a>'.encode()
    content = {"content": {"application/xml": {"schema": {"type": "string"}}}}
    loaded = spec({"/x": {"get": {"responses": {"200": {"description": "", **content}}}}})
    assert loaded.match(call(answer=body(bomb), answer_type="application/xml")).verdict == "unjudged"


def test_slashes_by_the_thousand_are_tried_once_each_where_parameters_may_hold_them() -> None:
    endings = [f"/x/{{c+}}/{word}" for word in "abcdefgh"]
    loaded = spec({f"/{{a+}}/x/{{b+}}{ending}": {"get": operation()} for ending in endings})
    assert loaded.match(call(path=b"/x" * 20_000)).verdict == "shadow"
    assert loaded.match(call(path=b"/x" * 150 + b"/h")).operation == "GET /{a+}/x/{b+}/x/{c+}/h"


def test_an_operation_has_a_bounded_number_of_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "MAX_PARAMETERS", 3)
    parameters = [parameter(f"p{n}", "query", {}) for n in range(4)]
    assert "more than 3 parameters" in refusal(
        json.dumps(document({"/x": {"get": operation(parameters=parameters)}})).encode()
    )


def test_hundreds_of_types_that_extend_one_base_and_refer_to_one_another_are_judged() -> None:
    count = 300

    def chooser(*heirs: int) -> Any:
        mapping = {f"T{i}": reference(f"T{i}")["$ref"] for i in heirs}
        return {"discriminator": {"propertyName": "kind", "mapping": mapping}}

    base = {"required": ["kind"], "properties": {"kind": {"type": "string"}}, **chooser(*range(count))}
    types: Any = {
        f"ST{i}": {
            "allOf": [reference("Base" if i < 9 else f"T{i // 3}")],
            "properties": {"next": reference(f"T{i * 7 % count}"), "n": {"type": "integer"}},
            **chooser(*range(3 * i, min(3 * i + 3, count))),
        }
        for i in range(count)
    }
    loaded = answering(reference("Base"), SBase=base, **types)
    judgement = loaded.match(call(answer=body({"kind": "T5", "next": {"kind": "T35", "n": "x"}})))
    assert found(judgement) == [("type", "response.body", "/next/n")]


def test_alternatives_that_lead_to_one_another_in_every_order_are_given_up() -> None:
    names = [f"T{i}" for i in range(14)]
    alternatives: Any = {
        f"S{name}": {
            "oneOf": [reference(other) for other in names if other != name],
            "discriminator": {"propertyName": "kind"},
        }
        for name in names
    }
    loaded = answering(reference("T0"), **alternatives)
    assert "bounded time" in loaded.warnings[0]


@pytest.mark.parametrize("many", [b"[%s1]", b'{"a":[%s1]}'])
@pytest.mark.parametrize("value", [b"[],", b"{},", b"1,", b'"",', b'"a,[b]\\"{",'])
def test_too_many_values_are_counted_before_they_cost_memory(
    monkeypatch: pytest.MonkeyPatch, many: bytes, value: bytes
) -> None:
    monkeypatch.setattr(text, "MAX_NODES", 1_000)
    monkeypatch.setattr(text, "_json", pytest.fail)
    assert "more than 1000 values" in refusal(many % (value * 1_000))


def test_commas_and_brackets_in_strings_are_no_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "MAX_NODES", 1_000)
    prose = json.dumps({"a": ', [{\\"' * 2_000, "b": ["\\", ",,"] * 100}).encode()
    assert text.parse(prose) == json.loads(prose)


@pytest.mark.parametrize("quoted", [b"%s", b"'%s", b'"%s', b'{"openapi": "%s', b"a: |\n  %s", b'{"a": "%s"}'])
def test_one_string_of_60_megabytes_is_refused_or_read(quoted: bytes) -> None:
    assert refusal(quoted % (b"x\\" * 30_000_000))
