"""What the keys of JSON say of the values there. Most come with every message, so answers are remembered."""

from __future__ import annotations

from agent.frozen import dataclass
from agent.redact.json_tokens import unescaped
from agent.redact.names import Names
from agent.redact.roles import PairRole, role

MAX_KEYS = 4096  # remembered
MAX_LENGTH = 64  # characters of a key that is


@dataclass(frozen=True, slots=True)
class Key:
    """A key, or "" for being in a list: `rule` masks what is there, `role` joins it to what is beside it.

    `name` is as the output has it.
    """

    name: str
    rule: str | None
    role: PairRole | None


ITEM = Key("", None, None)


class Keys:
    """Keys by token and by name, remembered; at a bound all are forgotten."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._by_name: dict[str, Key] = {}
        self.by_token: dict[str, Key] = {}

    def named(self, name: str) -> Key:
        """The key of this name."""
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
