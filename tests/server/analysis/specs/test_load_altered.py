"""A document with any one value changed becomes a specification, or is refused with the place.

A specification also serves everything that a stored one does: hosts, coverage, validation, an upgrade.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from server.analysis.coverage.outline import Outline
from server.analysis.json import Json
from server.analysis.specs.dialects.upgrade import openapi
from server.analysis.specs.document.servers import hosts
from server.analysis.specs.load import understand
from server.analysis.specs.model import SpecError
from tests.server.analysis.specs.dialects.test_upgrade import CLINIC, listed, photo, posted
from tests.server.analysis.specs.spec_calls import body, call, document, operation

ODD: list[Json] = [None, True, -1, 1.5, "x", [], [None], {}, {"$ref": 1}, {"$ref": "#/nowhere"}]
SCHEMAS: Any = {
    "A": {
        "type": "object",
        "required": ["t"],
        "discriminator": {"propertyName": "t", "mapping": {"b": "#/components/schemas/B"}},
        "properties": {
            "t": {"type": "string"},
            "n": {"type": "integer", "format": "int32", "minimum": 1, "multipleOf": 2},
            "d": {"readOnly": True, "type": "string", "format": "date"},
            "l": {"$ref": "#/components/schemas/L"},
        },
        "patternProperties": {"^x(?!y)": {"type": "integer"}},
        "additionalProperties": False,
        "dependentRequired": {"n": ["d"]},
        "dependentSchemas": {"n": {"required": ["d"]}},
    },
    "B": {
        "allOf": [
            {"$ref": "#/components/schemas/A"},
            {
                "properties": {"e": {"enum": ["a", None], "const": "a"}},
                "if": {"required": ["n"]},
                "then": True,
            },
        ]
    },
    "C": {
        "oneOf": [{"$ref": "#/components/schemas/B"}, {"type": "object"}],
        "discriminator": {"propertyName": "t"},
    },
    "L": {
        "type": "array",
        "prefixItems": [{"type": "string", "minLength": 1, "pattern": "a"}],
        "items": {"anyOf": [{"$ref": "#/components/schemas/C"}, {"not": {"type": "string"}}]},
        "contains": {"type": "object"},
        "propertyNames": {"pattern": "b"},
        "unevaluatedItems": False,
        "nullable": True,
    },
}
FORM = {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string"}}}}
PATHS: Any = {
    "/a/{id}": {
        "servers": [{"url": "https://{h}/v2", "variables": {"h": {"default": "x", "enum": ["y"]}}}],
        "parameters": [
            {
                "name": "id",
                "in": "path",
                "required": True,
                "schema": {"type": "string", "pattern": "^a(?=b)"},
            },
            {"$ref": "#/components/parameters/P"},
        ],
        "get": {
            "operationId": "o",
            "tags": ["t"],
            "deprecated": False,
            "parameters": [
                {"name": "f", "in": "query", "style": "deepObject", "explode": True, "schema": FORM},
                {"name": "j", "in": "query", "content": {"application/json": {"schema": {"type": "array"}}}},
            ],
            "responses": {
                "200": {
                    "headers": {"X-A": {"schema": {"type": "integer"}, "required": True}},
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/A"}},
                        "application/jsonl": {"itemSchema": {"type": "object"}},
                    },
                },
                "4XX": {"$ref": "#/components/responses/R"},
            },
        },
        "post": {
            "security": [{"h": []}, {}],
            "requestBody": {
                "required": True,
                "content": {
                    "multipart/form-data": {
                        "schema": FORM,
                        "encoding": {"a": {"style": "form", "explode": True, "contentType": "text/plain"}},
                    }
                },
            },
            **operation(),
        },
    },
    "/c": {"$ref": "#/paths/~1a~1{id}"},
}
COMPONENTS: Any = {
    "parameters": {"P": {"name": "X-P", "in": "header", "schema": {"type": "boolean"}}},
    "responses": {"R": {"description": "r"}},
    "securitySchemes": {
        "k": {"type": "apiKey", "in": "query", "name": "key"},
        "h": {"type": "http", "scheme": "bearer"},
    },
    "schemas": SCHEMAS,
}
KUBERNETES: Any = {
    "swagger": "2.0",
    "info": {"title": "k", "version": "v"},
    "paths": {
        "/pods": {
            "get": {
                "x-kubernetes-action": "list",
                "description": "deprecated",
                "produces": ["application/json", "application/json;stream=watch"],
                "parameters": [{"name": "watch", "in": "query", "type": "boolean"}],
                "responses": {"200": {"schema": {"$ref": "#/definitions/io.k8s.PodList"}}},
            },
            "patch": {
                "consumes": ["application/json-patch+json"],
                "parameters": [
                    {"name": "body", "in": "body", "schema": {"$ref": "#/definitions/io.k8s.PodList"}}
                ],
                "responses": {"200": {}},
            },
        }
    },
    "definitions": {
        "io.k8s.apimachinery.pkg.apis.meta.v1.Patch": {"type": "object"},
        "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": "string"},
        "io.k8s.PodList": {
            "required": ["items"],
            "properties": {
                "items": {"type": "array", "items": {"x-kubernetes-preserve-unknown-fields": True}},
                "p": {"type": "string", "format": "int-or-string"},
                "q": {"$ref": "#/definitions/io.k8s.apimachinery.pkg.api.resource.Quantity"},
            },
        },
    },
}
DOCUMENTS: dict[str, Any] = {
    "Swagger 2.0": CLINIC,
    "Kubernetes": KUBERNETES,
    **{
        f"OpenAPI {version}": document(PATHS, version, components=COMPONENTS, security=[{"k": []}])
        for version in ("3.0.3", "3.1.0")
    },
}
CALLS = [
    listed({"kind": "Cat", "name": "x"}, query=b"kinds=cat|dog&limit=9"),
    posted({"kind": "Cat"}),
    photo("POST", b"x=1&cut=1,2", "application/x-www-form-urlencoded"),
    call(path=b"/v2/a/1", query=b"f[a]=1&j=[1]", answer=body({"t": "b", "n": 1, "xy": 1, "l": ["a", {}]})),
    call(path=b"/pods", query=b"watch=1", answer=body({"items": [{}], "p": 1, "q": 2})),
]


def altered(node: Json, odd: Json) -> Iterator[Json]:
    """The document with `odd` at each place, one at a time."""
    yield odd
    if isinstance(node, dict):
        for key, value in node.items():
            yield from ({**node, key: changed} for changed in altered(value, odd))
    elif isinstance(node, list):
        for i, value in enumerate(node):
            yield from ([*node[:i], changed, *node[i + 1 :]] for changed in altered(value, odd))


def serves(document: Any) -> bool:
    """Whether a document becomes a specification; uses it in every way."""
    try:
        specification = understand(document)
    except SpecError:
        return False
    hosts(document)
    for one in CALLS:
        specification.match(one)
    outline = Outline([specification])
    for offer in outline.offers.values():
        outline.field_count(offer)
    if "swagger" in document:
        _upgrade(document)
    return True


def _upgrade(document: Any) -> None:
    try:
        openapi(document)
    except SpecError:
        return  # a reference that nothing follows may be dangling


@pytest.mark.parametrize("odd", ODD, ids=json.dumps)
@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_with_any_one_value_altered_becomes_a_specification_or_one_refusal(
    name: str, odd: Json
) -> None:
    found = {serves(one) for one in altered(DOCUMENTS[name], odd) if isinstance(one, dict)}
    assert found == {True, False}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_documents_that_are_altered_are_good_and_know_some_of_the_calls(name: str) -> None:
    specification = understand(DOCUMENTS[name])
    assert any(specification.match(one).operation for one in CALLS)
