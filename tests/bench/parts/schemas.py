"""How well schemas are learned from half of real records: the other half accepted, mutants detected.

Data sets and their split are in shapes_corpus.py, mutants in shapes_mutants.py; `python -m
tests.bench.shapes` shows each data set.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tests.bench.figures import Figure
from tests.bench.shapes import FIGURES, measure
from tests.bench.shapes_corpus import DATA_SETS, Unavailable

NEEDS_ROOT = False
GOALS = {
    "unseen": 0.995,
    "missing key": 1.0,
    "wrong type": 1.0,
    "bad format": 0.99,
    "unknown word": 0.85,
}


def figures(rounds: int) -> Iterator[Figure]:
    shares: dict[str, list[float]] = {figure: [] for figure in FIGURES}
    for seed in range(1, min(rounds, 2) + 1):
        total: dict[str, Counter[bool]] = {figure: Counter() for figure in FIGURES}
        for data_set in DATA_SETS:
            try:
                found = measure(data_set, seed, show=False)
            except Unavailable:
                continue
            for figure in FIGURES:
                total[figure] += found[figure]
        for figure, counted in total.items():
            if counted.total():
                shares[figure].append(counted[True] / counted.total())
    for figure, values in shares.items():
        if values:
            name = "unseen accepted" if figure == "unseen" else f"{figure} caught"
            yield Figure(name, "of records", tuple(values), at_least=GOALS[figure])
