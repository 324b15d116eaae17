"""Path templates in a trie by segment: which template does a path fit, and with which values.

Per segment a literal wins over a template with literal parts ("{id}.json"), which wins over a bare
parameter, which wins over one that takes all that is left of the path; a choice that leads nowhere is
taken back. A node stands at one depth only, so a lookup visits each node at most once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import unquote_to_bytes

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Partial:
    """A segment of literals around parameters: `{a}-{b}.json` is ("", "-", ".json"), ("a", "b").

    `spans`: a bare one that takes this segment and all that follow.
    """

    literals: tuple[str, ...]
    names: tuple[str, ...]
    spans: bool = False

    @property
    def is_bare(self) -> bool:
        return self.literals == ("", "")

    def values(self, segment: str) -> list[str] | None:
        """The parameters' texts, each at least one character and as short as can be; None: no fit."""
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
    """Percent-decoded; bytes that are not UTF-8 become surrogates, so nothing collides."""
    if "%" not in segment:
        return segment
    return unquote_to_bytes(segment.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")


class _Node(Generic[T]):
    __slots__ = ("any", "leaf", "literals", "partials", "rest")

    def __init__(self) -> None:
        self.literals: dict[str, _Node[T]] = {}
        self.partials: list[tuple[Partial, _Node[T]]] = []
        self.any: _Node[T] | None = None
        self.rest: _Node[T] | None = None
        self.leaf: T | None = None


class Trie(Generic[T]):
    """Leaves by path template. A leading "/" is understood; a trailing one makes another path."""

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()

    def leaf(self, segments: Sequence[str | Partial], make: Callable[[], T]) -> T:
        """The leaf at these segments, made where there is none yet."""
        node = self._root
        for segment in segments:
            node = _child(node, segment)
        if node.leaf is None:
            node.leaf = make()
        return node.leaf

    def find(self, segments: Sequence[str]) -> T | None:
        """The leaf of the most specific template that these (decoded) segments fit."""
        node = self._root
        for segment in segments:
            below = node.literals.get(segment)
            if below is None:
                if node.partials or node.any is None or not segment:
                    return self._search(segments)
                below = node.any
            node = below
        return node.leaf if node.leaf is not None else self._search(segments)

    def _search(self, segments: Sequence[str]) -> T | None:
        return next(_fits(self._root, segments, frozenset()), None)

    def could_fit(self, segments: Sequence[str], masked: frozenset[int]) -> bool:
        """Whether some template fits, whatever stood in the masked segments."""
        return any(True for _ in _fits(self._root, segments, masked))


def _child(node: _Node[T], segment: str | Partial) -> _Node[T]:
    if isinstance(segment, str):
        return node.literals.setdefault(segment, _Node())
    if segment.spans:
        if node.rest is None:
            node.rest = _Node()
        return node.rest
    if segment.is_bare:
        if node.any is None:
            node.any = _Node()
        return node.any
    for partial, below in node.partials:
        if partial.literals == segment.literals:
            return below
    below = _Node()
    node.partials.append((segment, below))
    node.partials.sort(key=lambda entry: -sum(map(len, entry[0].literals)))
    return below


def _fits(root: _Node[T], segments: Sequence[str], masked: frozenset[int]) -> Iterator[T]:
    """Leaves that fit, most specific first. Depth first, without recursion: paths may be long."""
    stack: list[tuple[_Node[T], int]] = [(root, 0)]
    while stack:
        node, depth = stack.pop()
        if depth == len(segments):
            if node.leaf is not None:
                yield node.leaf
            continue
        if node.rest is not None and (segments[depth] or depth + 1 < len(segments)):
            stack.append((node.rest, len(segments)))
        for below in reversed(_choices(node, segments[depth], depth in masked)):
            stack.append((below, depth + 1))


def _choices(node: _Node[T], segment: str, masked: bool) -> list[_Node[T]]:
    choices: list[_Node[T]] = []
    if masked:
        choices += node.literals.values()
    elif segment in node.literals:
        choices.append(node.literals[segment])
    choices += [below for partial, below in node.partials if masked or partial.values(segment) is not None]
    if node.any is not None and segment:
        choices.append(node.any)
    return choices
