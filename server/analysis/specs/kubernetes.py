"""What Kubernetes' own documents say otherwise than its servers mean, set right before they are read.

`Quantity` is described as a string and may be sent as a number; an unset `Time` is sent as null; a JSON
Patch is an array where `Patch` says object. `int-or-string` is read in `keywords`, `{path}` in `routes`.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from server.analysis.specs.keywords import Json

_MEANT: dict[str, Json] = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": ["string", "number"]},
    "io.k8s.apimachinery.pkg.apis.meta.v1.Time": {"nullable": True},
    "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": {"nullable": True},
}
_PATCH = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch"
_YES = frozenset({"1", "t", "T", "true", "True", "TRUE"})  # as Go's strconv.ParseBool reads it


def meant(definitions: Any) -> Any:
    """Schemas by name, those of Kubernetes as they are meant."""
    if not isinstance(definitions, dict):
        return definitions
    changed = {
        name: {**definitions[name], **said}
        for name, said in _MEANT.items()
        if isinstance(definitions.get(name), dict) and definitions[name].get("type") == "string"
    }
    if _PATCH in definitions:
        changed[_PATCH] = {}
    return {**definitions, **changed} if changed else definitions


def watches(query: bytes | None) -> bool:
    """Whether a query asks for a stream of events instead of a list."""
    if not query or b"watch" not in query:
        return False
    return any(name == "watch" and value in _YES for name, value in parse_qsl(query.decode("latin-1")))
