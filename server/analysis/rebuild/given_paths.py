"""The paths of an existing specification, which take precedence over learned ones."""

from __future__ import annotations

from collections.abc import Iterator

from server.analysis.json import Json, JsonObject, array_in, object_in
from server.analysis.rebuild.references import resolved
from server.analysis.specs.dialects.openapi import METHODS, spans
from server.analysis.specs.dialects.swagger import base_of_swagger
from server.analysis.specs.document.servers import base_paths


def templates_of(document: JsonObject, base: str | None = None) -> dict[str, frozenset[str]]:
    """The paths of a document, with its base path or another, and the names of their parameters that contain
    slashes. Raises SpecError.
    """
    paths = object_in(document, "paths")
    if base is None and paths:
        base = base_of_swagger(document) if "swagger" in document else base_of(document)
    return {
        (base or "").rstrip("/") + path: frozenset(_spanning(document, item))
        for path, item in paths.items()
        if path.startswith("/")
    }


def base_of(document: JsonObject) -> str:
    """The base path of an OpenAPI 3 document, without a slash at its end."""
    return base_paths(document, "")[0].rstrip("/")


def _spanning(document: JsonObject, item: Json) -> Iterator[str]:
    """Names of a path's parameters that contain slashes according to any of its methods."""
    shared = resolved(document, item)
    for node in (shared, *(object_in(shared, method) for method in METHODS)):
        for one in array_in(node, "parameters"):
            parameter = resolved(document, one)
            name = parameter.get("name")
            if spans(parameter) and isinstance(name, str):
                yield name
