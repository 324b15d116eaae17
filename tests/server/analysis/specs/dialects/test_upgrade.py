"""A Swagger 2.0 document converted to OpenAPI 3.1 loses nothing, and calls get the same verdicts.

`test_swagger` tests the effect of each Swagger construct on a verdict in both forms.
"""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from agent.wire import Record
from server.analysis.rebuild.modernized import modernized
from server.analysis.specs.load import load, understand
from tests.server.analysis.rebuild.traffic import validate
from tests.server.analysis.specs.spec_calls import body, call

FORM, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
ID = {"name": "id", "in": "path", "required": True}
CLINIC: Any = {
    "swagger": "2.0",
    "info": {"title": "Clinic", "version": 2, "x-audience": "vets"},
    "host": "clinic.example:8443",
    "basePath": "/v2",
    "schemes": ["https", "http"],
    "consumes": ["application/json"],
    "produces": ["application/json"],
    "x-owner": "vets",
    "securityDefinitions": {
        "key": {"type": "apiKey", "in": "header", "name": "X-Key"},
        "plain": {"type": "basic", "description": "staff"},
        "code": {
            "type": "oauth2",
            "flow": "accessCode",
            "authorizationUrl": "https://a/",
            "tokenUrl": "https://t/",
            "scopes": {"read": "reads"},
        },
        "own": {"type": "oauth2", "flow": "application", "tokenUrl": "https://t/", "scopes": {}},
    },
    "parameters": {
        "Limit": {"name": "limit", "in": "query", "type": "integer", "maximum": 9, "exclusiveMaximum": True},
        "Patient": {"name": "p", "in": "body", "required": True, "schema": {"$ref": "#/definitions/Cat"}},
    },
    "responses": {
        "Refused": {"description": "no", "schema": {"$ref": "#/definitions/Error«x»"}},
        "Gone": {"description": "gone"},
    },
    "paths": {
        "/patients": {
            "x-team": "front",
            "get": {
                "operationId": "listPatients",
                "tags": ["patients"],
                "x-cost": 3,
                "parameters": [
                    {"$ref": "#/parameters/Limit"},
                    {
                        "name": "kinds",
                        "in": "query",
                        "type": "array",
                        "items": {"type": "string", "enum": ["cat", "dog"]},
                        "collectionFormat": "pipes",
                        "x-note": "any",
                    },
                ],
                "responses": {
                    "200": {
                        "description": "all",
                        "schema": {"type": "array", "items": {"$ref": "#/definitions/Patient"}},
                        "headers": {"X-Total": {"type": "integer"}},
                        "examples": {"application/json": [], "text/csv": "a"},
                    },
                    "default": {"$ref": "#/responses/Refused"},
                },
            },
            "post": {
                "parameters": [{"$ref": "#/parameters/Patient"}],
                "responses": {"201": {"description": "made"}, "410": {"$ref": "#/responses/Gone"}},
                "security": [{"key": []}, {"code": ["read"]}],
            },
        },
        "/patients/{id}/photo": {
            "parameters": [{**ID, "type": "integer", "format": "int32"}],
            "get": {
                "produces": ["image/png", "application/problem+json"],
                "responses": {
                    "200": {"description": "it", "schema": {"type": "file"}},
                    "404": {"$ref": "#/responses/Refused"},
                },
                "deprecated": True,
            },
            "put": {
                "consumes": [MULTIPART],
                "parameters": [
                    {"name": "photo", "in": "formData", "type": "file", "required": True},
                    {
                        "name": "tags",
                        "in": "formData",
                        "type": "array",
                        "items": {"type": "integer"},
                        "collectionFormat": "multi",
                    },
                ],
                "responses": {"204": {"description": "kept"}},
            },
            "post": {
                "consumes": [FORM],
                "parameters": [
                    {"name": "x", "in": "formData", "type": "integer"},
                    {"name": "cut", "in": "formData", "type": "array", "items": {"type": "integer"}},
                ],
                "responses": {"204": {"description": "cut"}},
                "schemes": ["https"],
            },
        },
    },
    "definitions": {
        "Patient": {
            "type": "object",
            "discriminator": "kind",
            "required": ["kind", "name"],
            "properties": {
                "kind": {"type": "string"},
                "name": {"type": "string", "x-nullable": True},
                "default": {"type": "string", "x-nullable": True},
                "born": {"type": "string", "format": "date", "readOnly": True},
                "owner": {"$ref": "#/definitions/Owner", "description": "pays", "type": "integer"},
                "weight": {"type": "number", "minimum": 0, "exclusiveMinimum": True},
            },
        },
        "Cat": {
            "allOf": [
                {"$ref": "#/definitions/Patient"},
                {"properties": {"lives": {"$ref": "#/definitions/Owner/properties/age"}}},
            ],
            "x-sound": "meow",
        },
        "Dog «large»": {
            "allOf": [
                {"$ref": "#/definitions/Patient"},
                {"required": ["height"], "properties": {"height": {"type": "integer"}}},
            ]
        },
        "Owner": {
            "x-nullable": True,
            "allOf": [{"type": "object", "properties": {"age": {"type": "integer", "maximum": 150}}}],
        },
        "Error«x»": {"type": "object", "required": ["code"], "properties": {"code": {"type": "integer"}}},
    },
}  # fmt: skip
CLINIC["definitions"]["Owner"]["properties"] = {"age": {"type": "integer", "maximum": 150}}
CAT = {"kind": "Cat", "name": None, "owner": None, "weight": 3, "lives": 9}
KEY = [(b"host", b"h"), (b"x-key", b"*")]
PHOTO = b'--b\r\nContent-Disposition: form-data; name="photo"; filename="p"\r\n\r\n\xff\r\n--b--\r\n'


def listed(*patients: Any, **said: Any) -> Record:
    return call(path=b"/v2/patients", answer=body([*patients]), **said)


def posted(value: Any, **said: Any) -> Record:
    return call("POST", b"/v2/patients", 201, sent=body(value), answer=body(b""), **{"headers": KEY, **said})


def photo(method: str, sent: bytes, kind: str | None, path: bytes = b"/v2/patients/7/photo") -> Record:
    return call(method, path, 204, sent=body(sent), sent_type=kind)


CALLS = [
    listed(CAT),
    listed({**CAT, "lives": 900}),
    listed({"kind": "Cat"}, {"kind": "Dog", "name": "x"}),
    listed({"kind": "Dog «large»", "name": "x", "height": 7}),
    listed({"kind": "Dog «large»", "name": "x", "height": "7"}),
    listed({"kind": "Dog «large»", "name": "x"}),
    listed({**CAT, "default": None, "owner": 3, "weight": 0, "more": 1}),
    listed(query=b"limit=9"),
    listed(query=b"limit=8&kinds=cat|dog"),
    listed(query=b"kinds=cat|cow&other=1"),
    listed(answer_headers=[(b"x-total", b"many")]),
    call(path=b"/v2/patients", status=500, answer=body({"code": "x"})),
    call(path=b"/v2/patients", status=500, answer=body({"code": 1})),
    call(path=b"/patients", answer=body([])),
    posted(CAT),
    posted({**CAT, "born": "2026-01-01"}),
    posted(CAT, headers=[(b"host", b"h")]),
    posted(CAT, headers=[(b"host", b"h"), (b"authorization", b"*")]),
    posted(b"", headers=KEY),
    posted(b"a=1", sent_type=FORM),
    call(path=b"/v2/patients/7/photo", answer=body(b"\x89PNG"), answer_type="image/png"),
    call(path=b"/v2/patients/x/photo", answer=body({}), answer_type="application/json"),
    call(path=b"/v2/patients/7/photo", status=404, answer=body({}), answer_type="application/problem+json"),
    call(path=b"/v2/patients/7/photo", status=404, answer=body({}), answer_type="application/json"),
    photo("PUT", PHOTO, MULTIPART + "; boundary=b"),
    photo("PUT", PHOTO.replace(b'"photo"', b'"tags"'), MULTIPART + "; boundary=b"),
    photo("PUT", b"x=1", FORM),
    photo("POST", b"x=1&cut=1,2", FORM),
    photo("POST", b"x=a&cut=1,b&more=1", FORM),
    photo("POST", b"x=1", FORM, b"/v2/patients/99999999999/photo"),
    photo("DELETE", b"", None),
]


def made() -> Any:
    found = modernized(load(json.dumps(CLINIC).encode()).document)
    validate(found)
    return found


@pytest.mark.parametrize("one", CALLS, ids=range(len(CALLS)))
def test_the_same_call_gets_the_same_judgement(one: Record) -> None:
    assert understand(made()).match(one) == understand(copy.deepcopy(CLINIC)).match(one)


def test_the_calls_that_are_compared_are_of_every_verdict() -> None:
    verdicts = {understand(made()).match(one).verdict for one in CALLS}
    assert verdicts == {"conforming", "deviating", "shadow", "zombie", "unjudged"}


def test_every_operation_is_kept_under_the_same_key() -> None:
    keys = [(one.key, one.operation_id, one.tags, one.deprecated) for one in understand(CLINIC).operations]
    assert keys == [
        (one.key, one.operation_id, one.tags, one.deprecated) for one in understand(made()).operations
    ]


def test_host_base_path_and_schemes_are_servers() -> None:
    found = made()
    urls = [one["url"] for one in found["servers"]]
    assert urls == ["https://clinic.example:8443/v2", "http://clinic.example:8443/v2"]
    only = found["paths"]["/patients/{id}/photo"]["post"]["servers"]
    assert only == [{"url": "https://clinic.example:8443/v2"}]
    assert modernized({**CLINIC, "host": None})["servers"] == [{"url": "/v2"}]


def test_ways_to_authenticate_keep_their_flows() -> None:
    flow = {"authorizationUrl": "https://a/", "tokenUrl": "https://t/", "scopes": {"read": "reads"}}
    assert made()["components"]["securitySchemes"] == {
        "key": {"type": "apiKey", "name": "X-Key", "in": "header"},
        "plain": {"type": "http", "scheme": "basic", "description": "staff"},
        "code": {"type": "oauth2", "flows": {"authorizationCode": flow}},
        "own": {"type": "oauth2", "flows": {"clientCredentials": {"tokenUrl": "https://t/", "scopes": {}}}},
    }


def test_extensions_examples_and_what_is_shared_keep_their_places() -> None:
    found = made()
    item = found["paths"]["/patients"]
    _, kinds = item["get"]["parameters"]
    assert item["get"]["parameters"][0] == {"$ref": "#/components/parameters/Limit"}
    assert (kinds["style"], kinds["explode"], kinds["x-note"]) == ("pipeDelimited", False, "any")
    assert item["post"]["responses"]["410"] == {"$ref": "#/components/responses/Gone"}
    answer = item["get"]["responses"]["200"]
    assert (answer["content"]["application/json"]["example"], answer["x-examples"]) == ([], {"text/csv": "a"})
    said = (found["x-owner"], found["info"]["x-audience"], item["x-team"], item["get"]["x-cost"])
    assert said == ("vets", "vets", "front", 3)
    assert found["components"]["schemas"]["Cat"]["x-sound"] == "meow"
    assert {"Error_x_", "age"} <= found["components"]["schemas"].keys()
