"""Properties for any schema: an instance of it conforms, a corrupted one does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.server.analysis.specs.spec_calls import PATIENT, answering, body, call, found, parameter, spec

NAMES = ["a", "b", "c~/d", "é", "$ref", "nullable"]


@dataclass(frozen=True)
class Pair:
    """A schema (of the subset that 3.0 and 3.1 share) and a value that conforms."""

    schema: Any
    value: Any


@st.composite
def scalars(draw: st.DrawFn) -> Pair:
    kind = draw(
        st.sampled_from(["integer", "int32", "number", "string", "boolean", "enum", "date", "pattern"])
    )
    if kind == "integer":
        low = draw(st.integers(-1000, 1000))
        return Pair({"type": "integer", "minimum": low, "maximum": low + 10}, low + draw(st.integers(0, 10)))
    if kind == "int32":
        value = draw(st.integers(-(2**31), 2**31 - 1))
        return Pair({"type": "integer", "format": "int32"}, value)
    if kind == "number":
        return Pair(
            {"type": "number"}, draw(st.floats(allow_nan=False, allow_infinity=False) | st.integers())
        )
    if kind == "string":
        text = draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=8))
        return Pair({"type": "string", "maxLength": len(text), "minLength": len(text)}, text)
    if kind == "boolean":
        return Pair({"type": "boolean"}, draw(st.booleans()))
    if kind == "enum":
        options = draw(st.lists(st.text("xyz", max_size=3), min_size=1, max_size=4, unique=True))
        return Pair({"type": "string", "enum": options}, draw(st.sampled_from(options)))
    if kind == "date":
        return Pair({"type": "string", "format": "date"}, draw(st.dates()).isoformat())
    return Pair(
        {"type": "string", "pattern": "^[a-f]{2,4}$"}, draw(st.text("abcdef", min_size=2, max_size=4))
    )


@st.composite
def arrays(draw: st.DrawFn, inner: st.SearchStrategy[Pair]) -> Pair:
    item = draw(inner)
    return Pair({"type": "array", "items": item.schema}, [item.value] * draw(st.integers(0, 3)))


@st.composite
def objects(draw: st.DrawFn, inner: st.SearchStrategy[Pair]) -> Pair:
    fields = draw(st.dictionaries(st.sampled_from(NAMES), inner, min_size=1, max_size=4))
    present = draw(st.sets(st.sampled_from(sorted(fields))))
    schema: Any = {
        "type": "object",
        "properties": {name: field.schema for name, field in fields.items()},
        "required": sorted(present),
    }
    if draw(st.booleans()):
        schema["additionalProperties"] = False
    return Pair(schema, {name: fields[name].value for name in present})


@st.composite
def combined(draw: st.DrawFn, inner: st.SearchStrategy[Pair]) -> Pair:
    pair = draw(inner)
    how = draw(st.sampled_from(["allOf", "anyOf", "twice"]))
    if how == "twice":
        return Pair({"anyOf": [pair.schema, pair.schema]}, pair.value)
    return Pair({how: [pair.schema]}, pair.value)


PAIRS = st.recursive(scalars(), lambda inner: arrays(inner) | objects(inner) | combined(inner), max_leaves=12)
VERSIONS = st.sampled_from(["3.0.3", "3.1.0"])


@settings(PATIENT, max_examples=300)
@given(PAIRS, VERSIONS)
def test_an_instance_of_a_schema_conforms_both_ways(pair: Pair, openapi: str) -> None:
    loaded = answering({"$ref": "#/components/schemas/A"}, openapi, A=pair.schema)
    assert found(loaded.match(call(answer=body(pair.value)))) == []
    assert found(loaded.match(call("POST", status=204, sent=body(pair.value)))) == []


@settings(PATIENT, max_examples=200)
@given(PAIRS, VERSIONS)
def test_null_conforms_exactly_where_it_is_allowed(pair: Pair, openapi: str) -> None:
    assert found(answering(pair.schema, openapi).match(call(answer=body(None)))) != []
    if openapi.startswith("3.0"):
        allowing: Any = {**pair.schema, "nullable": True}
    else:
        allowing = {"anyOf": [pair.schema, {"type": "null"}]}
    assert found(answering(allowing, openapi).match(call(answer=body(None)))) == []
    assert found(answering(allowing, openapi).match(call(answer=body(pair.value)))) == []


@settings(PATIENT, max_examples=200)
@given(objects(scalars()), VERSIONS, st.data())
def test_a_spoilt_instance_deviates_at_the_field_that_was_spoilt(
    pair: Pair, openapi: str, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from([*pair.value, "extra"]))
    spoilt = {**pair.value, name: ["spoilt"]}
    pointer = "/" + name.replace("~", "~0").replace("/", "~1")
    kind = "type"
    if name == "extra":
        kind = "unknown-field" if "additionalProperties" not in pair.schema else "forbidden-field"
    judgement = answering(pair.schema, openapi).match(call(answer=body(spoilt)))
    assert {(one.kind, one.pointer) for one in judgement.deviations} >= {(kind, pointer)}
    assert {one.pointer for one in judgement.deviations} == {pointer}


@settings(PATIENT, max_examples=200)
@given(scalars(), VERSIONS)
def test_a_value_conforms_as_a_parameter_too(pair: Pair, openapi: str) -> None:
    text = str(pair.value).lower() if isinstance(pair.value, bool) else str(pair.value)
    raw = "".join(f"%{byte:02X}" for byte in text.encode()).encode()
    item = {
        "get": {
            "parameters": [parameter("q", "query", pair.schema), parameter("id", "path", pair.schema)],
            "responses": {"200": {"description": "ok"}},
        }
    }
    judge = spec({"/x/{id}": item}, openapi).match
    if raw:
        assert found(judge(call(path=b"/x/" + raw, query=b"q=" + raw))) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=8,
)


@settings(PATIENT, max_examples=300)
@given(PAIRS, JSON | st.binary(max_size=20), VERSIONS)
def test_any_body_is_judged_and_never_an_exception(pair: Pair, sent: Any, openapi: str) -> None:
    judgement = answering(pair.schema, openapi).match(call(answer=body(sent)))
    assert judgement.operation == "GET /x"


@settings(PATIENT, max_examples=200)
@given(
    st.binary(max_size=20),
    st.binary(max_size=30),
    st.lists(st.tuples(st.sampled_from([b"cookie", b"x-h", b"\xff"]), st.binary(max_size=20)), max_size=3),
    st.integers(0, 999),
    st.sampled_from(["GET", "POST", "OPTIONS", "HEAD", "", "x y"]),
)
def test_any_exchange_is_judged_and_never_an_exception(
    path: bytes, query: bytes, headers: list[tuple[bytes, bytes]], status: int, method: str
) -> None:
    described = [
        parameter("id", "path", {"type": "integer"}),
        parameter("q", "query", {"type": "array", "items": {"type": "integer"}}, explode=False),
        parameter("c", "cookie", {"type": "object"}, explode=False),
        parameter("x-h", "header", {"type": "object", "properties": {"a": {"type": "integer"}}}),
    ]
    item = {"get": {"parameters": described, "responses": {"200": {"description": "ok"}}}}
    judge = spec({"/{id}": item, "/": item}).match
    assert judge(call(method, path=path, query=query, headers=headers, status=status)).verdict
    assert judge(call(method, path=b"/" + path, query=b"q=" + query, headers=headers)).verdict
