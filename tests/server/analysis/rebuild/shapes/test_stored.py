from __future__ import annotations

from typing import Any

import msgpack
from hypothesis import given, settings
from hypothesis import strategies as st

from server.analysis.rebuild.shapes.budget import Budget
from server.analysis.rebuild.shapes.learning import learn
from server.analysis.rebuild.shapes.render import schema
from server.analysis.rebuild.shapes.stored import dump, load
from tests.server.analysis.rebuild.shapes.taught import PLAIN, learnt, said, values


@settings(deadline=None)
@given(st.lists(values, max_size=20), st.lists(values, max_size=20))
def test_what_was_stored_learns_on_as_if_it_had_not_been(some: list[Any], others: list[Any]) -> None:
    stored = msgpack.unpackb(msgpack.packb(dump(learnt(some))))
    shape, budget = load(stored), Budget()
    for value in others:
        learn(shape, value, budget)
    assert schema(shape, "", PLAIN) == said(some + others)
