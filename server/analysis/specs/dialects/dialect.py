"""Detects a document's dialect: its version, and whether it is Kubernetes'."""

from __future__ import annotations

from dataclasses import dataclass

from server.analysis.json import JsonObject, object_in
from server.analysis.specs.dialects.kubernetes import is_kubernetes, meant
from server.analysis.specs.dialects.modern import modern
from server.analysis.specs.dialects.openapi import OperationsReader
from server.analysis.specs.dialects.swagger import SwaggerReader
from server.analysis.specs.model import SpecError

_READ = "Swagger 2.0 and OpenAPI 3.0, 3.1 and 3.2 are read"
_VERSIONS = ("3.0", "3.1", "3.2")


@dataclass(frozen=True, slots=True)
class Dialect:
    """A document normalised for the other modules: with schemas of OpenAPI 3.

    `is_31`: they have the keywords of 3.1; `nulls`: null means absent, everywhere.
    """

    document: JsonObject
    reader: type[OperationsReader]
    is_31: bool
    nulls: bool


def dialect_of(document: JsonObject) -> Dialect:
    """The dialect of a document. Raises SpecError for an unsupported version."""
    nulls = is_kubernetes(document)
    if "swagger" in document:
        if str(document["swagger"]) not in ("2.0", "2"):
            raise SpecError("/swagger", f"not a version that is read; {_READ}")
        prepared = modern(document, meant(document.get("definitions")))
        return Dialect(prepared, SwaggerReader, is_31=False, nulls=nulls)
    return Dialect(_corrected(document), OperationsReader, _version(document) != "3.0", nulls)


def _version(document: JsonObject) -> str:
    if "openapi" not in document:
        raise SpecError("/openapi", f"missing; {_READ}")
    version = str(document["openapi"])
    for known in _VERSIONS:
        if version == known or version.startswith((known + ".", known + "-")):
            return known
    raise SpecError("/openapi", f"not a version that is read; {_READ}")


def _corrected(document: JsonObject) -> JsonObject:
    """An OpenAPI 3 document, with Kubernetes' schemas corrected."""
    components = object_in(document, "components")
    if "schemas" not in components:
        return document
    schemas = meant(components["schemas"])
    if schemas is components["schemas"]:
        return document
    return {**document, "components": {**components, "schemas": schemas}}
