"""The responses of one operation by status: headers and bodies."""

from __future__ import annotations

from typing import TypeAlias

from agent.wire import Response
from server.analysis.rebuild.body_values import is_empty, is_unknown
from server.analysis.rebuild.learn_input import LearnInput
from server.analysis.rebuild.media import MediaState, MediaTypes
from server.analysis.rebuild.shapes.budget import Budget
from server.analysis.rebuild.shapes.learning import learn
from server.analysis.rebuild.shapes.merging import absorb
from server.analysis.rebuild.shapes.model import Shape
from server.analysis.rebuild.shapes.stored import ShapeState, dump, load
from server.analysis.rebuild.shapes.values import Value
from server.analysis.rebuild.times import Times, TimesState

MOST_STATUSES = 24  # of one operation

AnswerState: TypeAlias = tuple[int, TimesState, ShapeState, list[MediaState], int]


class StatusAnswers:
    """Responses of one status. `empty` had no body."""

    __slots__ = ("empty", "headers", "media", "times")

    def __init__(self) -> None:
        self.times = Times()
        self.headers = Shape()
        self.media = MediaTypes()
        self.empty = 0

    def learn(
        self, exchange: LearnInput, response: Response, headers: dict[str, Value], budget: Budget
    ) -> bool:
        """Learns from one response; False if its content type is beyond the bound."""
        self.times.record(budget.now)
        budget.wire = True
        learn(self.headers, headers, budget)
        body, content_type = response.body, response.content_type
        if is_unknown(body, content_type):
            return True
        if is_empty(body) or exchange.request.method == "HEAD":
            self.empty += 1
            return True
        media = self.media.of(content_type)
        if media is not None:
            media.learn(body, exchange.answered, budget)
        return media is not None

    def absorb(self, other: StatusAnswers) -> int:
        """Merges another's responses; returns how many of their bodies are beyond the bound."""
        self.times.absorb(other.times)
        absorb(self.headers, other.headers)
        self.empty += other.empty
        return self.media.absorb(other.media)


class AnswersByStatus:
    """Responses by status, up to MOST_STATUSES of them."""

    __slots__ = ("by_status",)

    def __init__(self) -> None:
        self.by_status: dict[int, StatusAnswers] = {}

    def of(self, status: int) -> StatusAnswers | None:
        """The responses of a status; None if there are too many statuses."""
        answers = self.by_status.get(status)
        if answers is None and len(self.by_status) < MOST_STATUSES:
            answers = self.by_status[status] = StatusAnswers()
        return answers

    def absorb(self, other: AnswersByStatus) -> int:
        """Merges another's responses, which must not be used any more; returns how many are beyond the
        bounds.
        """
        left_out = 0
        for status, answers in other.by_status.items():
            if status in self.by_status:
                left_out += self.by_status[status].absorb(answers)
            elif len(self.by_status) < MOST_STATUSES:
                self.by_status[status] = answers
            else:
                left_out += answers.times.count
        return left_out

    def shapes(self) -> list[Shape]:
        """The shapes of all headers and bodies."""
        every = self.by_status.values()
        return [shape for one in every for shape in (one.headers, *one.media.shapes())]

    def state(self) -> list[AnswerState]:
        """The state, for msgpack."""
        return [
            (status, one.times.state(), dump(one.headers), one.media.state(), one.empty)
            for status, one in self.by_status.items()
        ]

    @classmethod
    def restore(cls, state: list[AnswerState]) -> AnswersByStatus:
        """The responses from their `state`."""
        found = cls()
        for status, times, headers, media, empty in state:
            one = found.by_status[status] = StatusAnswers()
            one.times, one.headers, one.empty = Times(*times), load(headers), empty
            one.media = MediaTypes.restore(media)
        return found
