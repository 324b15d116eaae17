"""Path templates in a trie by segment: finds the template and parameters of a path.

Per segment a literal takes precedence over a template with literal parts ("{id}.json"), and that over a bare
parameter; the search backtracks from dead ends. A parameter that spans segments takes several only if no
template fits with one each; then fewer take precedence over more. A lookup visits each node at most once at
each depth, and a parameter followed by anything takes at most MAX_SPAN segments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar
from urllib.parse import unquote_to_bytes

from agent.wire import is_plain

T = TypeVar("T")
MAX_SPAN = 64  # segments that a parameter takes unless it ends its template


@dataclass(frozen=True, slots=True)
class Partial:
    """A segment of literals around parameters: `{a}-{b}.json` is ("", "-", ".json"), ("a", "b").

    `spans`: its only parameter may also take following segments.
    """

    literals: tuple[str, ...]
    names: tuple[str, ...]
    spans: bool = False

    @property
    def is_bare(self) -> bool:
        return self.literals == ("", "")

    def values(self, segment: str) -> list[str] | None:
        """The parameters' texts, each at least one character and as short as possible; None: no fit."""
        if self.is_bare:
            return [segment] if segment else None
        first, *middle, last = self.literals
        end = len(segment) - len(last)
        if not segment.startswith(first) or not segment.endswith(last):
            return None
        found: list[str] = []
        at = len(first)
        for literal in middle:
            stop = segment.find(literal, at + 1, end)
            if stop < 0:
                return None
            found.append(segment[at:stop])
            at = stop + len(literal)
        if at >= end:
            return None
        found.append(segment[at:end])
        return found


def parse_segment(segment: str) -> str | Partial:
    """A template's segment: literal text, or a Partial (a bare parameter has two empty literals).

    Raises ValueError with the reason.
    """
    literals: list[str] = []
    names: list[str] = []
    rest = segment
    while "{" in rest:
        literal, _, rest = rest.partition("{")
        name, closed, rest = rest.partition("}")
        if not closed or not name or "{" in name or "}" in literal:
            raise ValueError("braces in the path template do not pair")
        literals.append(decode_segment(literal))
        names.append(name)
    if "}" in rest:
        raise ValueError("braces in the path template do not pair")
    literal = decode_segment(rest)
    return Partial((*literals, literal), tuple(names)) if names else literal


def decode_segment(segment: str) -> str:
    """Percent-decoded; bytes that are not UTF-8 become surrogates, so that different segments stay
    different.
    """
    if "%" not in segment:
        return segment
    return unquote_to_bytes(segment.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")


class _Node(Generic[T]):
    """`single` is the child for any one segment: `any`, else `rest`, whose parameter spans."""

    __slots__ = ("any", "leaf", "literals", "partials", "rest", "single")

    def __init__(self) -> None:
        self.literals: dict[str, _Node[T]] = {}
        self.partials: list[tuple[Partial, _Node[T]]] = []
        self.any: _Node[T] | None = None
        self.rest: _Node[T] | None = None
        self.single: _Node[T] | None = None
        self.leaf: T | None = None


@dataclass(frozen=True, slots=True)
class Fit(Generic[T]):
    """A leaf, and how many segments each spanning parameter takes, in order."""

    leaf: T
    lengths: tuple[int, ...]


class Trie(Generic[T]):
    """Leaves by path template. A leading "/" is implied; a trailing one makes another path."""

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()
        self._spans = False

    def leaf(self, segments: Sequence[str | Partial], make: Callable[[], T]) -> T:
        """The leaf at these segments, created if there is none."""
        node = self._root
        for segment in segments:
            node = _child(node, segment)
            self._spans = self._spans or (isinstance(segment, Partial) and segment.spans)
        if node.leaf is None:
            node.leaf = make()
        return node.leaf

    def find(self, segments: Sequence[str]) -> T | None:
        """The leaf of the most specific template that these (decoded) segments fit, with one segment per
        parameter.
        """
        node = self._root
        for segment in segments:
            below = node.literals.get(segment)
            if below is None:
                if node.partials or node.single is None or not segment:
                    return self._search(segments)
                below = node.single
            node = below
        return node.leaf if node.leaf is not None else self._search(segments)

    def _search(self, segments: Sequence[str]) -> T | None:
        return next(_fits(self._root, segments, frozenset()), None)

    def find_spanning(self, segments: Sequence[str]) -> Fit[T] | None:
        """Like `find`, with parameters that take several segments."""
        return next(_spanning(self._root, segments, frozenset()), None) if self._spans else None

    def find_all(self, segments: Sequence[str]) -> Iterator[Fit[T]]:
        """The leaves of every template that fits, most specific first."""
        yield from (Fit(leaf, ()) for leaf in _fits(self._root, segments, frozenset()))
        if self._spans:
            yield from _spanning(self._root, segments, frozenset())

    def find_any(self, segments: Sequence[str]) -> T | None:
        """The result of `find`, else of `find_spanning`."""
        leaf = self.find(segments)
        fit = self.find_spanning(segments) if leaf is None else None
        return fit.leaf if fit else leaf

    def only_fit(self, segments: Sequence[str], masked: frozenset[int]) -> T | None:
        """The leaf of the only template that fits, whatever the masked segments were, if it takes these as
        parameters, of which the suffix may be masked.
        """
        found: Iterator[T]
        if self._spans:
            found = (fit.leaf for fit in _spanning(self._root, segments, masked))
        else:
            found = _fits(self._root, segments, masked)
        fitting = [*islice(found, 2)]
        taken = next(_fits(self._root, segments, masked, literally=False), None)
        return taken if len(fitting) == 1 and taken is fitting[0] else None

    def could_fit(self, segments: Sequence[str], masked: frozenset[int]) -> bool:
        """Whether some template fits, whatever the masked segments were."""
        fits = _spanning if self._spans else _fits
        return any(True for _ in fits(self._root, segments, masked))


def _child(node: _Node[T], segment: str | Partial) -> _Node[T]:
    if isinstance(segment, str):
        return node.literals.setdefault(segment, _Node())
    if segment.is_bare:
        return _bare_child(node, segment.spans)
    for partial, below in node.partials:
        if (partial.literals, partial.spans) == (segment.literals, segment.spans):
            return below
    below = _Node()
    node.partials.append((segment, below))
    node.partials.sort(key=lambda entry: (-sum(map(len, entry[0].literals)), entry[0].spans))
    return below


def _bare_child(node: _Node[T], spans: bool) -> _Node[T]:
    below = node.rest if spans else node.any
    if below is None:
        below = _Node()
        if spans:
            node.rest = below
        else:
            node.any = below
        node.single = node.any or node.rest
    return below


def _fits(
    root: _Node[T], segments: Sequence[str], masked: frozenset[int], literally: bool = True
) -> Iterator[T]:
    """Fitting leaves, most specific first. Depth first, without recursion: paths may be long. `literally`:
    masked segments fit literals, too.
    """
    stack: list[tuple[_Node[T], int]] = [(root, 0)]
    while stack:
        node, depth = stack.pop()
        if depth == len(segments):
            if node.leaf is not None:
                yield node.leaf
            continue
        for below, _ in reversed(_choices(node, segments[depth], depth in masked, literally)):
            stack.append((below, depth + 1))


def _choices(
    node: _Node[T], segment: str, masked: bool, literally: bool = True
) -> list[tuple[_Node[T], bool]]:
    """The children that take this segment, and whether their parameter may take more. A masked segment was no
    plain word.
    """
    choices: list[tuple[_Node[T], bool]] = []
    if masked and literally:
        choices += [(below, False) for literal, below in node.literals.items() if not is_plain(literal)]
    elif not masked and segment in node.literals:
        choices.append((node.literals[segment], False))
    choices += [
        (below, partial.spans)
        for partial, below in node.partials
        if masked or partial.values(segment) is not None
    ]
    if segment:
        choices += [(below, below is node.rest) for below in (node.any, node.rest) if below is not None]
    return choices


def _spanning(root: _Node[T], segments: Sequence[str], masked: frozenset[int]) -> Iterator[Fit[T]]:
    """Like `_fits`, with spanning parameters that take one or more segments. Each state is visited once."""
    stack: list[tuple[_Node[T], int, tuple[int, ...]]] = [(root, 0, ())]
    seen: set[tuple[int, int]] = set()
    while stack:
        node, depth, lengths = stack.pop()
        if (id(node), depth) in seen:
            continue
        seen.add((id(node), depth))
        if depth == len(segments):
            if node.leaf is not None:
                yield Fit(node.leaf, lengths)
            continue
        longer = _longer(node, segments, depth, masked)
        stack += reversed([(below, end, (*lengths, end - depth)) for below, end in longer])
        for below, spans in reversed(_choices(node, segments[depth], depth in masked)):
            stack.append((below, depth + 1, (*lengths, 1) if spans else lengths))


def _longer(
    node: _Node[T], segments: Sequence[str], depth: int, masked: frozenset[int]
) -> Iterator[tuple[_Node[T], int]]:
    """Children whose parameter takes several segments from here, and its end; the nearest end first."""
    spans = [(partial.literals, below) for partial, below in node.partials if partial.spans]
    if node.rest is not None:
        spans.append((("", ""), node.rest))
    last = len(segments)
    for (first, suffix), below in spans:
        if depth not in masked and not _holds(segments[depth], first, str.startswith):
            continue
        followed = below.literals or below.partials or below.single
        near = min(last, depth + MAX_SPAN + 1) if followed else 0
        for end in [
            *range(depth + 2, near),
            *([last] if below.leaf is not None and last > depth + 1 else ()),
        ]:
            if end - 1 in masked or _holds(segments[end - 1], suffix, str.endswith):
                yield below, end


def _holds(segment: str, literal: str, at: Callable[[str, str], bool]) -> bool:
    """Whether a segment has this literal at its end or start, and further text."""
    return not literal or (len(segment) > len(literal) and at(segment, literal))
