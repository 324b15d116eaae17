"""Everything learnt of one API: path templates, and what is said at each.

Operations are kept by path as seen (values that show themselves as such folded), and only where that
becomes too much, by the templates of that moment; a document is made of the templates as they are then.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from zlib import crc32

import msgpack

from agent.wire import Record, Request
from server.analysis.inventory import host_of
from server.analysis.rebuild.operation import Operation, Seen, json_of, media_of
from server.analysis.rebuild.segments import kind_of
from server.analysis.rebuild.sent import Masked
from server.analysis.rebuild.shapes.learning import MOST_SHAPES, Budget
from server.analysis.rebuild.templates.compiled import Learned
from server.analysis.rebuild.templates.model import Decision, Template
from server.analysis.rebuild.templates.template_learner import MOST_SEGMENTS, TemplateLearner
from server.analysis.specs.routing.routes import segments_of

VERSION = 1
MOST_LEAVES = 4_000  # operations by path as seen, before they are sorted by template
MOST_OPERATIONS = 2_000  # by template; calls of further ones are counted, not learnt
MOST_PRINTED = 24  # keys of a response that make its fingerprint
LONGEST_PATH = 4_096  # bytes

MOST_HOSTS = 50  # names of one API

_HOST = re.compile(r"[a-z0-9.-]{1,100}(:[0-9]{1,5})?|\[[0-9a-f:.]{2,45}\](:[0-9]{1,5})?")

METHODS = frozenset(("GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE"))

Leaf = tuple[str, ...]
"""Method and segments, values folded."""


class Learnt(StrEnum):
    """What became of a record."""

    LEARNT = "learnt"
    NO_CALL = "no_call"  # a CORS preflight, CONNECT, a method that OpenAPI does not know
    UNSEEN = "unseen"  # request or response were not seen, or what was seen is no HTTP
    TOO_LONG = "too_long"  # more segments or bytes of a path than are learnt
    OVER_BOUND = "over_bound"  # of a further operation than are kept


@dataclass(slots=True)
class Place:
    """An operation with the segments of a path it was seen at: the first in the order of text of those that
    were accepted, whatever order they came in.
    """

    operation: Operation
    segments: tuple[str, ...]

    def accept(self, segments: tuple[str, ...]) -> None:
        """Notes a path, before its call is counted among the accepted."""
        if segments < self.segments or not self.operation.accepted:
            self.segments = segments

    def absorb(self, other: Place) -> None:
        """Adds all that another has learnt; `other` is not to be used any more."""
        if other.operation.accepted:
            self.accept(other.segments)
        self.operation.absorb(other.operation)


class Learner:
    """Learns one API from records, in bounded memory; not to be used by two threads at once."""

    def __init__(self, shapes: int = MOST_SHAPES) -> None:
        self.templates = TemplateLearner()
        self.counts: Counter[str] = Counter()
        self.hosts: Counter[str] = Counter()
        self._shapes = shapes
        self._budget = Budget(shapes)
        self._leaves: dict[Leaf, Place] = {}
        self._settled: dict[tuple[str, str], Place] = {}  # by method and template
        self._learned: Learned | None = None
        self._compact_at = MOST_LEAVES

    @property
    def places(self) -> int:
        """How many places are taken, of those it may have."""
        return self._shapes - self._budget.left

    def learn(self, record: Record) -> Learnt:
        """Learns from one record, and counts what became of it."""
        outcome = self._learn(record)
        self.counts[outcome] += 1
        return outcome

    def _learn(self, record: Record) -> Learnt:
        request, response = record.request, record.response
        if request is None or response is None or record.completeness == "malformed":
            return Learnt.UNSEEN
        if request.method not in METHODS or _is_no_call(request):
            return Learnt.NO_CALL
        if len(request.path) > LONGEST_PATH:
            return Learnt.TOO_LONG
        segments = tuple(segments_of(request.path))
        if len(segments) > MOST_SEGMENTS:
            return Learnt.TOO_LONG
        masked = Masked(record)
        kind = media_of(response.content_type)
        value, learnable = json_of(response.body, kind, "response.body", masked)
        hidden = masked.segments()
        print_ = fingerprint(value) if learnable else kind or None
        self.templates.observe(request.method, segments, hidden, print_, response.status)
        place = self._place(request.method, segments, hidden)
        if place is None:
            return Learnt.OVER_BOUND
        seen = Seen(record, request, response, masked, value, learnable)
        if seen.accepted:
            place.accept(segments)
            self._note_server(record)
        place.operation.learn(seen, self._budget)
        return Learnt.LEARNT

    def _place(self, method: str, segments: tuple[str, ...], masked: frozenset[int]) -> Place | None:
        leaf = leaf_of(method, segments, masked)
        place = self._leaves.get(leaf)
        if place is not None:
            return place
        if self._learned is not None:
            template = self._learned.resolve(segments)
            place = self._settled.get((method, template.text)) if template else None
            if place is not None:
                return place
        if len(self._leaves) >= self._compact_at or self._budget.left < self._shapes // 16:
            if len(self._leaves) < self._compact_at // 4:  # sorting them would not make much room
                return None
            self.compact()
            return self._place(method, segments, masked)
        place = self._leaves[leaf] = Place(Operation(), segments)
        self._budget.left -= 4
        return place

    def servers(self, most: int) -> list[str]:
        """URLs that calls were sent to, the most frequent first."""
        return [url for url, _ in sorted(self.hosts.items(), key=lambda one: (-one[1], one[0]))[:most]]

    def _note_server(self, record: Record) -> None:
        request, host = record.request, host_of(record)
        if request is None or not host or not _HOST.fullmatch(host):
            return
        self._count_host(f"{request.scheme}://{host}", 1)

    def _count_host(self, url: str, times: int) -> None:
        if url in self.hosts or len(self.hosts) < MOST_HOSTS:
            self.hosts[url] += times

    def compact(self) -> None:
        """Sorts operations by the templates of this moment; what no template knows is forgotten."""
        self._learned = self.templates.templates()
        grouped = self.grouped()
        self._settled = {}
        for (method, template), places in grouped.items():
            first, *more = places
            for other in more:
                first.absorb(other)
            if len(self._settled) < MOST_OPERATIONS:
                self._settled[method, template.text] = Place(
                    first.operation, template.example or first.segments
                )
        self._leaves = {}
        self._recount()
        full = len(self._settled) >= MOST_OPERATIONS or self._budget.left < self._shapes // 8
        self._compact_at = 2 * self._compact_at if full else MOST_LEAVES

    def grouped(self) -> dict[tuple[str, Template], list[Place]]:
        """Operations by method and by what is their template now; only of what ever succeeded."""
        learned = self.templates.templates()
        found: dict[tuple[str, Template], list[Place]] = {}
        methods = [(leaf[0], place) for leaf, place in self._leaves.items()]
        methods += [(method, place) for (method, _), place in self._settled.items()]
        for method, place in methods:
            template = learned.resolve(place.segments)
            if template is not None:
                found.setdefault((method, template), []).append(place)
        return {
            key: places for key, places in found.items() if any(place.operation.accepted for place in places)
        }

    def _recount(self) -> None:
        places = [*self._leaves.values(), *self._settled.values()]
        self._budget.left = self._shapes - sum(place.operation.size() for place in places)

    def give(self, templates: Mapping[str, frozenset[str]]) -> None:
        """Templates of an existing specification; they come first."""
        self.templates.give(templates)

    def decide(self, decisions: Iterable[Decision]) -> None:
        """What a person decided of templates, all of it."""
        self.templates.decide(decisions)

    def absorb(self, other: Learner) -> None:
        """Adds all that another has learnt; `other` is not to be used any more."""
        self.templates.absorb(other.templates)
        self.counts += other.counts
        for url, times in other.hosts.items():
            self._count_host(url, times)
        for leaf, place in other._leaves.items():
            _absorb(self._leaves, leaf, place)
        for key, place in other._settled.items():
            _absorb(self._settled, key, place)
        self._recount()
        if other._settled or len(self._leaves) >= MOST_LEAVES:
            self.compact()

    def state(self) -> bytes:
        """All that was learnt, in msgpack; what was given and decided is not part of it."""
        return _pack(
            [
                VERSION,
                self.templates.state(),
                dict(self.counts),
                dict(self.hosts),
                [[leaf, *_dump(place)] for leaf, place in self._leaves.items()],
                [[*key, *_dump(place)] for key, place in self._settled.items()],
            ]
        )

    @classmethod
    def restore(cls, state: bytes, shapes: int = MOST_SHAPES) -> Learner:
        """The learner whose `state` this was. Raises ValueError on another version."""
        version, *rest = msgpack.unpackb(
            state, strict_map_key=False, unicode_errors="surrogatepass", max_str_len=len(state)
        )
        if version != VERSION:
            raise ValueError(f"what was learnt is of version {version}, not {VERSION}")
        templates, counts, hosts, leaves, settled = rest
        learner = cls(shapes)
        learner.templates = TemplateLearner.restore(templates)
        learner.counts, learner.hosts = Counter(counts), Counter(hosts)
        learner._leaves = {tuple(leaf): _load(segments, one) for leaf, segments, one in leaves}
        learner._settled = {(method, text): _load(segments, one) for method, text, segments, one in settled}
        learner._learned = learner.templates.templates() if settled else None
        learner._recount()
        return learner


def _absorb(mine: dict[Any, Place], key: Any, place: Place) -> None:
    if key in mine:
        mine[key].absorb(place)
    else:
        mine[key] = place


def _dump(place: Place) -> list[Any]:
    return [place.segments, place.operation.state()]


def _load(segments: list[str], state: list[Any]) -> Place:
    return Place(Operation.restore(state), tuple(segments))


def _pack(value: Any) -> bytes:
    packed: bytes = msgpack.packb(value, unicode_errors="surrogatepass")
    return packed


def leaf_of(method: str, segments: Sequence[str], masked: frozenset[int]) -> Leaf:
    """Where an exchange is kept before its template is known."""
    leaf = [method]
    for index, segment in enumerate(segments):
        kind = kind_of(segment)
        if index in masked:
            leaf.append("\0opaque")
        else:
            leaf.append(segment if kind is None else "\0" + kind)
    return tuple(leaf)


def fingerprint(value: Any) -> int:
    """Of a response's structure at its top: equal keys, equal number."""
    if type(value) is dict:
        return crc32("\0".join(sorted(value)[:MOST_PRINTED]).encode("utf-8", "surrogatepass"))
    if type(value) is list:
        return (fingerprint(value[0]) if value else 0) ^ 1
    return crc32(type(value).__name__.encode())


def _is_no_call(request: Request) -> bool:
    """Of OPTIONS, what is part of no API: a CORS preflight, a question to the whole server."""
    if request.method != "OPTIONS":
        return False
    names = {name.lower() for name, _ in request.headers}
    return request.path == b"*" or {b"origin", b"access-control-request-method"} <= names
