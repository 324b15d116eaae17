"""GraphQL documents: which operations are in them, and what is no document."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.redact import graphql
from agent.redact.graphql import KINDS, GraphqlOperation, operations

NAMED = "query GetUser($id: ID!, $first: Int = 5) @live(if: true) { user(id: $id) { name } }"

DOCUMENTS: dict[str, tuple[GraphqlOperation, ...]] = {
    NAMED: (GraphqlOperation("query", "GetUser", ("user",)),),
    "{ me { id } }": (GraphqlOperation("query", None, ("me",)),),
    "query { b a }": (GraphqlOperation("query", None, ("a", "b")),),
    "query{a}": (GraphqlOperation("query", None, ("a",)),),
    "mutation Pay { pay(input: {amount: 5, tags: [A, B]}) { ok } }": (
        GraphqlOperation("mutation", "Pay", ("pay",)),
    ),
    "subscription OnOrder { orderPlaced { id } }": (
        GraphqlOperation("subscription", "OnOrder", ("orderPlaced",)),
    ),
    "query query { query }": (GraphqlOperation("query", "query", ("query",)),),
    "{ mine: user(id: 1) { a } theirs: user(id: 2) { a } }": (GraphqlOperation("query", None, ("user",)),),
    "\ufeff# a comment {\n  { a, b # of b }\n }": (GraphqlOperation("query", None, ("a", "b")),),
    '{ a(text: "} mutation X {") b(long: """ "quoted" } """) }': (
        GraphqlOperation("query", None, ("a", "b")),
    ),
    '{ a(text: "\\"}") }': (GraphqlOperation("query", None, ("a",)),),
    "{ a @skip(if: $x) @b { c } ... on T @d { e } ...F g }": (GraphqlOperation("query", None, ("a", "g")),),
    "fragment F on User @d { id } query Q { ...F }": (GraphqlOperation("query", "Q", ()),),
    "query A { a } query B { b }": (
        GraphqlOperation("query", "A", ("a",)),
        GraphqlOperation("query", "B", ("b",)),
    ),
    # cut, or masked in part
    "query Long { a { b": (GraphqlOperation("query", "Long", ("a",)),),
    "mutation Login($password: redacted { login(password: redacted { token } }": (
        GraphqlOperation("mutation", "Login", ()),
    ),
    "{ a(x: redacted": (GraphqlOperation("query", None, ("a",)),),
    # something else
    "": (),
    "query": (),
    "query performance": (),
    "query of the day { x }": (),
    "shoes": (),
    "fragment of a sentence": (),
    "fragment F on User { id }": (),
    "{": (GraphqlOperation("query", None, ()),),
    '{"match_all": {}}': (),
    "{ { } }": (),
    "type User { id: ID! }": (),
    "SELECT * FROM users": (),
    "<b>": (),
}


@pytest.mark.parametrize(("document", "expected"), DOCUMENTS.items())
def test_a_document_has_these_operations(document: str, expected: tuple[GraphqlOperation, ...]) -> None:
    assert operations(document) == expected


def test_no_more_operations_are_read_than_the_bound() -> None:
    assert len(operations("{ a }" * (graphql.MAX_OPERATIONS + 5))) == graphql.MAX_OPERATIONS


def test_a_document_beyond_the_bound_is_read_to_there() -> None:
    assert operations("{ a }" + " " * graphql.MAX_DOCUMENT + "{ b }") == (
        GraphqlOperation("query", None, ("a",)),
    )


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_document_that_is_cut_anywhere_never_raises(document: str) -> None:
    for cut in range(len(document)):
        for one in operations(document[:cut]):
            assert one.kind in KINDS


PARTS = ["query", "mutation", "fragment", "on", "{", "}", "(", ")", "[", "]", ":", "@", "...", "a", "B"]
PARTS += ['"', '"""', "\\", "#", "\n", " ", ",", "$", "!", "=", "1.5", "é", "\0"]


@given(st.lists(st.sampled_from(PARTS), max_size=40).map("".join) | st.text(max_size=60))
@example("{" * 50_000)
@example("{a(" * 30_000)
@example('"' * 65_536)
@example('{a(b:"""' + '\\"' * 30_000)
@example("... on " * 9_000)
def test_any_text_is_operations_whose_names_are_in_it(document: str) -> None:
    for one in operations(document):
        assert one.kind in KINDS
        assert all(name in document for name in (*one.roots, one.name or ""))
