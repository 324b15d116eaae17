from __future__ import annotations

from server.learning.sampling import sample
from server.store.rebuilt import Stored


def test_a_sample_has_some_of_every_operation_and_status() -> None:
    flood = [Stored(n, 1, 1, 200) for n in range(1000)]
    rare = [Stored(2000, 1, 1, 500), Stored(2001, 1, 2, 200), Stored(2002, 2, 3, 200)]
    chosen = sample([*flood, *rare], 10)
    assert len(chosen) == 10
    assert {*rare} <= {*chosen}
    assert sample(rare, 10) == rare
