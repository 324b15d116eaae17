from __future__ import annotations

from server.learning.sampling import sample
from server.store.rows import Learnable


def test_a_sample_has_some_of_every_operation_and_status() -> None:
    flood = [Learnable(n, 1, 1, 200) for n in range(1000)]
    rare = [Learnable(2000, 1, 1, 500), Learnable(2001, 1, 2, 200), Learnable(2002, 2, 3, 200)]
    chosen = sample([*flood, *rare], 10)
    assert len(chosen) == 10
    assert {*rare} <= {*chosen}
    assert sample(rare, 10) == rare


def test_a_scan_of_many_operations_leaves_room_for_accepted_calls() -> None:
    scan = [Learnable(n, 1, n, 404) for n in range(1000)]
    accepted = [Learnable(1000 + n, 1, 1000 + n, 200) for n in range(5)]
    assert {*accepted} <= {*sample([*scan, *accepted], 10)}
