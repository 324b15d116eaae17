"""Numbers depend on keys only: another server, and every later version, derives the same."""

from __future__ import annotations

from itertools import chain, combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.analysis.inventory import ApiKind, ConsumerKind
from server.store import keys
from server.store.keys import LOWEST, Numbered, Part, id_of, number_in, number_of

KindAndKey = tuple[Numbered, tuple[Part, ...]]
PARTS: st.SearchStrategy[Part] = st.one_of(
    st.none(), st.integers(-(2**63), 2**63 - 1), st.text(st.characters())
)
KEYS: st.SearchStrategy[KindAndKey] = st.tuples(
    st.sampled_from(Numbered), st.lists(PARTS, max_size=4).map(lambda parts: tuple(parts))
)


@pytest.mark.parametrize(
    ("kind", "key", "id"),
    [
        (Numbered.API, (ApiKind.WORKLOAD, None, "shop", "orders"), "0f2541484010911e"),
        (Numbered.API, (ApiKind.ADDRESS, "c1", None, None, "10.0.0.1", 80), "60f4a918b4c7dec8"),
        (Numbered.OPERATION, (1 << 40, "GET /users/{id}"), "063707db2224fb0b"),
        (Numbered.CONSUMER, (ConsumerKind.USER_AGENT, "größer/1.0"), "386b96038948621b"),
        (
            Numbered.DEVIATION,
            (1 << 40, "GET /users/{id}", "unknown-status", "status", "500"),
            "0affa5a91034ce3c",
        ),
    ],
)
def test_a_number_once_given_never_changes(kind: str, key: tuple[Part, ...], id: str) -> None:
    assert id_of(number_of(kind, *key)) == id


@given(st.lists(KEYS, unique=True, min_size=2, max_size=6))
def test_other_keys_come_to_other_numbers(found: list[KindAndKey]) -> None:
    assert len({number_of(kind, *key) for kind, key in found}) == len(found)


def test_parts_are_not_run_together() -> None:
    words = ("", "a", "b", "ab", '"', ",", "1")
    found: list[tuple[Part, ...]] = [(1,), (None,)]
    found += chain.from_iterable(combinations(words, count) for count in (1, 2, 3))
    assert len({number_of(Numbered.API, *key) for key in found}) == len(found)


@given(KEYS, st.integers(1, 63))
def test_a_number_is_none_that_a_sequence_gave_and_fits_the_store(one: KindAndKey, bits: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "BITS", bits)
        number = number_of(one[0], *one[1])
    assert LOWEST <= number < 2**63
    assert number_in(id_of(number)) == number


@pytest.mark.parametrize(
    "id", ["", "1", "0" * 15, "f" * 16, "0" * 17, "00000000000000AB", "\u0660" * 16, "0" * 15 + "\n"]
)
def test_what_is_no_id_stands_for_no_number(id: str) -> None:
    assert number_in(id) is None
