"""The base paths that a document's servers put before its paths (OpenAPI 3.1, 4.8.5)."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from server.analysis.specs.checks import mapping, sequence, text
from server.analysis.specs.model import SpecError
from server.analysis.specs.pointers import under

_VARIABLE = re.compile(r"\{([^{}]*)\}")


def base_paths(node: dict[str, Any], place: str, otherwise: tuple[str, ...] = ("",)) -> tuple[str, ...]:
    """Each distinct base path, no slash at its end; variables take their defaults. Raises SpecError."""
    if not node.get("servers"):
        return otherwise
    place = under(place, "servers")
    bases = [_base(server, under(place, i)) for i, server in enumerate(sequence(node["servers"], place))]
    return tuple(dict.fromkeys(bases))


def _base(server: Any, place: str) -> str:
    url = text(mapping(server, place), "url", place)
    variables = mapping(server.get("variables", {}), under(place, "variables"))

    def default(found: re.Match[str]) -> str:
        at = under(place, "variables", found[1])
        if found[1] not in variables:
            raise SpecError(at, "the server's URL names a variable that is not described")
        value = mapping(variables[found[1]], at).get("default")
        if value is None:
            raise SpecError(under(at, "default"), "missing")
        return str(value)

    url = _VARIABLE.sub(default, url)
    try:
        path = urlsplit(url).path
    except ValueError:
        raise SpecError(under(place, "url"), "not a URL") from None
    path = path.removeprefix(".").rstrip("/")
    return path if path.startswith("/") or not path else "/" + path
