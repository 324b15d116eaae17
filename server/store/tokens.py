"""Tokens of clusters, as Protocols that an engine implements. Only digests are stored: a secret has 256
random bits, so that nobody finds it from its digest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from server.store.rows import Cursor, Listed


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A token without its secret. `previous_until` is when the secret before the last rotation ends. Times
    are ns.
    """

    number: int
    id: str
    name: str
    role: str
    cluster: str
    created: int
    last_used: int | None
    rotated: int | None
    previous_until: int | None


@dataclass(frozen=True, slots=True)
class KnownToken:
    """What a secret is compared with: its digest, or the previous one's until a time (ns)."""

    id: str
    cluster: str
    digest: bytes
    previous: bytes | None = None
    previous_until: int | None = None


class TokensReader(Protocol):
    """Tokens that were not revoked."""

    def listed(self, cluster: str | None, limit: int, after: Cursor | None) -> Listed[TokenRow]:
        """All, or those of a cluster; newest first."""

    def one(self, id: str) -> TokenRow | None: ...

    def named(self, name: str) -> TokenRow | None: ...

    def known(self) -> Sequence[KnownToken]:
        """All, to compare secrets with."""


class StoredTokens(Protocol):
    """A revoked token is removed."""

    def add(self, id: str, name: str, role: str, cluster: str, digest: bytes, now: int) -> None: ...

    def rotate(self, id: str, digest: bytes, now: int, previous_until: int | None) -> bool:
        """Replaces the digest; the previous one stays valid until a time, if one is given. Returns whether
        there is such a token.
        """

    def revoke(self, id: str) -> bool:
        """Returns whether there was such a token."""

    def record_use(self, id: str, now: int) -> None: ...

    def count(self) -> int:
        """Number of tokens."""
