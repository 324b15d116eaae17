"""What was seen of one operation: who asked with what, and what came back.

Only what was accepted teaches how to ask; any answer teaches what may be answered.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from agent.wire import Body, Record, Request, Response
from server.analysis.rebuild import sent
from server.analysis.rebuild.sent import Masked
from server.analysis.rebuild.shapes.learning import Budget, learn
from server.analysis.rebuild.shapes.merging import absorb
from server.analysis.rebuild.shapes.model import Shape
from server.analysis.rebuild.shapes.stored import dump, load, size
from server.analysis.specs.document.media import essence, is_json
from server.analysis.specs.judging.json_reading import NotJson, Unreadable, json_value

MOST_STATUSES = 24  # of one operation
MOST_MEDIA = 12  # content types of one body
MOST_SCHEMES = 12  # ways to authenticate of one operation
LARGEST_BODY = 8 * 1024 * 1024  # bytes; a larger one is counted, not read
LONGEST_MEDIA = 100  # characters of a content type

REFUSED = frozenset({400, 401, 403, 405, 406, 407, 408, 411, 413, 414, 415, 417, 421, 422, 429, 431, 501})
"""Statuses of calls that were turned away: how they asked teaches nothing."""

_FORM, _MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
_NOTHING: dict[str, Any] = {}

Security = tuple[str, str, str, str]
"""Scheme, place and name of an API key, algorithm of a JWT; empty texts where there is none."""


class Times:
    """How often, and from when to when (ns)."""

    __slots__ = ("count", "first", "last")

    def __init__(self, count: int = 0, first: int = 0, last: int = 0) -> None:
        self.count, self.first, self.last = count, first, last

    def see(self, now: int) -> None:
        if not self.count or now < self.first:
            self.first = now
        if now > self.last:
            self.last = now
        self.count += 1

    def absorb(self, other: Times) -> None:
        if other.count:
            self.first = min(self.first, other.first) if self.count else other.first
            self.last = max(self.last, other.last)
            self.count += other.count

    def state(self) -> list[int]:
        return [self.count, self.first, self.last]


class Media:
    """Bodies of one content type. `unlearnt` were incomplete, too large, or not what their type says."""

    __slots__ = ("largest", "shape", "times", "unlearnt")

    def __init__(self) -> None:
        self.times = Times()
        self.shape = Shape()
        self.unlearnt = 0
        self.largest = 0  # bytes

    def absorb(self, other: Media) -> None:
        self.times.absorb(other.times)
        absorb(self.shape, other.shape)
        self.unlearnt += other.unlearnt
        self.largest = max(self.largest, other.largest)


class Answer:
    """Responses of one status. `empty` had no body."""

    __slots__ = ("empty", "headers", "media", "times")

    def __init__(self) -> None:
        self.times = Times()
        self.headers = Shape()
        self.media: dict[str, Media] = {}
        self.empty = 0

    def absorb(self, other: Answer) -> int:
        """Adds another's responses; how many bodies of them are beyond the bound."""
        self.times.absorb(other.times)
        absorb(self.headers, other.headers)
        self.empty += other.empty
        return absorb_media(self.media, other.media)


def absorb_media(mine: dict[str, Media], others: dict[str, Media]) -> int:
    """Adds bodies by content type; how many are beyond the bound."""
    left_out = 0
    for kind, media in others.items():
        if kind in mine:
            mine[kind].absorb(media)
        elif len(mine) < MOST_MEDIA:
            mine[kind] = media
        else:
            left_out += media.times.count
    return left_out


@dataclass(frozen=True, slots=True)
class Seen:
    """One exchange made ready: the response's JSON value is read once, by whoever needs it first."""

    record: Record
    request: Request
    response: Response
    masked: Masked
    value: Any
    learnable: bool  # `value` is the response's body

    @property
    def accepted(self) -> bool:
        return 200 <= self.response.status < 400


class Operation:
    """Everything learnt of one method at one place."""

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
        self.accepted = 0  # calls that were answered 2xx or 3xx
        self.query, self.headers, self.cookies = Shape(), Shape(), Shape()
        self.bodies: dict[str, Media] = {}
        self.bodiless = 0  # accepted calls without a body
        self.answers: dict[int, Answer] = {}
        self.security: dict[Security, int] = {}
        self.deprecated = 0
        self.left_out = 0  # answers and schemes beyond the bounds

    def learn(self, seen: Seen, budget: Budget) -> None:
        """Learns from one exchange."""
        now = seen.record.time
        budget.now = now
        self.times.see(now)
        if seen.response.status not in REFUSED:
            self._learn_request(seen, budget)
            self._learn_security(seen)
        self.accepted += seen.accepted
        self._learn_answer(seen, budget)

    def _learn_request(self, seen: Seen, budget: Budget) -> None:
        request, masked = seen.request, seen.masked
        query = sent.query_of(request.query, "query", masked) if request.query else _NOTHING
        headers = sent.headers_of(request.headers, "header", masked)
        cookies = sent.cookies_of(request.headers, masked)
        budget.wire = True
        learn(self.query, query, budget)
        learn(self.headers, headers, budget)
        learn(self.cookies, cookies, budget)
        body = request.body
        if body.size == 0 and body.state == "complete":
            self.bodiless += 1
            return
        media = _media(self.bodies, request.content_type, body, budget.now)
        if media is None:
            self.left_out += 1
            return
        value, learnable = request_value(request, masked)
        if learnable:
            budget.wire = media_of(request.content_type) in (_FORM, _MULTIPART)
            learn(media.shape, value, budget)
        else:
            media.unlearnt += 1

    def _learn_security(self, seen: Seen) -> None:
        consumer = seen.record.consumer
        facts = consumer.facts
        scheme = (consumer.credential_scheme or "").lower()
        key = (
            (scheme, facts.get("in", ""), facts.get("name", ""), facts.get("jwt.alg", ""))
            if scheme
            else ("",) * 4
        )
        self._count_security(key, 1)

    def _count_security(self, key: Security, times: int) -> None:
        if key in self.security or len(self.security) < MOST_SCHEMES:
            self.security[key] = self.security.get(key, 0) + times
        else:
            self.left_out += times

    def _learn_answer(self, seen: Seen, budget: Budget) -> None:
        response = seen.response
        answer = self.answers.get(response.status)
        if answer is None:
            if len(self.answers) >= MOST_STATUSES:
                self.left_out += 1
                return
            answer = self.answers[response.status] = Answer()
        answer.times.see(budget.now)
        headers = sent.headers_of(response.headers, "response.header", seen.masked)
        if seen.accepted and ("deprecation" in headers or "sunset" in headers):
            self.deprecated += 1
        budget.wire = True
        learn(answer.headers, headers, budget)
        budget.wire = False
        body = response.body
        if (body.size == 0 and body.state == "complete") or seen.request.method == "HEAD":
            answer.empty += 1
            return
        media = _media(answer.media, response.content_type, body, budget.now)
        if media is None:
            self.left_out += 1
        elif seen.learnable:
            learn(media.shape, seen.value, budget)
        else:
            media.unlearnt += 1

    def absorb(self, other: Operation) -> None:
        """Adds all that another has learnt; `other` is not to be used any more."""
        self.times.absorb(other.times)
        self.accepted += other.accepted
        for mine, more in zip(self._sent(), other._sent(), strict=True):
            absorb(mine, more)
        self.left_out += other.left_out + absorb_media(self.bodies, other.bodies)
        self.bodiless += other.bodiless
        for status, answer in other.answers.items():
            self._absorb_answer(status, answer)
        for key, times in other.security.items():
            self._count_security(key, times)
        self.deprecated += other.deprecated

    def _absorb_answer(self, status: int, answer: Answer) -> None:
        if status in self.answers:
            self.left_out += self.answers[status].absorb(answer)
        elif len(self.answers) < MOST_STATUSES:
            self.answers[status] = answer
        else:
            self.left_out += answer.times.count

    def _sent(self) -> tuple[Shape, ...]:
        return self.query, self.headers, self.cookies

    def size(self) -> int:
        """How many places it takes of a budget."""
        media = [*self.bodies.values(), *(one for a in self.answers.values() for one in a.media.values())]
        shapes = [*self._sent(), *(one.shape for one in media), *(a.headers for a in self.answers.values())]
        return 4 + sum(map(size, shapes))

    def state(self) -> list[Any]:
        """All of it, for msgpack."""
        return [
            self.times.state(),
            [self.accepted, self.bodiless, self.deprecated, self.left_out],
            [dump(shape) for shape in self._sent()],
            _dump_media(self.bodies),
            [
                [status, one.times.state(), dump(one.headers), _dump_media(one.media), one.empty]
                for status, one in self.answers.items()
            ],
            [[*key, times] for key, times in self.security.items()],
        ]

    @classmethod
    def restore(cls, state: list[Any]) -> Operation:
        """The operation whose `state` this was."""
        operation = cls()
        times, counts, shapes, bodies, answers, security = state
        operation.times = Times(*times)
        operation.accepted, operation.bodiless, operation.deprecated, operation.left_out = counts
        operation.query, operation.headers, operation.cookies = (load(shape) for shape in shapes)
        operation.bodies = _load_media(bodies)
        for status, times, headers, media, empty in answers:
            answer = operation.answers[status] = Answer()
            answer.times, answer.headers, answer.empty = Times(*times), load(headers), empty
            answer.media = _load_media(media)
        operation.security = {(a, b, c, d): times for a, b, c, d, times in security}
        return operation


def _dump_media(media: dict[str, Media]) -> list[Any]:
    return [
        [kind, one.times.state(), dump(one.shape), one.unlearnt, one.largest] for kind, one in media.items()
    ]


def _load_media(state: list[Any]) -> dict[str, Media]:
    found: dict[str, Media] = {}
    for kind, times, shape, unlearnt, largest in state:
        media = found[kind] = Media()
        media.times, media.shape = Times(*times), load(shape)
        media.unlearnt, media.largest = unlearnt, largest
    return found


def _media(known: dict[str, Media], content_type: str | None, body: Body, now: int) -> Media | None:
    """Where bodies of a type are learnt; None where there are too many types."""
    kind = media_of(content_type)
    media = known.get(kind)
    if media is None:
        if len(known) >= MOST_MEDIA:
            return None
        media = known[kind] = Media()
    media.times.see(now)
    if body.size and body.size > media.largest:
        media.largest = body.size
    return media


@lru_cache(maxsize=1024)
def media_of(content_type: str | None) -> str:
    """A media type as a specification names it; "" where the message names none that could be one."""
    kind = essence(content_type or "")
    plain = kind.isascii() and kind.isprintable() and " " not in kind
    return kind if plain and 0 < len(kind) <= LONGEST_MEDIA and kind.count("/") == 1 else ""


def _whole(body: Body) -> bytes | None:
    """The bytes of a body that is all there and not too large."""
    return body.data if body.state == "complete" and body.data and len(body.data) <= LARGEST_BODY else None


def json_of(body: Body, kind: str, where: str, masked: Masked) -> tuple[Any, bool]:
    """A body's JSON value, masked scalars hidden; False where it has none that could be learnt."""
    data = _whole(body)
    if data is None or not is_json(kind):
        return None, False
    try:
        value = json_value(data)
    except (NotJson, Unreadable):
        return None, False
    pointers = masked.names(where)
    if pointers or masked.everywhere:
        value = sent.hide(value, pointers, masked.everywhere)
    return value, True


def request_value(request: Request, masked: Masked) -> tuple[Any, bool]:
    """What a request's body teaches; False where that is nothing."""
    kind = media_of(request.content_type)
    data = _whole(request.body)
    if kind == _FORM and data is not None:
        return sent.query_of(data, "request.body", masked), True
    if kind == _MULTIPART and data is not None:
        fields = sent.multipart_of(data, request.content_type or "", masked)
        return fields, fields is not None
    return json_of(request.body, kind, "request.body", masked)
