"""Bodies of one operation by content type: count, size and values."""

from __future__ import annotations

from typing import TypeAlias

from agent.wire import Body
from server.analysis.rebuild.body_values import BodyValue, media_of
from server.analysis.rebuild.shapes.budget import Budget
from server.analysis.rebuild.shapes.learning import learn
from server.analysis.rebuild.shapes.merging import absorb
from server.analysis.rebuild.shapes.model import Shape
from server.analysis.rebuild.shapes.stored import ShapeState, dump, load
from server.analysis.rebuild.times import Times, TimesState

MOST_MEDIA = 12  # content types of one body

MediaState: TypeAlias = tuple[str, TimesState, ShapeState, int, int]


class Media:
    """Bodies of one content type. `unlearnt` were incomplete, too large, or did not match their type."""

    __slots__ = ("largest", "shape", "times", "unlearnt")

    def __init__(self) -> None:
        self.times = Times()
        self.shape = Shape()
        self.unlearnt = 0
        self.largest = 0  # bytes

    def learn(self, body: Body, value: BodyValue | None, budget: Budget) -> None:
        """Learns from one body; `value` is None if it cannot be read."""
        self.times.record(budget.now)
        if body.size and body.size > self.largest:
            self.largest = body.size
        if value is None:
            self.unlearnt += 1
        else:
            budget.wire = value.wire
            learn(self.shape, value.value, budget)

    def absorb(self, other: Media) -> None:
        """Merges what another has learned; `other` must not be used any more."""
        self.times.absorb(other.times)
        absorb(self.shape, other.shape)
        self.unlearnt += other.unlearnt
        self.largest = max(self.largest, other.largest)


class MediaTypes:
    """Bodies by content type, up to MOST_MEDIA of them."""

    __slots__ = ("by_kind",)

    def __init__(self) -> None:
        self.by_kind: dict[str, Media] = {}

    def of(self, content_type: str | None) -> Media | None:
        """The bodies of a type; None if there are too many types."""
        kind = media_of(content_type)
        media = self.by_kind.get(kind)
        if media is None and len(self.by_kind) < MOST_MEDIA:
            media = self.by_kind[kind] = Media()
        return media

    def absorb(self, other: MediaTypes) -> int:
        """Merges another's bodies, which must not be used any more; returns how many are beyond the bound."""
        left_out = 0
        for kind, media in other.by_kind.items():
            if kind in self.by_kind:
                self.by_kind[kind].absorb(media)
            elif len(self.by_kind) < MOST_MEDIA:
                self.by_kind[kind] = media
            else:
                left_out += media.times.count
        return left_out

    def shapes(self) -> list[Shape]:
        """The shapes of all bodies."""
        return [media.shape for media in self.by_kind.values()]

    def state(self) -> list[MediaState]:
        """The state, for msgpack."""
        return [
            (kind, one.times.state(), dump(one.shape), one.unlearnt, one.largest)
            for kind, one in self.by_kind.items()
        ]

    @classmethod
    def restore(cls, state: list[MediaState]) -> MediaTypes:
        """The bodies from their `state`."""
        found = cls()
        for kind, times, shape, unlearnt, largest in state:
            media = found.by_kind[kind] = Media()
            media.times, media.shape = Times(*times), load(shape)
            media.unlearnt, media.largest = unlearnt, largest
        return found
