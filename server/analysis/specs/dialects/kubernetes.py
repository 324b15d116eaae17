"""Corrects Kubernetes' own documents where they differ from its servers' behaviour.

`Quantity` is described as a string and may be sent as a number; a JSON Patch is an array although `Patch` is
described as an object; null is sent for absent values. `int-or-string` is read in `schemas/keywords.py`,
`{path}` in `routing/routes.py`.
"""

from __future__ import annotations

from collections.abc import Iterable

from server.analysis.json import Json, JsonObject, object_in, text_in
from server.analysis.specs.kinds import Where
from server.analysis.specs.model import Operation

_MEANT: dict[str, JsonObject] = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": ["string", "number"]},
}
_WATCH = "watch"
_PATCH = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch"


def is_kubernetes(document: JsonObject) -> bool:
    """Whether a document describes Kubernetes' own API."""
    homes = (object_in(document, "definitions"), object_in(object_in(document, "components"), "schemas"))
    return any(name.startswith("io.k8s.") for home in homes for name in home)


def meant(definitions: Json) -> Json:
    """Schemas by name, with those of Kubernetes corrected."""
    if not isinstance(definitions, dict):
        return definitions
    changed: JsonObject = {
        name: {**object_in(definitions, name), **said}
        for name, said in _MEANT.items()
        if object_in(definitions, name).get("type") == "string"
    }
    if _PATCH in definitions:
        changed[_PATCH] = {}
    return {**definitions, **changed} if changed else definitions


def stream_switch(kinds: Iterable[str]) -> str | None:
    """The query parameter that requests a stream of events instead of a list, if these media types (as
    written in the document: `application/json;stream=watch`) allow one.
    """
    return _WATCH if any("stream=" in kind for kind in kinds) else None


def watch_switch(operation: Operation) -> str | None:
    """The query parameter that turns an operation into another kind of call: a watch instead of a list."""
    described = ((one.where, one.name) for one in operation.parameters)
    return _WATCH if operation.method == "GET" and (Where.QUERY, _WATCH) in described else None


def is_deprecated(operation: JsonObject) -> bool:
    """Whether an operation of a Kubernetes document is deprecated, which only its description states."""
    return (
        "x-kubernetes-action" in operation
        and "deprecated" in (text_in(operation, "description") or "").lower()
    )
