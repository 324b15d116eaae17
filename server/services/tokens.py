"""Tokens of clusters: an agent that holds one delivers for that cluster only.

A secret is shown once, when it is made. It is `sti_`, the token's id and 256 random bits, so that one token
is compared, in constant time, whatever is offered.
"""

from __future__ import annotations

import hmac
import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from server.config import digest
from server.services.errors import Conflict, InvalidInput, NotFound, StoreUnavailable
from server.services.narrowing import Cursor
from server.store.rows import Listed
from server.store.store import Store
from server.store.tokens import KnownToken, TokenRow
from server.store.unit import Unit

__all__ = ["ClusterTokens", "NewSecret", "TokenRow"]

log = logging.getLogger(__name__)

PREFIX = "sti_"
INGEST = "ingest"
MAX_TOKENS = 1000
MAX_NAME = 100  # characters
MAX_CLUSTER = 128
USE_NS = 60_000_000_000  # the last use is written at most this often
S = 1_000_000_000


@dataclass(frozen=True, slots=True, repr=False)
class NewSecret:
    """A token and its secret, which is known here only."""

    row: TokenRow
    secret: str


class ClusterTokens:
    """Thread-safe. The tokens are mirrored in memory, and read again after each change."""

    def __init__(self, store: Store, clock: Callable[[], int] = time.time_ns) -> None:
        self._store = store
        self._clock = clock
        self._changing = threading.Lock()
        self._used: dict[str, int] = {}  # when the last use was written, by id
        self._known: Mapping[str, KnownToken] = {}
        self._read()

    def _read(self) -> None:
        with self._store.reading() as reader:
            self._known = {one.id: one for one in reader.tokens.known()}

    def listed(self, cluster: str | None, limit: int, after: Cursor | None) -> Listed[TokenRow]:
        """All tokens, or those of a cluster, newest first; without secrets."""
        with self._store.reading() as reader:
            return reader.tokens.listed(cluster, limit, after)

    def create(self, name: str, cluster: str) -> NewSecret:
        """A new token of a cluster. Raises InvalidInput and Conflict."""
        name, cluster = _checked(name, MAX_NAME, "name"), _checked(cluster, MAX_CLUSTER, "cluster")
        id, now = secrets.token_hex(8), self._clock()
        secret = _secret(id)

        def add(unit: Unit) -> None:
            if unit.tokens.count() >= MAX_TOKENS:
                raise Conflict(f"there are {MAX_TOKENS} tokens: revoke those that are not used")
            unit.tokens.add(id, name, INGEST, cluster, digest(secret), now)

        with self._changing:
            with self._store.reading() as reader:
                if reader.tokens.named(name) is not None:
                    raise Conflict("a token has this name: rotate it, or choose another name")
            self._store.write(add).result()
            self._read()
        log.info("token %s is created: %r of the cluster %r", id, name, cluster)
        return NewSecret(self._row(id), secret)

    def rotate(self, id: str, grace_s: int) -> NewSecret:
        """A new secret for a token; the previous one stays valid for `grace_s` seconds, or not at all. Raises
        NotFound.
        """
        secret, now = _secret(id), self._clock()
        until = now + grace_s * S if grace_s else None
        with self._changing:
            if not self._store.write(
                lambda unit: unit.tokens.rotate(id, digest(secret), now, until)
            ).result():
                raise NotFound("no such token")
            self._read()
        log.info("token %s is rotated; the previous secret is valid for %d s", id, grace_s)
        return NewSecret(self._row(id), secret)

    def revoke(self, id: str) -> None:
        """From now on neither of its secrets is accepted. Raises NotFound."""
        with self._changing:
            if not self._store.write(lambda unit: unit.tokens.revoke(id)).result():
                raise NotFound("no such token")
            self._read()
        self._used.pop(id, None)
        log.info("token %s is revoked", id)

    def _row(self, id: str) -> TokenRow:
        with self._store.reading() as reader:
            row = reader.tokens.one(id)
        if row is None:
            raise NotFound("no such token")
        return row

    @staticmethod
    def is_one(secret: str | None) -> bool:
        """Whether this looks like the secret of such a token."""
        return secret is not None and secret.startswith(PREFIX)

    def cluster_of(self, secret: str) -> str | None:
        """The cluster of the token with this secret; None if it is unknown, replaced or revoked. Records the
        use.
        """
        known, offered, now = self._known.get(_id_in(secret)), digest(secret), self._clock()
        if known is None:
            return None
        is_valid = hmac.compare_digest(offered, known.digest)
        if known.previous is not None and known.previous_until is not None:
            is_valid |= hmac.compare_digest(offered, known.previous) and now < known.previous_until
        if not is_valid:
            return None
        self._record_use(known.id, now)
        return known.cluster

    def _record_use(self, id: str, now: int) -> None:
        """Does not wait, and a use that cannot be written does not matter."""
        if now - self._used.get(id, 0) < USE_NS:
            return
        self._used[id] = now
        with suppress(StoreUnavailable):
            self._store.write(lambda unit: unit.tokens.record_use(id, now))


def _secret(id: str) -> str:
    return f"{PREFIX}{id}_{secrets.token_urlsafe(32)}"


def _id_in(secret: str) -> str:
    return secret.removeprefix(PREFIX).partition("_")[0]


def _checked(text: str, most: int, what: str) -> str:
    """The text without outer blanks. Raises InvalidInput."""
    text = text.strip()
    if not 0 < len(text) <= most or not text.isprintable():
        raise InvalidInput(f"the {what} has 1 to {most} printable characters")
    return text
