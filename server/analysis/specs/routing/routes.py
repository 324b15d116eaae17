"""Paths → routes: a document's operations under their base paths."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from server.analysis.specs.document.pointers import under
from server.analysis.specs.model import Operation, SpecError
from server.analysis.specs.routing.trie import Partial, Trie, decode_segment, parse_segment

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Route(Generic[T]):
    """The target of one path and method; `places` are the path's segments with parameters."""

    target: T
    places: tuple[tuple[int, Partial], ...]

    @property
    def names(self) -> list[tuple[str, ...]]:
        return [part.names for _, part in self.places]

    def values(self, found: Found[T]) -> Iterator[tuple[str, range, str | None]]:
        """(parameter, indices of its segments, its text; None if that is masked with what is around it)."""
        if not found.lengths:
            for index, partial in self.places:
                texts = partial.values(found.segments[index])
                for at, name in enumerate(partial.names):
                    yield name, range(index, index + 1), None if texts is None else texts[at]
            return
        lengths, more = iter(found.lengths), 0
        for index, partial in self.places:
            start = index + more
            end = start + (next(lengths, 1) if partial.spans else 1)
            more += end - start - 1
            held = partial.values("/".join(found.segments[start:end])) or ()
            for name, text in zip(partial.names, held, strict=False):
                yield name, range(start, end), text


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """A path that fits a template: its routes by method, its decoded segments, and how many of them each
    spanning parameter takes; empty if all take one.
    """

    routes: dict[str, Route[T]]
    segments: list[str]
    lengths: tuple[int, ...] = ()

    def route(self, method: str) -> Route[T] | None:
        """The route of a method; GET's for HEAD, unless HEAD is described."""
        found = self.routes.get(method)
        return self.routes.get("GET") if found is None and method == "HEAD" else found


class Routes(Generic[T]):
    """All routes of a document."""

    def __init__(self) -> None:
        self._trie: Trie[dict[str, Route[T]]] = Trie()

    def add(self, operation: Operation, target: T, base: str, warn: Callable[[str], None]) -> None:
        """Adds a route from an operation's path under `base` to `target`. Raises SpecError for an invalid
        template.
        """
        place = under("/paths", operation.template)
        if "?" in operation.template or "#" in operation.template:
            warn(f"{place}: a path with a query or fragment matches nothing")
        segments: list[str | Partial] = [decode_segment(segment) for segment in _split(base)]
        try:
            segments += template_segments(operation.template, operation.spans)
        except ValueError as error:
            raise SpecError(place, str(error)) from None
        routes = self._trie.leaf(segments, dict[str, Route[T]])
        places = tuple((i, part) for i, part in enumerate(segments) if isinstance(part, Partial))
        if operation.method in routes:
            warn(f"{place}: {operation.method} of an equal path is described before; this one is not used")
        else:
            if any(other.names != [part.names for _, part in places] for other in routes.values()):
                warn(f"{place}: another path differs from this one in names of parameters only")
            routes[operation.method] = Route(target, places)

    def find(self, path: bytes) -> Found[T] | None:
        """The match for a path as sent; a trailing slash makes no difference if only one form exists."""
        sent = segments_of(path)
        routes = self._trie.find(sent)
        if routes is not None:
            return Found(routes, sent)
        other = sent[:-1] if sent and not sent[-1] else [*sent, ""]
        routes = self._trie.find(other)
        return self._find_spanning(sent, other) if routes is None else Found(routes, other)

    def find_for(self, path: bytes, method: str) -> Found[T] | None:
        """The most specific template that fits a path as sent and has the method; else as `find`."""
        found = self.find(path)
        if found is None or found.route(method) is not None:
            return found
        sent = segments_of(path)
        for segments in (sent, sent[:-1] if sent and not sent[-1] else [*sent, ""]):
            for fit in self._trie.find_all(segments):
                other = Found(fit.leaf, segments, fit.lengths)
                if other.route(method) is not None:
                    return other
        return found

    def _find_spanning(self, *forms: list[str]) -> Found[T] | None:
        """The match with spanning parameters; one takes the trailing slash only if nothing else fits."""
        for segments in sorted(forms, key=len):
            fit = self._trie.find_spanning(segments)
            if fit is not None:
                return Found(fit.leaf, segments, fit.lengths)
        return None

    def find_masked(self, path: bytes, masked: frozenset[int], method: str) -> Found[T] | None:
        """The only template that fits whatever the masked segments were, if it has the method and takes them
        as parameters.
        """
        segments = segments_of(path)
        routes = self._trie.only_fit(segments, masked)
        found = None if routes is None else Found(routes, segments)
        return found if found is not None and found.route(method) is not None else None

    def could_find(self, path: bytes, masked: frozenset[int]) -> bool:
        """Whether something would fit with other values in the masked segments."""
        segments = segments_of(path)
        return self._trie.could_fit(segments, masked)


def segments_of(path: bytes) -> list[str]:
    """Decoded segments after the leading slash; a trailing slash gives an empty last one."""
    text = path.decode("utf-8", "surrogateescape")
    segments = (text[1:] if text.startswith("/") else text).split("/")
    return [*map(decode_segment, segments)] if "%" in text else segments


def template_segments(template: str, spans: Container[str] = ()) -> list[str | Partial]:
    """A template's segments. A parameter takes several segments of a path if `spans` names it, or it is
    marked: `{+name}` (RFC 6570, 3.2.3), or API gateways' `{name+}` and `{name*}`; at the end also if its name
    ends in "path", like Kubernetes' `proxy/{path}`. Raises ValueError with the reason.
    """
    segments = [*map(parse_segment, _split(template))]
    last = len(segments) - 1
    return [
        _spanning(segment, spans, at == last) if isinstance(segment, Partial) else segment
        for at, segment in enumerate(segments)
    ]


def _spanning(segment: Partial, spans: Container[str], is_last: bool) -> Partial:
    if len(segment.names) > 1:
        return segment
    name = segment.names[0].strip("+*") or segment.names[0]
    named = name in spans or (is_last and segment.is_bare and name.lower().endswith("path"))
    return replace(segment, names=(name,), spans=named or name != segment.names[0])


def _split(path: str) -> list[str]:
    """A template's segments; none for "" (a base path), one empty for "/"."""
    return path[1:].split("/") if path.startswith("/") else []
