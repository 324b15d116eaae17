"""Path templates learned from traffic of published APIs: accuracy and speed.

The documents are fetched as packages; unavailable ones are skipped and named. Traffic is seeded, so accuracy
does not differ between rounds; speed is measured in each.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from statistics import fmean

from tests.bench.figures import Figure, alternating, cpu_us
from tests.bench.templates import AMOUNTS
from tests.bench.templates_corpus import SOURCES, Source, Unavailable, load
from tests.bench.templates_score import Score, learn, score
from tests.bench.templates_traffic import Request, traffic

NEEDS_ROOT = False
SEED = 1


def figures(rounds: int) -> Iterator[Figure]:
    scores: dict[int, dict[str, Score]] = {amount: {} for amount in AMOUNTS}
    timed: list[Request] = []
    for source in SOURCES:
        for amount in AMOUNTS:
            requests = _requests(source, amount)
            if requests:
                scores[amount][source.api] = score(learn(requests), requests)
                timed = timed if timed else requests
    for amount, found in scores.items():
        if found:
            yield from _right(amount, found)
    if timed:
        yield from _fast(timed, rounds)


def _requests(source: Source, amount: int) -> list[Request]:
    try:
        return traffic(load(source), amount, SEED)
    except Unavailable as error:
        sys.stderr.write(f"templates: without {source.api}: {error}\n")
        return []


def _right(amount: int, found: dict[str, Score]) -> Iterator[Figure]:
    worst = min(found, key=lambda api: found[api].f1)
    least = min(found, key=lambda api: found[api].placed)
    held_out = [found[source.api].f1 for source in SOURCES if source.held_out and source.api in found]
    each = f"{len(found)} APIs, {amount} requests a template"
    yield Figure(f"F1 at {amount}", "", (fmean(s.f1 for s in found.values()),), at_least=0.75, note=each)
    yield Figure(f"least F1 at {amount}", "", (found[worst].f1,), at_least=0.5, note=worst)
    if held_out:
        yield Figure(f"F1 at {amount}, held out", "", (fmean(held_out),), at_least=0.75)
    placed = fmean(s.placed for s in found.values())
    goal = 0.85 if amount > 1 else 0.7
    yield Figure(f"requests placed at {amount}", "", (placed,), at_least=goal, note=f"least {least}")


def _fast(requests: list[Request], rounds: int) -> Iterator[Figure]:
    learned = learn(requests).templates()
    costs = alternating(
        rounds,
        {
            "observe": lambda: cpu_us(lambda: learn(requests), len(requests)),
            "resolve": lambda: cpu_us(
                lambda: [learned.resolve(request.segments) for request in requests], len(requests)
            ),
        },
    )
    speeds = {name: tuple(1e6 / cost for cost in values) for name, values in costs.items()}
    yield Figure("observe", "paths/s", speeds["observe"], at_least=50_000)
    yield Figure("resolve", "paths/s", speeds["resolve"], at_least=50_000)
