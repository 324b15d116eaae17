from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.query.errors import QueryError
from server.query.language import MAX_LENGTH, MAX_TERMS, QueryTerm, terms

CHARACTERS = st.text(alphabet=st.sampled_from('ab:-"\\ \t\n*?<>.,é'), max_size=40)
WORDS = st.text(min_size=1, max_size=20)


def read(text: str) -> list[tuple[str | None, str, bool]]:
    return [(one.field, one.value, one.negated) for one in terms(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("  \n ", []),
        ("refund", [(None, "refund", False)]),
        ("status:5xx", [("status", "5xx", False)]),
        ("Status:5xx", [("status", "5xx", False)]),
        ("-consumer:legacy*", [("consumer", "legacy*", True)]),
        ("since:-1d", [("since", "-1d", False)]),
        ('"two words"', [(None, "two words", False)]),
        ('-"a \\" b \\\\"', [(None, 'a " b \\', True)]),
        ('operation:"GET /users/{id}"', [("operation", "GET /users/{id}", False)]),
        ("path:a:b", [("path", "a:b", False)]),
        ("10.0.0.1:80", [(None, "10.0.0.1:80", False)]),
        ("a  took:>1s", [(None, "a", False), ("took", ">1s", False)]),
    ],
)
def test_a_query_is_a_list_of_terms(text: str, expected: list[tuple[str | None, str, bool]]) -> None:
    assert read(text) == expected


@pytest.mark.parametrize(
    ("text", "position", "reason"),
    [
        ("a status:", 3, "needs a value behind status:"),
        ("a -", 3, "- needs a term behind it"),
        ('path:"/a', 6, "this quote is not closed"),
        ('path:"/a"b', 10, "a space must follow the closing quote"),
        ('path:a"b"', 7, "a quote stands at the beginning of a value only"),
        ("x " * (MAX_TERMS + 1), 2 * MAX_TERMS + 1, f"a query has at most {MAX_TERMS} terms"),
        ("x" * (MAX_LENGTH + 1), None, f"a query has at most {MAX_LENGTH} characters"),
    ],
)
def test_what_is_no_query_is_an_error_with_its_place(text: str, position: int | None, reason: str) -> None:
    with pytest.raises(QueryError) as raised:
        read(text)
    assert (raised.value.position, raised.value.reason) == (position, reason)


@given(CHARACTERS | st.text())
def test_any_text_becomes_terms_or_one_error_within_it(text: str) -> None:
    found, position = attempted(text)
    assert position is None or 1 <= position <= len(text)
    assert all(1 <= one.position <= one.value_position <= len(text) + 1 for one in found)
    assert found or position or not text.strip()


def attempted(text: str) -> tuple[list[QueryTerm], int | None]:
    """The terms, or the place of the error."""
    try:
        return [*terms(text)], None
    except QueryError as error:
        return [], error.position


@given(st.lists(WORDS, max_size=10))
def test_whatever_is_quoted_is_read_as_it_is(words: list[str]) -> None:
    quoted = ['"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"' for word in words]
    assert [value for _, value, _ in read(" ".join(quoted))] == words
