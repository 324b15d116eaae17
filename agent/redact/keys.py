"""Classifies JSON keys. Most occur in every message, so results are remembered."""

from __future__ import annotations

from agent.frozen import dataclass
from agent.redact.json_tokens import unescaped
from agent.redact.names import Names
from agent.redact.roles import PairRole, role

MAX_KEYS = 4096  # remembered
MAX_LENGTH = 64  # characters of a remembered key


@dataclass(frozen=True, slots=True)
class Key:
    """A key, or "" for items of a list: `rule` masks its value, `role` is its relation to keys beside it.

    `name` is the key as written to the output.
    """

    name: str
    rule: str | None
    role: PairRole | None


ITEM = Key("", None, None)


class Keys:
    """A cache of keys by token and by name; at a bound all are forgotten."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._by_name: dict[str, Key] = {}
        self.by_token: dict[str, Key] = {}

    def named(self, name: str) -> Key:
        """The key with this name."""
        return self._by_name.get(name) or self._remember(self._by_name, name, name)

    def read(self, token: str) -> Key:
        """The key of a string token of JSON."""
        return self._remember(self.by_token, token, unescaped(token))

    def _remember(self, known: dict[str, Key], text: str, name: str) -> Key:
        key = Key(name, self._names.rule(name), role(name))
        if len(text) <= MAX_LENGTH:
            if len(known) >= MAX_KEYS:
                known.clear()
            known[text] = key
        return key
