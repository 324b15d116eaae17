"""Prints how well path templates are learned: python -m tests.bench.templates [--held-out | --all]."""

from __future__ import annotations

import argparse
import sys
from statistics import fmean

from tests.bench.templates_corpus import SOURCES, Source, Unavailable, load
from tests.bench.templates_score import Score, learn, score
from tests.bench.templates_traffic import traffic

AMOUNTS = (5, 40)


def measure(source: Source, seed: int) -> dict[int, Score]:
    """Scores by the number of requests per template. Raises Unavailable."""
    operations = load(source)
    scores: dict[int, Score] = {}
    for amount in AMOUNTS:
        requests = traffic(operations, amount, seed)
        scores[amount] = score(learn(requests), requests)
    return scores


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--held-out", action="store_true", help="only the documents held out")
    parser.add_argument("--all", action="store_true", help="all documents; else those of development")
    parser.add_argument("--api", help="only this one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=0, help="so many wrong templates of each kind")
    options = parser.parse_args()
    measured: list[dict[int, Score]] = []
    _say(f"{'api':14} {'F1 @5':>8} {'F1 @40':>8} {'placed @5':>10} {'placed @40':>10}")
    for source in SOURCES:
        if not options.all and source.held_out != options.held_out:
            continue
        if options.api and source.api != options.api:
            continue
        try:
            scores = measure(source, options.seed)
        except Unavailable as error:
            _say(f"{source.api:14} skipped: {error}")
            continue
        measured.append(scores)
        few, many = (scores[amount] for amount in AMOUNTS)
        name = source.api + ("*" if source.held_out else "")
        _say(f"{name:14} {few.f1:8.3f} {many.f1:8.3f} {few.placed:10.3f} {many.placed:10.3f}")
        for amount, found in scores.items() if options.show else ():
            for what, texts in (("missing", found.missing), ("invented", found.invented)):
                for text in sorted(texts)[: options.show]:
                    _say(f"    @{amount} {what} {text}")
    if measured:
        means = [fmean(f(s[amount]) for s in measured) for f in (_f1, _placed) for amount in AMOUNTS]
        _say(f"{'mean':14} {means[0]:8.3f} {means[1]:8.3f} {means[2]:10.3f} {means[3]:10.3f}")
    return 0 if measured else 1


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _f1(found: Score) -> float:
    return found.f1


def _placed(found: Score) -> float:
    return found.placed


if __name__ == "__main__":
    sys.exit(main())
