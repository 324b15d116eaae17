"""The operations of a GraphQL document: their kind, and their name or root fields.

Only as much of the grammar (GraphQL, October 2021, section 2) as tells a document from other text and finds
the names. A document may be masked in part: a name that stands before what was masked is still found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

MAX_DOCUMENT = 64 * 1024  # characters; a longer document is read to here
MAX_OPERATIONS = 50
MAX_ROOTS = 3  # root fields that name an operation without a name

KINDS = frozenset({"query", "mutation", "subscription"})
_TOKEN = re.compile(
    r"""[\s,\ufeff]+|\#[^\r\n]*"""
    r"""|(?P<name>[_A-Za-z][_0-9A-Za-z]*)|(?P<mark>\.\.\.|[!$&()=@:\[\]{}|])"""
    r"""|(?P<value>\"\"\"(?:[^"\\]|\\.|"(?!""))*+(?:\"\"\")?|"(?:[^"\\\r\n]|\\.)*+"?|-?[0-9][0-9.eE+-]*)"""
    r"""|(?P<other>.)""",
    re.DOTALL,
)
_OPEN, _CLOSE = frozenset("({["), frozenset(")}]")


@dataclass(frozen=True, slots=True)
class GraphqlOperation:
    """`name` is None for an operation without one; `roots` are its root fields, sorted."""

    kind: str
    name: str | None
    roots: tuple[str, ...]


class _Foreign(Exception):
    """The text is no GraphQL document."""


def operations(document: str) -> tuple[GraphqlOperation, ...]:
    """The operations of a document; none if it is not GraphQL, or only has fragments or types."""
    tokens = _Tokens(document[:MAX_DOCUMENT])
    try:
        return tuple(islice(_definitions(tokens), MAX_OPERATIONS))
    except _Foreign:
        return ()


class _Tokens:
    """The tokens that mean something, with one to look at; "" at the end. A value is '"'."""

    def __init__(self, text: str) -> None:
        self._found = _TOKEN.finditer(text)
        self.now = ""
        self.next()

    def next(self) -> str:
        """Goes on, and gives the token it has left."""
        left = self.now
        self.now = ""
        for match in self._found:
            if match.lastgroup is not None:
                self.now = '"' if match.lastgroup in ("value", "other") else match[0]
                break
        return left

    @property
    def is_name(self) -> bool:
        return self.now[:1].isalpha() or self.now[:1] == "_"

    def skip_group(self) -> None:
        """Skips brackets and what is in them, at most to the end."""
        depth = 0
        while self.now:
            token = self.next()
            depth += (token in _OPEN) - (token in _CLOSE)
            if depth <= 0:
                return


def _definitions(tokens: _Tokens) -> Iterator[GraphqlOperation]:
    while tokens.now:
        if tokens.now == "{":
            yield GraphqlOperation("query", None, _roots(tokens))
        elif tokens.now in KINDS:
            yield _operation(tokens)
        elif tokens.now == "fragment":
            _fragment(tokens)
        else:
            raise _Foreign


def _operation(tokens: _Tokens) -> GraphqlOperation:
    kind = tokens.next()
    name = tokens.next() if tokens.is_name else None
    if tokens.now not in ("{", "(", "@"):
        raise _Foreign
    if tokens.now == "(":
        tokens.skip_group()
    _directives(tokens)
    return GraphqlOperation(kind, name, _roots(tokens) if tokens.now == "{" else ())


def _fragment(tokens: _Tokens) -> None:
    for _ in range(4):  # fragment NAME on TYPE
        if not tokens.is_name:
            raise _Foreign
        tokens.next()
    _directives(tokens)
    if tokens.now != "{":
        raise _Foreign
    tokens.skip_group()


def _directives(tokens: _Tokens) -> None:
    while tokens.now == "@":
        tokens.next()
        tokens.next()
        if tokens.now == "(":
            tokens.skip_group()


def _roots(tokens: _Tokens) -> tuple[str, ...]:
    """The fields of a selection set, without aliases and without what is in fragments."""
    tokens.next()
    found: set[str] = set()
    while tokens.now and tokens.now != "}":
        token = tokens.next()
        if token == "...":
            _spread(tokens)
        elif token in ("(", "{"):
            raise _Foreign
        elif token[:1].isalpha() or token[:1] == "_":
            if tokens.now == ":":
                tokens.next()
                token = tokens.next()
            found.add(token)
            _rest_of_field(tokens)
        else:
            raise _Foreign
    tokens.next()
    return tuple(sorted(found))


def _spread(tokens: _Tokens) -> None:
    if tokens.now == "on":
        tokens.next()
    if tokens.is_name:
        tokens.next()
    _directives(tokens)
    if tokens.now == "{":
        tokens.skip_group()


def _rest_of_field(tokens: _Tokens) -> None:
    if tokens.now == "(":
        tokens.skip_group()
    _directives(tokens)
    if tokens.now == "{":
        tokens.skip_group()
