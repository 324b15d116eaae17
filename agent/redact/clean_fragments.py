"""Which parts of JSON texts were seen to hold nothing of a secret, so that only what is new is looked at.

A text's parts are what lies between its quotes: keys, strings, and the punctuation and numbers between them.
Neither a name nor a shape that gives a secret away spans a quote, so a text of clean parts is clean.
Most parts come with every message: keys, words of an enumeration, commas.
"""

from __future__ import annotations

from agent.redact import values
from agent.redact.names import Names

MAX_PARTS = 1024  # remembered
MAX_MISSES = 4096  # texts with something new since there was room; then all is forgotten
MAX_PART = 48  # characters of a part that is remembered


class CleanFragments:
    """Remembers the parts that `names` and the shapes leave alone, a bounded number, none with a secret."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._known: set[str] = set()
        self._misses = 0

    def holds(self, text: str) -> bool:
        """True only where no part of `text` can be a secret or give one away. JSON without escapes."""
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
