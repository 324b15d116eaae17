"""Prints how well path templates are learned: python -m tests.bench.templates [--held-out | --all]."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from statistics import fmean

from tests.bench.templates_corpus import SOURCES, Source, Unavailable, load
from tests.bench.templates_score import Score, f1_of_rules, learn, score
from tests.bench.templates_traffic import traffic

AMOUNTS = (1, 2, 5, 10, 40)


@dataclass(frozen=True, slots=True)
class Measured:
    """What was learned of one amount of traffic, and the F1 of the rules (templates_score.py) on the same."""

    score: Score
    rules: float


def measure(source: Source, seed: int) -> dict[int, Measured]:
    """Scores by the number of requests per template. Raises Unavailable."""
    operations = load(source)
    found: dict[int, Measured] = {}
    for amount in AMOUNTS:
        requests = traffic(operations, amount, seed)
        found[amount] = Measured(score(learn(requests), requests), f1_of_rules(requests))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--held-out", action="store_true", help="only the documents held out")
    parser.add_argument("--all", action="store_true", help="all documents; else those of development")
    parser.add_argument("--api", help="only this one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=0, help="so many wrong templates of each kind")
    options = parser.parse_args()
    every: list[dict[int, Measured]] = []
    _say(f"{'F1 / of rules / placed':22}" + "".join(f"{f'@{amount}':>23}" for amount in AMOUNTS))
    for source in SOURCES:
        if not options.all and source.held_out != options.held_out:
            continue
        if options.api and source.api != options.api:
            continue
        try:
            found = measure(source, options.seed)
        except Unavailable as error:
            _say(f"{source.api:22} skipped: {error}")
            continue
        every.append(found)
        _row(source.api + "*" * source.held_out, [_figures(found[amount]) for amount in AMOUNTS])
        for amount, one in found.items() if options.show else ():
            for what, texts in (("missing", one.score.missing), ("invented", one.score.invented)):
                for text in sorted(texts)[: options.show]:
                    _say(f"    @{amount} {what} {text}")
    if every:
        _row("mean", [_mean([_figures(found[amount]) for found in every]) for amount in AMOUNTS])
    return 0 if every else 1


def _figures(one: Measured) -> tuple[float, ...]:
    return one.score.f1, one.rules, one.score.placed


def _mean(rows: list[tuple[float, ...]]) -> tuple[float, ...]:
    return tuple(fmean(column) for column in zip(*rows, strict=True))


def _row(name: str, cells: list[tuple[float, ...]]) -> None:
    _say(f"{name:22}" + "".join(f"{' / '.join(f'{figure:.3f}' for figure in cell):>23}" for cell in cells))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
