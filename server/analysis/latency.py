"""Durations as mergeable histograms: eight logarithmic buckets per doubling of microseconds.

A quantile read from them is within 4.5 % of the true one; adding two histograms is adding their counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

PER_OCTAVE = 8
MAX_BUCKET = PER_OCTAVE * 42  # 2**42 µs is 50 days; longer durations are counted there


def bucket_of(duration_ns: int) -> int:
    """The bucket of a duration."""
    microseconds = duration_ns / 1000
    if microseconds <= 1:
        return 0
    return min(MAX_BUCKET, int(math.log2(microseconds) * PER_OCTAVE))


def milliseconds(bucket: int) -> float:
    """The geometric middle of a bucket in ms, with four digits: more would suggest precision."""
    return float(f"{2 ** ((bucket + 0.5) / PER_OCTAVE) / 1000:.4g}")


def quantile(counts: Mapping[int, int], q: float) -> float | None:
    """The q-quantile in ms of a histogram {bucket: count}; None if it is empty."""
    total = sum(counts.values())
    if total <= 0:
        return None
    rank, seen = q * total, 0
    for bucket in sorted(counts):
        seen += counts[bucket]
        if seen >= rank:
            return milliseconds(bucket)
    return milliseconds(max(counts))
