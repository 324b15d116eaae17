"""How well templates are learned from traffic with known templates."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from server.analysis.rebuild.templates.template_learner import TemplateLearner
from tests.bench.templates_traffic import Request, anonymous, successes

_RULE = re.compile(r"\d+|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Score:
    """F1 of the set of templates (exact except for parameter names), and the share of requests with the right
    one.
    """

    f1: float
    placed: float
    missing: frozenset[str]
    invented: frozenset[str]


def learn(requests: Sequence[Request]) -> TemplateLearner:
    learner = TemplateLearner()
    for request in requests:
        learner.observe(request.method, request.segments, shape=request.shape, status=request.status)
    return learner


def score(learner: TemplateLearner, requests: Sequence[Request]) -> Score:
    """Compares the learned templates with the ones that the requests were made from."""
    learned = learner.templates()
    right = total = 0
    true: set[str] = set()
    for request in successes(requests):
        assert request.template is not None
        found = learned.resolve(request.segments)
        true.add(request.template)
        total += 1
        right += found is not None and anonymous(found.text) == request.template
    said = {anonymous(template.text) for template in learned.templates}
    f1 = 2 * len(said & true) / (len(said) + len(true))
    return Score(f1, right / total, frozenset(true - said), frozenset(said - true))


def f1_of_rules(requests: Sequence[Request]) -> float:
    """F1 of the rule that numbers and UUIDs are values, and everything else is a word."""
    every = list(successes(requests))
    true = {request.template for request in every}
    said = {
        "/" + "/".join("{}" if _RULE.fullmatch(word) else word for word in request.segments)
        for request in every
    }
    return 2 * len(said & true) / (len(said) + len(true))
