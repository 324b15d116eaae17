"""Paths → routes: a document's operations under their base paths."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from server.analysis.specs.model import Operation, SpecError
from server.analysis.specs.pointers import under
from server.analysis.specs.trie import Partial, Trie, decode_segment, parse_segment


@dataclass(frozen=True, slots=True)
class Route:
    """An operation at one path; `places` are the path's segments that hold parameters."""

    operation: Operation
    places: tuple[tuple[int, Partial], ...]

    def values(self, segments: list[str]) -> Iterator[tuple[str, int, str]]:
        """(parameter, index of its segment, its text)."""
        for index, partial in self.places:
            held = "/".join(segments[index:]) if partial.spans else segments[index]
            for name, text in zip(partial.names, partial.values(held) or (), strict=False):
                yield name, index, text


@dataclass(frozen=True, slots=True)
class Found:
    """A path that some template fits: its routes by method, and its decoded segments."""

    routes: dict[str, Route]
    segments: list[str]

    def route(self, method: str) -> Route | None:
        """The route of a method; HEAD is answered by GET where it is not described itself."""
        found = self.routes.get(method)
        return self.routes.get("GET") if found is None and method == "HEAD" else found


class Routes:
    """All routes of a document."""

    def __init__(self) -> None:
        self._trie: Trie[dict[str, Route]] = Trie()

    def add(self, operation: Operation, base: str, warn: Callable[[str], None]) -> None:
        """Puts an operation under a base path. Raises SpecError on a broken template."""
        place = under("/paths", operation.template)
        if "?" in operation.template or "#" in operation.template:
            warn(f"{place}: a path with a query or fragment matches nothing")
        segments: list[str | Partial] = [decode_segment(segment) for segment in _split(base)]
        try:
            segments += map(parse_segment, _split(operation.template))
        except ValueError as error:
            raise SpecError(place, str(error)) from None
        _span(segments)
        routes = self._trie.leaf(segments, dict[str, Route])
        places = tuple((i, part) for i, part in enumerate(segments) if isinstance(part, Partial))
        if operation.method in routes:
            warn(f"{place}: {operation.method} of an equal path is described before; this one is not used")
        else:
            routes[operation.method] = Route(operation, places)

    def find(self, path: bytes) -> Found | None:
        """What fits a path as sent; a slash at its end makes no difference where only one form exists."""
        segments = segments_of(path)
        routes = self._trie.find(segments)
        if routes is None:
            segments = segments[:-1] if segments and not segments[-1] else [*segments, ""]
            routes = self._trie.find(segments)
        return None if routes is None else Found(routes, segments)

    def could_find(self, path: bytes, masked: frozenset[int]) -> bool:
        """Whether something would fit, had the masked segments held something else."""
        segments = segments_of(path)
        return self._trie.could_fit(segments, masked)


def segments_of(path: bytes) -> list[str]:
    """Decoded segments after the leading slash; a slash at the end leaves an empty one last."""
    text = path.decode("utf-8", "surrogateescape")
    segments = (text[1:] if text.startswith("/") else text).split("/")
    return [*map(decode_segment, segments)] if "%" in text else segments


def _span(segments: list[str | Partial]) -> None:
    """Has a parameter at the end take what is left of the path where it is one: by its name, as Kubernetes'
    `proxy/{path}`, or by the marks of API gateways, `{name+}` and `{name*}`.
    """
    last = segments[-1] if segments else ""
    if isinstance(last, Partial) and last.is_bare:
        name = last.names[0]
        if name.lower().endswith("path") or name[-1] in "+*":
            segments[-1] = replace(last, names=(name.rstrip("+*"),), spans=True)


def _split(path: str) -> list[str]:
    """A template's segments; none for "" (a base path), one empty for "/"."""
    return path[1:].split("/") if path.startswith("/") else []
