from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from server.analysis.latency import MAX_BUCKET, bucket_of, quantile

durations = st.lists(st.integers(2_000, 10**13), min_size=1, max_size=50)


@example([24_676], 0.5)
@example([37_895], 0.5)
@given(durations, st.sampled_from([0.5, 0.95, 0.99]))
def test_a_quantile_is_within_five_percent(found: list[int], q: float) -> None:
    rank = max(0, -(-len(found) * q // 1) - 1)
    true = sorted(found)[int(rank)] / 1e6
    assert quantile(Counter(map(bucket_of, found)), q) == pytest.approx(true, rel=0.05, abs=0.001)


@given(durations, durations)
def test_histograms_merge_by_adding(one: list[int], other: list[int]) -> None:
    merged = Counter(map(bucket_of, one)) + Counter(map(bucket_of, other))
    assert quantile(merged, 0.5) == quantile(Counter(map(bucket_of, one + other)), 0.5)


def test_extremes_have_a_bucket() -> None:
    assert (bucket_of(0), bucket_of(2**62)) == (0, MAX_BUCKET)
    assert quantile({}, 0.5) is None
