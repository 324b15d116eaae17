"""The base paths and hosts of a document's servers (OpenAPI 3.1, 4.8.5)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice, product
from urllib.parse import urlsplit

from server.analysis.json import Json, JsonObject, array_in, object_in, text_in
from server.analysis.specs.document.checks import mapping, sequence, text
from server.analysis.specs.document.pointers import under
from server.analysis.specs.model import SpecError

MAX_HOSTS = 50  # of one document
MAX_BASES = 50  # of one document, path or operation
_ORIGIN = re.compile(r"(?:[^/?#]*:)?//[^/]*")
_VARIABLE = re.compile(r"\{([^{}]*)\}")


def base_paths(node: JsonObject, place: str, otherwise: tuple[str, ...] = ("",)) -> tuple[str, ...]:
    """Each distinct base path, without a trailing slash, MAX_BASES at most; a variable takes its default
    first, then each value of its `enum`. Raises SpecError.
    """
    if not node.get("servers"):
        return otherwise
    place = under(place, "servers")
    servers = enumerate(sequence(node["servers"], place))
    bases = (base for i, server in servers for base in _bases(server, under(place, i)))
    return tuple(islice(dict.fromkeys(bases), MAX_BASES))


def rebased(document: JsonObject, base_path: str) -> JsonObject:
    """The document with this base path in its server URLs, whose hosts stay."""
    if "swagger" in document:
        return {**document, "basePath": base_path or "/"}
    servers = [one for one in array_in(document, "servers") if isinstance(one, dict)] or [{"url": ""}]
    urls = (_ORIGIN.match(text_in(one, "url") or "") for one in servers)
    origins = (found[0] if found else "" for found in urls)
    moved: list[Json] = [
        {**one, "url": origin + base_path or "/"} for one, origin in zip(servers, origins, strict=True)
    ]
    return {**document, "servers": moved}


def hosts(document: JsonObject) -> list[str]:
    """Hosts, with port where given, of a document's server URLs (OpenAPI 3) or `host` (Swagger 2.0),
    MAX_HOSTS at most; a variable takes its default first, then each value of its `enum`.
    """
    found = netlocs(document)
    host = text_in(document, "host")
    return [*found, *([_netloc(f"//{host}")] if host is not None else [])][:MAX_HOSTS]


def netlocs(node: JsonObject, free: str | None = None) -> list[str]:
    """Hosts, with port where given, in the `servers` of a document, path or operation, MAX_HOSTS at most.
    `free` stands for a variable that may have any value; without it, it takes its default.
    """
    found = (name for server in array_in(node, "servers") for name in _netlocs(server, free))
    known = (name for name in dict.fromkeys(found) if name and "{" not in name)
    return [*islice(known, MAX_HOSTS)]


def _netlocs(server: Json, free: str | None) -> Iterator[str]:
    url = text_in(server, "url") if isinstance(server, dict) else None
    if url is None or not isinstance(server, dict):
        return
    variables = object_in(server, "variables")
    scheme, mark, rest = url.partition("://")
    host = rest.partition("/")[0]
    if free is not None and mark:
        scheme = "http"  # a variable there would make the URL unreadable
        freed = {name: free for name, said in variables.items() if not _is_limited(said)}
        host = _filled(host, freed)
    origin = scheme + mark + host
    names = [*dict.fromkeys(name for name in _VARIABLE.findall(origin) if name in variables)]
    for chosen in islice(product(*(_values(variables[name]) for name in names)), MAX_HOSTS):
        yield _netloc(_filled(origin, dict(zip(names, chosen, strict=True))))


def _is_limited(variable: Json) -> bool:
    return isinstance(variable, dict) and bool(array_in(variable, "enum"))


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


def _bases(server: Json, place: str) -> Iterator[str]:
    server = mapping(server, place)
    url = text(server, "url", place)
    variables = mapping(server.get("variables", {}), under(place, "variables"))
    for name in _VARIABLE.findall(url):
        at = under(place, "variables", name)
        if name not in variables:
            raise SpecError(at, "the server's URL names a variable that is not described")
        if mapping(variables[name], at).get("default") is None:
            raise SpecError(under(at, "default"), "missing")
    in_path = {*_VARIABLE.findall(url.partition("://")[2].partition("/")[2] if "://" in url else url)}
    names = [*dict.fromkeys(_VARIABLE.findall(url))]
    values = [_values(variables[name])[: None if name in in_path else 1] for name in names]
    for chosen in islice(product(*values), MAX_BASES):
        yield _base(_filled(url, dict(zip(names, chosen, strict=True))), place)


def _base(url: str, place: str) -> str:
    try:
        path = urlsplit(url).path
    except ValueError:
        raise SpecError(under(place, "url"), "not a URL") from None
    path = path.removeprefix(".").rstrip("/")
    return path if path.startswith("/") or not path else "/" + path
