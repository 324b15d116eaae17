r"""The query language.

    query = term, separated by white space
    term  = ["-"] [field ":"] value
    value = characters without white space and quotes, or any in quotes, where \" and \\ are one character

A term without a field is text to search for. `-` excludes what the term finds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from server.query.errors import QueryError

MAX_LENGTH = 4000  # characters
MAX_TERMS = 50

_SPACE = re.compile(r"\s*")
_TERM = re.compile(
    r"""(?P<minus>-)?(?:(?P<field>[A-Za-z_]+):)?
    (?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^\s"]+))?""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class QueryTerm:
    """`field` is None for text to search for. Positions are characters from 1."""

    field: str | None
    value: str
    negated: bool
    position: int
    value_position: int


def terms(text: str) -> Iterator[QueryTerm]:
    """The terms of a query. Raises QueryError."""
    if len(text) > MAX_LENGTH:
        raise QueryError(f"a query has at most {MAX_LENGTH} characters")
    at, count = _after_space(text, 0), 0
    while at < len(text):
        count += 1
        if count > MAX_TERMS:
            raise QueryError(f"a query has at most {MAX_TERMS} terms", position=at + 1)
        found = _TERM.match(text, at)
        assert found is not None  # it also matches nothing
        yield _term(text, found)
        at = _after_space(text, found.end())


def _term(text: str, found: re.Match[str]) -> QueryTerm:
    field, bare, quoted = found["field"], found["bare"], found["quoted"]
    start, end = found.start(), found.end()
    if end < len(text) and text[end] == '"':
        raise QueryError(_about_quote(text, end), field, end + 1)
    if bare is None and quoted is None:
        reason = f"needs a value behind {field}:" if field else "- needs a term behind it"
        raise QueryError(reason, field, start + 1)
    if end < len(text) and not text[end].isspace():
        raise QueryError("a space must follow the closing quote", field, end + 1)
    value = bare if quoted is None else re.sub(r'\\(["\\])', r"\1", quoted)
    value_start = found.start("bare") if quoted is None else found.start("quoted") - 1
    return QueryTerm(
        field=None if field is None else field.lower(),
        value=value,
        negated=found["minus"] is not None,
        position=start + 1,
        value_position=value_start + 1,
    )


def _about_quote(text: str, at: int) -> str:
    if '"' in text[at + 1 :]:
        return "a quote stands at the beginning of a value only"
    return "this quote is not closed"


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    assert found is not None
    return found.end()
