"""Remembers parts of JSON texts that hold no secret, so that only new parts are examined.

A text is split at its quotes into parts: keys, strings, and the punctuation and numbers between them. No name
or shape by which a secret is recognised spans a quote, so a text of clean parts is clean. Most parts occur in
every message: keys, words of an enumeration, commas.
"""

from __future__ import annotations

from agent.redact import values
from agent.redact.names import Names

MAX_PARTS = 1024  # remembered
MAX_MISSES = 4096  # texts with new parts, while full, until all is forgotten
MAX_PART = 48  # characters of a remembered part


class CleanFragments:
    """A bounded number of parts that neither `names` nor the shapes match, none with a secret."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._known: set[str] = set()
        self._misses = 0

    def holds(self, text: str) -> bool:
        """True only if no part of `text` can be a secret or the name of one. For JSON without escapes."""
        new = set(text.split('"')) - self._known
        if not new:
            return True
        raw = '"'.join(new).encode("utf-8", "surrogatepass")
        if values.suspicion(raw) is not None or self._names.possible(raw):
            return False
        if len(self._known) < MAX_PARTS:
            room = MAX_PARTS - len(self._known)
            self._known.update([part for part in new if len(part) <= MAX_PART][:room])
        elif self._misses < MAX_MISSES:
            self._misses += 1
        else:
            self._known.clear()
            self._misses = 0
        return True
