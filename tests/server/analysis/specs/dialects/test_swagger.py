"""Swagger 2.0: each construct of its own, and what Kubernetes' documents mean by theirs.

Everything holds for the document itself and for its conversion to OpenAPI 3.1.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from server.analysis.rebuild.modernized import modernized
from server.analysis.specs.load import load
from server.analysis.specs.model import Judgement, SpecError
from server.analysis.specs.specification import Specification
from tests.server.analysis.rebuild.traffic import validate
from tests.server.analysis.specs.spec_calls import body, call, found

OK = {"200": {"description": "ok"}}
REF = {"$ref": "#/definitions/A"}


@pytest.fixture(params=["as it is", "upgraded"], autouse=True)
def as_it_is(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    if request.param == "upgraded":
        monkeypatch.setattr(f"{__name__}.specification", upgraded_specification)
    return bool(request.param == "as it is")


def specification(document: Any) -> Specification:
    return load(json.dumps(document).encode())


def upgraded_specification(document: Any) -> Specification:
    found = modernized(load(json.dumps(document).encode()).document)
    validate(found)
    return load(json.dumps(found).encode())


def swagger(paths: Any, **others: Any) -> Specification:
    return specification({"swagger": "2.0", "info": {"title": "t", "version": "1"}, "paths": paths, **others})


def getting(*parameters: Any, **others: Any) -> Specification:
    return swagger({"/x": {"get": {"parameters": list(parameters), "responses": OK}}}, **others)


def answer(schema: Any, value: Any, **others: Any) -> Judgement:
    said = {"responses": {"200": {"description": "ok", "schema": schema}}}
    loaded = swagger({"/x": {"get": said}}, **{"produces": ["application/json"], **others})
    return loaded.match(call(answer=body(value)))


@pytest.mark.parametrize(
    ("collection", "query", "kinds"),
    [
        ({}, b"q=1,2", []),
        ({}, b"q=1,x", ["type"]),
        ({"collectionFormat": "csv"}, b"q=1,2,3", []),
        ({"collectionFormat": "ssv"}, b"q=1%202", []),
        ({"collectionFormat": "tsv"}, b"q=1%092", []),
        ({"collectionFormat": "tsv"}, b"q=1%202", ["type"]),
        ({"collectionFormat": "pipes"}, b"q=1|2", []),
        ({"collectionFormat": "multi"}, b"q=1&q=2", []),
        ({"collectionFormat": "multi", "maxItems": 1}, b"q=1&q=2", ["bounds"]),
    ],
)
def test_a_collection_is_read_by_its_format(
    collection: Any, query: bytes, kinds: list[str], as_it_is: bool
) -> None:
    if collection.get("collectionFormat") == "tsv" and not as_it_is:
        kinds = []  # OpenAPI cannot express it
    described = {"name": "q", "in": "query", "type": "array", "items": {"type": "integer"}, **collection}
    judgement = getting(described).match(call(query=query))
    assert [kind for kind, _, _ in found(judgement)] == kinds


def test_a_parameters_own_words_are_its_schema() -> None:
    described = {"name": "q", "in": "query", "type": "integer", "maximum": 5, "exclusiveMaximum": True}
    assert found(getting(described).match(call(query=b"q=4"))) == []
    assert found(getting(described).match(call(query=b"q=5"))) == [("bounds", "query", "q")]
    required = {"name": "q", "in": "query", "type": "string", "required": True}
    assert found(getting(required).match(call())) == [("missing-parameter", "query", "q")]


def test_a_body_parameter_is_the_request_body_of_what_is_consumed() -> None:
    parameters = [{"name": "b", "in": "body", "required": True, "schema": REF}]
    loaded = swagger(
        {"/x": {"post": {"parameters": parameters, "consumes": ["application/json"], "responses": OK}}},
        definitions={"A": {"type": "object", "properties": {"n": {"type": "integer"}}}},
    )
    assert found(loaded.match(call("POST", sent=body({"n": 1})))) == []
    assert found(loaded.match(call("POST", sent=body({"n": "1"})))) == [("type", "request.body", "/n")]
    assert found(loaded.match(call("POST"))) == [("missing-body", "request.body", "")]
    other = loaded.match(call("POST", sent=body(b"<a/>"), sent_type="text/xml"))
    assert found(other) == [("unknown-content-type", "request.body", "")]


def test_a_body_parameter_of_the_path_holds_for_its_operations_unless_they_have_their_own() -> None:
    def described(kind: str) -> Any:
        return {"parameters": [{"name": "b", "in": "body", "schema": {"type": kind}}]}

    item = {
        **described("integer"),
        "post": {"responses": OK},
        "put": {**described("string"), "responses": OK},
    }
    loaded = swagger({"/x": item}, consumes=["application/json"])
    assert found(loaded.match(call("POST", sent=body("a")))) == [("type", "request.body", "")]
    assert found(loaded.match(call("PUT", sent=body("a")))) == []


def test_shared_parameters_and_responses_are_found_where_they_are() -> None:
    item = {
        "parameters": [{"$ref": "#/parameters/Page"}],
        "get": {"responses": {"200": {"$ref": "#/responses/One"}}},
    }
    loaded = swagger(
        {"/x": item},
        produces=["application/json"],
        parameters={"Page": {"name": "page", "in": "query", "type": "integer"}},
        responses={"One": {"description": "", "schema": {"type": "integer"}}},
    )
    judgement = loaded.match(call(query=b"page=a", answer=body("a")))
    assert found(judgement) == [("type", "query", "page"), ("type", "response.body", "")]


def test_the_base_path_stands_before_the_paths() -> None:
    loaded = swagger({"/x": {"get": {"responses": OK}}}, basePath="/v1/", host="h:1", schemes=["https"])
    assert loaded.base_paths == ("/v1",)
    assert loaded.match(call(path=b"/v1/x")).operation == "GET /v1/x"
    assert loaded.match(call(path=b"/x")).verdict == "shadow"


def test_null_is_allowed_by_x_nullable_alone() -> None:
    assert found(answer({"type": "string"}, None)) == [("type", "response.body", "")]
    assert found(answer({"type": "string", "x-nullable": True}, None)) == []
    assert found(answer({"type": "string", "enum": ["a"], "x-nullable": True}, None)) == []


def test_a_discriminator_is_a_fields_name_and_chooses_a_definition() -> None:
    definitions = {
        "A": {"discriminator": "kind", "required": ["kind"], "properties": {"kind": {"type": "string"}}},
        "B": {"allOf": [REF, {"properties": {"n": {"type": "integer"}}, "required": ["n"]}]},
    }
    assert found(answer(REF, {"kind": "B", "n": 1}, definitions=definitions)) == []
    assert found(answer(REF, {"kind": "B", "n": "1"}, definitions=definitions)) == [
        ("type", "response.body", "/n")
    ]
    assert found(answer(REF, {"kind": "B"}, definitions=definitions)) == [
        ("missing-field", "response.body", "/n")
    ]


def test_what_stands_beside_a_reference_is_ignored() -> None:
    judgement = answer({**REF, "type": "string"}, 1, definitions={"A": {"type": "integer"}})
    assert found(judgement) == []


def test_a_file_is_any_bytes() -> None:
    said = {"produces": ["image/png"], "responses": {"200": {"description": "", "schema": {"type": "file"}}}}
    loaded = swagger({"/x": {"get": said}})
    assert loaded.match(call(answer=body(b"\x89PNG"), answer_type="image/png")).verdict == "conforming"


def test_without_produces_no_content_type_is_blamed() -> None:
    assert found(answer({"type": "integer"}, 1, produces=[])) == []
    assert found(answer({"type": "integer"}, "a", produces=[])) == [("type", "response.body", "")]


SCHEMES: Any = {
    "basic": {"type": "basic"},
    "key": {"type": "apiKey", "in": "query", "name": "key"},
    "oauth": {"type": "oauth2", "flow": "implicit", "scopes": {}},
}


@pytest.mark.parametrize(
    ("scheme", "said"),
    [
        ("basic", {"headers": [(b"authorization", b"*")], "scheme": "Basic"}),
        ("key", {"query": b"key=*"}),
        ("oauth", {"headers": [(b"authorization", b"*")]}),
    ],
)
def test_security_definitions_are_met_by_what_they_name(scheme: str, said: dict[str, Any]) -> None:
    loaded = getting(securityDefinitions=SCHEMES, security=[{scheme: []}])
    assert found(loaded.match(call(**said))) == []
    assert found(loaded.match(call())) == [("security-unmet", "security", "")]


GOOD: Any = {"swagger": "2.0", "info": {"title": "t", "version": "1"}, "paths": {}}


def at_parameter(**said: Any) -> Any:
    return {**GOOD, "paths": {"/x": {"get": {"parameters": [said], "responses": OK}}}}


@pytest.mark.parametrize(
    ("document", "where", "reason"),
    [
        ({**GOOD, "swagger": "1.2"}, "/swagger", "not a version"),
        ({**GOOD, "basePath": 7}, "/basePath", "not a string"),
        ({"swagger": "2.0", "info": {"title": "t", "version": "1"}}, "/paths", "missing"),
        (at_parameter(name="q", **{"in": "cookie"}), "/paths/~1x/get/parameters/0/in", "not one of"),
        (
            at_parameter(name="q", type="array", collectionFormat="x", **{"in": "query"}),
            "/paths/~1x/get/parameters/0/collectionFormat",
            "not one of",
        ),
        ({**GOOD, "security": [{"k": []}], "paths": {"/x": {"get": {}}}}, "/security/0/k", "security scheme"),
        (
            {**GOOD, "produces": [1], "paths": {"/x": {"get": {"responses": OK}}}},
            "/produces/0",
            "not a string",
        ),
    ],
)
def test_a_bad_document_is_refused_with_place_and_reason(document: Any, where: str, reason: str) -> None:
    with pytest.raises(SpecError) as caught:
        load(json.dumps(document).encode())
    assert caught.value.where == where
    assert reason in caught.value.reason


QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
TIME = "io.k8s.apimachinery.pkg.apis.meta.v1.Time"
META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
PATCH = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch"


@pytest.mark.parametrize(
    ("name", "described", "right", "wrong"),
    [
        (QUANTITY, {"type": "string"}, ["1Gi", 1, 0.5], True),
        (TIME, {"type": "string", "format": "date-time"}, ["2026-01-01T00:00:00Z", None], "yesterday"),
        (META, {"type": "object", "properties": {"labels": {"type": "object"}}}, [{"labels": None}], []),
        (PATCH, {"type": "object"}, [[{"op": "remove", "path": "/a"}], {"a": None}], None),
        ("Port", {"type": "string", "format": "int-or-string"}, ["http", 80], False),
    ],
)
def test_kubernetes_is_read_as_it_is_meant(name: str, described: Any, right: list[Any], wrong: Any) -> None:
    def kinds(value: Any) -> list[str]:
        judgement = answer({"$ref": f"#/definitions/{name}"}, value, definitions={name: described})
        return [kind for kind, _, _ in found(judgement)]

    assert [kinds(value) for value in right] == [[]] * len(right)
    if wrong is not None:
        assert kinds(wrong) != []


def test_fields_that_kubernetes_preserves_are_not_unknown() -> None:
    schema = {"type": "object", "properties": {"a": {}}, "x-kubernetes-preserve-unknown-fields": True}
    assert found(answer(schema, {"z": 1})) == []
