"""Numbers of APIs, operations, consumers and deviations: each a hash of what tells one from all others.

Whoever stores the same comes to the same number, in whatever order and without asking anybody: there is no
sequence. Two that come to one number all the same are refused (KeyCollision), never mixed.
"""

from __future__ import annotations

import json
import re
from enum import StrEnum
from hashlib import blake2b

from server.store.errors import KeyCollision

BITS = 63
LOWEST = 2**32  # above every number that sequences gave, and above 0, which stands for everyone
ID = re.compile("[0-7][0-9a-f]{15}")

Part = str | int | None


class Numbered(StrEnum):
    """What has such a number."""

    API = "api"
    OPERATION = "operation"
    CONSUMER = "consumer"
    DEVIATION = "deviation"


def number_of(kind: str, *key: Part) -> int:
    """The number of what has this key: blake2b of [kind, *key] as JSON in ASCII, its first bits dropped."""
    digest = blake2b(json.dumps([kind, *key]).encode(), digest_size=8).digest()
    number = int.from_bytes(digest) % (1 << BITS)
    return number if number >= LOWEST else number + LOWEST


def id_of(number: int) -> str:
    """How the outside names it: JavaScript would round the number."""
    return f"{number:016x}"


def number_in(id: str) -> int | None:
    """The number that an id names; None for what `id_of` did not make."""
    return int(id, 16) if ID.fullmatch(id) else None


def check_key(kind: Numbered, number: int, ours: tuple[Part, ...], stored: tuple[Part, ...]) -> None:
    """Raises KeyCollision where a number that our key comes to is that of another key."""
    if ours != stored:
        raise KeyCollision(f"two {kind}s come to the id {id_of(number)}: the second is refused")
