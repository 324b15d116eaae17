"""The values of a record that are masked or not captured; they never cause deviations."""

from __future__ import annotations

from agent.wire import Record
from server.analysis.specs.kinds import KINDS, Kind, Where

_HEADERS = (Where.HEADER, Where.RESPONSE_HEADER)
MAX_DIGITS = 6  # of a segment's index


class Masks:
    """The masks of one record. Names of headers compare without case."""

    __slots__ = ("_fields_unknown", "_left_out", "_places")

    def __init__(self, record: Record) -> None:
        self._fields_unknown = record.fields_unknown > 0
        self._left_out = record.masks_left_out > 0
        self._places: dict[str, set[str]] = {}
        for mask in record.masks:
            pointer = mask.pointer.lower() if mask.where in _HEADERS else mask.pointer
            self._places.setdefault(mask.where, set()).add(pointer)

    def at(self, where: str, pointer: str) -> bool:
        """Whether exactly this place is masked, by the listed masks."""
        return pointer in self._places.get(where, ())

    def segments(self) -> frozenset[int]:
        """The masked segments of the path."""
        places = self._places.get(Where.PATH, ())
        return frozenset(int(place) for place in places if place.isdecimal() and len(place) < MAX_DIGITS)

    def rename(self, where: str, pointer: str, name: str) -> None:
        """Applies a mask at `pointer` also to `name`: a path's segment to its parameter."""
        if self.at(where, pointer):
            self._places[where].add(name)

    def unseen_field(self, kind: Kind, where: Where) -> bool:
        """Whether a missing field may be among header fields that were sent and not captured."""
        return self._fields_unknown and where in KINDS[kind].unseen_in

    def hide(self, kind: Kind, where: Where, pointer: str, spans: bool = False) -> bool:
        """Whether a placeholder may have caused a deviation. `spans`: it also concerns everything below."""
        if not KINDS[kind].hidden_by_mask:
            return False
        if self._left_out:
            return True
        places = self._places.get(where)
        if not places:
            return False
        if pointer in places or any(pointer.startswith(place + "/") for place in places):
            return True
        return spans and any(place.startswith(pointer + "/") for place in places)
