"""Whether traffic, known and new, conforms to the document learned from it, and altered traffic does not.

Simulated services over real records (services.py); templates, parameters, bodies and security are all
learned.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator

from agent.wire import Record
from server.analysis.rebuild.document import DocumentOptions, document
from server.analysis.rebuild.learner import Learner
from server.analysis.specs.kinds import Verdict
from server.analysis.specs.load import load
from server.analysis.specs.specification import Specification
from tests.bench.figures import Figure
from tests.bench.services import ALTERED, Service
from tests.bench.shapes_corpus import DATA_SETS, Unavailable
from tests.bench.shapes_corpus import load as records_of

NEEDS_ROOT = False
LEARNT = 1500  # calls per service
FRESH = 1500
ALTERED_EACH = 30  # per kind
SMALL = frozenset(
    ("node", "browsers", "webhooks", "media types")
)  # not usable as a service: too few records, or too large ones


def figures(rounds: int) -> Iterator[Figure]:
    shares: dict[str, list[float]] = {}
    for seed in range(min(rounds, 2)):
        found: dict[str, Counter[bool]] = {}
        for data_set in DATA_SETS:
            if data_set.name in SMALL:
                continue
            try:
                service = Service(data_set.name, records_of(data_set))
            except Unavailable:
                continue
            _judge(service, seed * 10, found)
        for name, counted in found.items():
            shares.setdefault(name, []).append(counted[True] / counted.total())
    for name, values in shares.items():
        goal = {"own traffic conforms": 1.0, "fresh traffic conforms": 0.99}.get(name, 1.0)
        yield Figure(name, "of calls", tuple(values), at_least=goal)


def rebuilt(service: Service, seed: int) -> Specification:
    learner = Learner()
    for one in service.calls(seed, LEARNT):
        learner.learn(one)
    return load(json.dumps(document(learner, DocumentOptions("Service"))).encode())


def _judge(service: Service, seed: int, found: dict[str, Counter[bool]]) -> None:
    specification = rebuilt(service, seed)
    cases: dict[str, Iterable[Record]] = {
        "own traffic conforms": service.calls(seed, LEARNT),
        "fresh traffic conforms": service.calls(seed + 1, FRESH),
    }
    cases |= {f"altered {kind} caught": service.altered(kind, seed + 2, ALTERED_EACH) for kind in ALTERED}
    for name, records in cases.items():
        wanted = (
            frozenset((Verdict.CONFORMING,))
            if "conforms" in name
            else frozenset((Verdict.SHADOW, Verdict.DEVIATING))
        )
        counted = found.setdefault(name, Counter())
        for one in records:
            counted[specification.match(one).verdict in wanted] += 1
