"""What was learned of one operation: its requests and responses.

Requests are learned from accepted calls only; responses from all. A request that was refused, or that failed
in the server, may be wrong, whatever the status: see server/analysis/specs/judging/fault.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from agent.wire import Consumer, Response
from server.analysis.rebuild.answers import AnswersByStatus, AnswerState
from server.analysis.rebuild.body_values import is_empty, is_unknown, sent_value
from server.analysis.rebuild.learn_input import LearnInput
from server.analysis.rebuild.media import MediaState, MediaTypes
from server.analysis.rebuild.sent import cookies_of, headers_of, query_of
from server.analysis.rebuild.shapes.budget import Budget
from server.analysis.rebuild.shapes.learning import learn
from server.analysis.rebuild.shapes.merging import absorb
from server.analysis.rebuild.shapes.model import Shape
from server.analysis.rebuild.shapes.stored import ShapeState, dump, load, size
from server.analysis.rebuild.shapes.values import Value
from server.analysis.rebuild.times import Times, TimesState

MOST_SCHEMES = 12  # authentication schemes of one operation

_NOTHING: Mapping[str, Value] = {}

Security = tuple[str, str, str, str]
"""Scheme, place and name of an API key, algorithm of a JWT; empty texts if there is none."""

NO_SECURITY: Security = ("", "", "", "")

OperationState: TypeAlias = tuple[
    TimesState,
    tuple[int, int, int, int],
    tuple[ShapeState, ShapeState, ShapeState],
    list[MediaState],
    list[AnswerState],
    list[tuple[str, str, str, str, int]],
]


class LearntOperation:
    """Everything learned of one method at one place."""

    __slots__ = (
        "accepted",
        "answers",
        "bodies",
        "bodiless",
        "cookies",
        "deprecated",
        "headers",
        "left_out",
        "query",
        "security",
        "times",
    )

    def __init__(self) -> None:
        self.times = Times()
        self.accepted = 0  # calls answered with 2xx or 3xx
        self.query, self.headers, self.cookies = Shape(), Shape(), Shape()
        self.bodies = MediaTypes()
        self.bodiless = 0  # accepted calls without a body
        self.answers = AnswersByStatus()
        self.security: dict[Security, int] = {}
        self.deprecated = 0
        self.left_out = 0  # bodies, responses and schemes beyond the bounds

    def learn(self, exchange: LearnInput, budget: Budget) -> None:
        """Learns from one exchange."""
        budget.now = exchange.record.time
        self.times.record(budget.now)
        response = exchange.response
        if exchange.accepted:
            self._learn_names(exchange, budget)
            self._learn_body(exchange, budget)
            self._count_security(_security_of(exchange.record.consumer), 1)
            self.accepted += 1
        if response is not None:
            self._learn_answer(exchange, response, budget)

    def _learn_names(self, exchange: LearnInput, budget: Budget) -> None:
        request, masked = exchange.request, exchange.masked
        budget.wire = True
        query = query_of(request.query, "query", masked) if request.query else _NOTHING
        learn(self.query, query, budget)
        learn(self.headers, headers_of(request.headers, "header", masked), budget)
        learn(self.cookies, cookies_of(request.headers, masked), budget)

    def _learn_body(self, exchange: LearnInput, budget: Budget) -> None:
        request = exchange.request
        if is_unknown(request.body, request.content_type):
            return
        if is_empty(request.body):
            self.bodiless += 1
            return
        media = self.bodies.of(request.content_type)
        if media is None:
            self.left_out += 1
        else:
            media.learn(request.body, sent_value(request, exchange.masked), budget)

    def _count_security(self, key: Security, times: int) -> None:
        if key in self.security or len(self.security) < MOST_SCHEMES:
            self.security[key] = self.security.get(key, 0) + times
        else:
            self.left_out += times

    def _learn_answer(self, exchange: LearnInput, response: Response, budget: Budget) -> None:
        answers = self.answers.of(response.status)
        if answers is None:
            self.left_out += 1
            return
        headers = headers_of(response.headers, "response.header", exchange.masked)
        if exchange.accepted and ("deprecation" in headers or "sunset" in headers):
            self.deprecated += 1
        if not answers.learn(exchange, response, headers, budget):
            self.left_out += 1

    def absorb(self, other: LearntOperation) -> None:
        """Merges what another has learned; `other` must not be used any more."""
        self.times.absorb(other.times)
        self.accepted += other.accepted
        for mine, more in zip(self._sent(), other._sent(), strict=True):
            absorb(mine, more)
        self.left_out += other.left_out
        self.left_out += self.bodies.absorb(other.bodies)
        self.left_out += self.answers.absorb(other.answers)
        self.bodiless += other.bodiless
        for key, times in other.security.items():
            self._count_security(key, times)
        self.deprecated += other.deprecated

    def _sent(self) -> tuple[Shape, Shape, Shape]:
        return self.query, self.headers, self.cookies

    def size(self) -> int:
        """Number of places of the budget that it uses."""
        return 4 + sum(map(size, (*self._sent(), *self.bodies.shapes(), *self.answers.shapes())))

    def state(self) -> OperationState:
        """The state, for msgpack."""
        return (
            self.times.state(),
            (self.accepted, self.bodiless, self.deprecated, self.left_out),
            (dump(self.query), dump(self.headers), dump(self.cookies)),
            self.bodies.state(),
            self.answers.state(),
            [(*key, times) for key, times in self.security.items()],
        )

    @classmethod
    def restore(cls, state: OperationState) -> LearntOperation:
        """The operation from its `state`."""
        operation = cls()
        times, counts, shapes, bodies, answers, security = state
        operation.times = Times(*times)
        operation.accepted, operation.bodiless, operation.deprecated, operation.left_out = counts
        operation.query, operation.headers, operation.cookies = (load(shape) for shape in shapes)
        operation.bodies = MediaTypes.restore(bodies)
        operation.answers = AnswersByStatus.restore(answers)
        operation.security = {(a, b, c, d): times for a, b, c, d, times in security}
        return operation


def _security_of(consumer: Consumer) -> Security:
    scheme = (consumer.credential_scheme or "").lower()
    if not scheme:
        return NO_SECURITY
    facts = consumer.facts
    return scheme, facts.get("in", ""), facts.get("name", ""), facts.get("jwt.alg", "")
