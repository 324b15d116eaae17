"""A deviation between an exchange and its specification, and its identity.

Decisions on a deviation are stored by its identity and outlive its exchanges: changing the rules below
invalidates decisions.
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
    """Distinguishes the deviations of one API. `operation` is an operation's key, for an undocumented call
    that of the template made from its path; `where` is a part of the exchange, `place` one inside it.
    """

    operation: str
    kind: str
    where: str
    place: str


@dataclass(frozen=True, slots=True)
class Deviation:
    """`pointer` is a parameter's name, or a JSON pointer into the body; `place` is derived from it for the
    identity; `message` is built from the specification alone and contains nothing captured.
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
        """Whether this is the deviation, at any operation: the judgement of an undocumented call
        names none.
        """
        return self.identity(identity.operation) == identity


def place_of(where: Where, pointer: str) -> str:
    """A pointer that is equal for all items of an array; otherwise the deviations of an API would grow with
    traffic.
    """
    return (_ITEM.sub("/*", pointer) if where in _BODIES else pointer)[:MAX_POINTER]
