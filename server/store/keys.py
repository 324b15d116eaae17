"""Numbers of APIs, operations, consumers and deviations: each a hash of the identifying key.

The same key has the same number in every store, whatever the order of arrival; no sequence is needed. If two
keys hash to one number, the second is refused (KeyCollision).
"""

from __future__ import annotations

import json
import re
from enum import StrEnum
from hashlib import blake2b

from server.store.errors import KeyCollision

BITS = 63
LOWEST = 2**32  # above all numbers from sequences, and above 0, which means everyone
ID = re.compile("[0-7][0-9a-f]{15}")

Part = str | int | None


class Numbered(StrEnum):
    """The kinds of things that are numbered by key."""

    API = "api"
    OPERATION = "operation"
    CONSUMER = "consumer"
    DEVIATION = "deviation"


def number_of(kind: str, *key: Part) -> int:
    """The number of a key: blake2b of [kind, *key] as ASCII JSON, without its first bits."""
    digest = blake2b(json.dumps([kind, *key]).encode(), digest_size=8).digest()
    number = int.from_bytes(digest) % (1 << BITS)
    return number if number >= LOWEST else number + LOWEST


def id_of(number: int) -> str:
    """The public id of a number. It is text, since JavaScript would round the number."""
    return f"{number:016x}"


def number_in(id: str) -> int | None:
    """The number of a public id; None if `id_of` cannot have made it."""
    return int(id, 16) if ID.fullmatch(id) else None


def check_key(kind: Numbered, number: int, ours: tuple[Part, ...], stored: tuple[Part, ...]) -> None:
    """Raises KeyCollision if the number of `key` is stored with another key."""
    if ours != stored:
        raise KeyCollision(f"two {kind}s have the id {id_of(number)}: the second is refused")
