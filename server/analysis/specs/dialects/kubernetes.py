"""What Kubernetes' own documents say otherwise than its servers mean, set right before they are read.

`Quantity` is described as a string and may be sent as a number; a JSON Patch is an array where `Patch`
says object; null is sent for what is absent. `int-or-string` is read in `schemas/keywords.py`, `{path}` in
`routing/routes.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from server.analysis.specs.schemas.keywords import Json

_MEANT: dict[str, Json] = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": ["string", "number"]},
}
_PATCH = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch"
_NO = frozenset({"0", "false"})  # of a boolean parameter; all else, the empty text too, is true


def is_kubernetes(document: Json) -> bool:
    """Whether a document describes Kubernetes' own API."""
    components = document.get("components")
    homes = [document.get("definitions"), components.get("schemas") if isinstance(components, dict) else None]
    return any(name.startswith("io.k8s.") for home in homes if isinstance(home, dict) for name in home)


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
    sent = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    return next((value.lower() not in _NO for name, value in sent if name == "watch"), False)


def is_deprecated(operation: Mapping[str, Any]) -> bool:
    """Whether an operation of a Kubernetes document is deprecated: only its description says so."""
    description = operation.get("description")
    return (
        "x-kubernetes-action" in operation
        and isinstance(description, str)
        and "deprecated" in description.lower()
    )
