"""Which parts of JSON texts were seen to hold nothing of a secret, so that only what is new is looked at.

A text's parts are what lies between its quotes: keys, strings, and the punctuation and numbers between them.
Neither a name nor a shape that gives a secret away spans a quote, so a text of harmless parts is harmless.
Most parts come with every message: keys, words of an enumeration, commas.
"""

from __future__ import annotations

from agent.redact import values
from agent.redact.names import Names

MAX_PARTS = 1024  # remembered; at the bound all are forgotten
MAX_PART = 48  # characters of a part that is remembered


class Harmless:
    """Remembers the parts that `names` and the shapes leave alone, a bounded number, none with a secret."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._known: set[str] = set()

    def holds(self, text: str) -> bool:
        """True only where no part of `text` can be a secret or give one away. JSON without escapes."""
        new = set(text.split('"')) - self._known
        if not new:
            return True
        raw = '"'.join(new).encode("utf-8", "surrogatepass")
        if values.suspicion(raw) is not None or self._names.possible(raw):
            return False
        if len(self._known) + len(new) > MAX_PARTS:
            self._known.clear()
        self._known.update([part for part in new if len(part) <= MAX_PART][:MAX_PARTS])
        return True
