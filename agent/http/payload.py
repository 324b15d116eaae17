"""Accumulates a message's body."""

from __future__ import annotations

from agent.http.event_counter import EventCounter
from agent.http.messages import EMPTY_BODY, Body, BodyState
from agent.streams.half import GapReason


class BodyAccumulator:
    """A body's exact size, and the prefix that is kept. `events` counts its events, of an event stream
    without missing bytes.
    """

    __slots__ = ("_cap", "_gap", "_unseen", "events", "kept", "lost", "size")

    def __init__(self, cap: int) -> None:
        self._cap = cap
        self._gap = False
        self._unseen = False  # the gap is at its start
        self.kept = bytearray()
        self.size = 0
        self.lost = False
        self.events: EventCounter | None = None

    def add(self, data: bytes | bytearray) -> None:
        """Adds the next bytes of the body."""
        self.size += len(data)
        if self.events is not None:
            self.events.feed(data)
        room = self._cap - len(self.kept)
        if room > 0 and not self._gap:
            self.kept += data if len(data) <= room else data[:room]

    def skip(self, length: int, why: GapReason) -> None:
        """Records missing bytes; nothing after them is kept."""
        self._unseen = self._unseen or not self.size
        self.size += length
        self._gap = True
        self.events = None
        self.lost = self.lost or why is GapReason.LOST

    def body(self, *, size_known: bool = True, whole: bool = True) -> Body:
        """The kept body. `whole` is false if the end of the body was not seen."""
        if whole and not self.size:
            return EMPTY_BODY
        return Body(
            self.size if size_known else None,
            bytes(self.kept),
            self._state(size_known, whole),
            events=None if self.events is None else self.events.count,
        )

    def _state(self, size_known: bool, whole: bool) -> BodyState:
        kept = len(self.kept)
        if self._unseen:
            return BodyState.UNSEEN
        if not size_known or (self.lost and kept < self._cap):
            return BodyState.GAP
        return BodyState.COMPLETE if whole and kept == self.size else BodyState.TRUNCATED
