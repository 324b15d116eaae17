"""A difference between an exchange and its specification, and what makes two of them the same.

What people decide of a deviation is stored by its identity, and outlives the exchanges that showed it: where
the rules below change, decisions no longer hold.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from server.analysis.specs.kinds import Kind, Where

MAX_POINTER = 300  # characters of a pointer or a place: both come from the network
_ITEM = re.compile(r"/[0-9]+(?=/|$)")
_BODIES = (Where.REQUEST_BODY, Where.RESPONSE_BODY)


class DeviationIdentity(NamedTuple):
    """What tells the deviations of one API apart. `operation` is an operation's key, of a shadow that of the
    template made from its path; `where` is a part of the exchange, `place` one in it.
    """

    operation: str
    kind: str
    where: str
    place: str


@dataclass(frozen=True, slots=True)
class Deviation:
    """`pointer` is a parameter's name, or a JSON pointer into the body; `place` is the part of the identity
    that is made of it; `message` is built from the specification alone and holds nothing captured.
    """

    kind: Kind
    where: Where
    place: str
    pointer: str
    message: str

    @classmethod
    def at(cls, kind: Kind, where: Where, pointer: str, message: str) -> Deviation:
        """The deviation at a pointer, which may be of any length."""
        shown = pointer if len(pointer) <= MAX_POINTER else pointer[:MAX_POINTER] + "…"
        return cls(kind, where, place_of(where, pointer), shown, message)

    def identity(self, operation: str) -> DeviationIdentity:
        return DeviationIdentity(operation, self.kind, self.where, self.place)

    def is_of(self, identity: DeviationIdentity) -> bool:
        """Whether it is that deviation, at whatever operation: a shadow's judgement names none."""
        return self.identity(identity.operation) == identity


def place_of(where: Where, pointer: str) -> str:
    """A pointer to all items of an array alike, or the deviations of an API would grow with traffic."""
    return (_ITEM.sub("/*", pointer) if where in _BODIES else pointer)[:MAX_POINTER]
