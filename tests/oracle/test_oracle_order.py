"""Two orders of the same batches give the same counters and the same content.

The content is a deviation's message and sample, an operation's attributes, an API's, its aliases, and each
exchange. Excluded are numbers, everything over a bound and, for servers without an address of their own
(compare.py),
first and last seen times and deviations' samples.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterable
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from server.ingest.decode import Delivery
from tests.oracle.batches import deliveries
from tests.oracle.calls import START, traffic
from tests.oracle.compare import SHARED
from tests.oracle.content import Rows, content
from tests.oracle.running import TARGETS, Running
from tests.oracle.schedules import SKEWS, ended
from tests.oracle.world import NODES
from tests.server.sql import database

CALLS = 120


def left(batches: Iterable[Delivery]) -> dict[str, Rows]:
    """The content of a server that received these batches in this order."""
    with tempfile.TemporaryDirectory() as folder:
        server = Running(Path(folder), START)
        try:
            for target in TARGETS:
                server.attach(target)
            for delivery in batches:
                server.now = max(server.now, ended(delivery))
                server.deliver(delivery)
            server.finish()
            found = server.do(lambda unit: content(database(server.store)))
        finally:
            server.close()
    for table in ("counted first seen", "counted last seen"):
        found[table] = {row for row in found[table] if not _is_shared(row[0])}
    found["deviations"] = {row for row in found["deviations"] if not _is_shared(row)}
    return found


def _is_shared(key: object) -> bool:
    return isinstance(key, tuple) and key[:2] in SHARED


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.permutations(SKEWS), st.data())
def test_the_order_of_batches_leaves_no_trace(seed: int, skews: list[int], data: st.DataObject) -> None:
    chance = random.Random(seed)
    clocks = dict(zip(NODES, skews, strict=True))
    batches = deliveries(chance, traffic(chance, CALLS, near_hours=True), clocks)
    one, other = (left(data.draw(st.permutations(batches))) for _ in range(2))
    for table, rows in one.items():
        assert rows == other[table], table
