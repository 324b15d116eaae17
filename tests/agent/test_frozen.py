"""Facts are values: equal, hashed and copied by content, however they are created."""

from __future__ import annotations

import dataclasses

import pytest

from agent.events import Address, Tick


def test_facts_are_compared_and_hashed_by_what_they_hold() -> None:
    one, same, other = Address("10.0.0.1", 80), Address("10.0.0.1", port=80), Address("10.0.0.1", 80, 7)
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert {one, same, other} == {one, other}
    assert dataclasses.replace(one, netns=7) == other


@pytest.mark.parametrize("fact", [Tick(1), Address("::1", 80)])
def test_facts_have_their_fields_and_no_others(fact: Tick | Address) -> None:
    assert dataclasses.is_dataclass(fact)
    assert not hasattr(fact, "__dict__")
    with pytest.raises(AttributeError):
        setattr(fact, "another", 1)  # noqa: B010 (the type checker would refuse the assignment)
