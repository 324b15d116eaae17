"""The base paths and hosts of a document's servers (OpenAPI 3.1, 4.8.5)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import islice, product
from urllib.parse import urlsplit

from server.analysis.json import Json, JsonObject, array_in, object_in, text_in
from server.analysis.specs.document.checks import mapping, sequence, text
from server.analysis.specs.document.pointers import under
from server.analysis.specs.model import SpecError

MAX_HOSTS = 50  # of one document
_VARIABLE = re.compile(r"\{([^{}]*)\}")


def base_paths(node: JsonObject, place: str, otherwise: tuple[str, ...] = ("",)) -> tuple[str, ...]:
    """Each distinct base path, without a trailing slash; variables take their defaults. Raises SpecError."""
    if not node.get("servers"):
        return otherwise
    place = under(place, "servers")
    bases = [_base(server, under(place, i)) for i, server in enumerate(sequence(node["servers"], place))]
    return tuple(dict.fromkeys(bases))


def hosts(document: JsonObject) -> list[str]:
    """Hosts, with port where given, of a document's server URLs (OpenAPI 3) or `host` (Swagger 2.0),
    MAX_HOSTS at most; a variable takes its default first, then each value of its `enum`.
    """
    netlocs = [name for server in array_in(document, "servers") for name in _netlocs(server)]
    host = text_in(document, "host")
    if host is not None:
        netlocs.append(_netloc(f"//{host}"))
    known = (name for name in dict.fromkeys(netlocs) if name and "{" not in name)
    return [*islice(known, MAX_HOSTS)]


def _netlocs(server: Json) -> list[str]:
    url = text_in(server, "url") if isinstance(server, dict) else None
    if url is None or not isinstance(server, dict):
        return []
    variables = object_in(server, "variables")
    scheme, mark, rest = url.partition("://")
    origin = scheme + mark + rest.partition("/")[0]
    names = [*dict.fromkeys(name for name in _VARIABLE.findall(origin) if name in variables)]
    choices = islice(product(*(_values(variables[name]) for name in names)), MAX_HOSTS)
    return [_netloc(_filled(origin, dict(zip(names, chosen, strict=True)))) for chosen in choices]


def _filled(url: str, values: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda found: values.get(found[1], found[0]), url)


def _values(variable: Json) -> list[str]:
    """The values of a variable, its default first."""
    said = variable if isinstance(variable, dict) else {}
    values = [said.get("default"), *array_in(said, "enum")]
    return [*dict.fromkeys(str(value) for value in values if isinstance(value, (str, int)))]


def _netloc(url: str) -> str:
    try:
        return urlsplit(url).netloc.rpartition("@")[2].lower()
    except ValueError:
        return ""


def _base(server: Json, place: str) -> str:
    server = mapping(server, place)
    url = text(server, "url", place)
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
