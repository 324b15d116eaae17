"""What the keys of JSON say of the values there. Most come with every message, so answers are remembered."""

from __future__ import annotations

from agent.frozen import dataclass
from agent.redact.json_tokens import unescaped
from agent.redact.names import Names
from agent.redact.roles import Role, role

MAX_KEYS = 4096  # remembered
MAX_LENGTH = 64  # characters of a key that is


@dataclass(frozen=True, slots=True)
class Key:
    """A key, or "" for being in a list: `rule` masks what is there, `role` joins it to what is beside it.

    `name` is as the output has it.
    """

    name: str
    rule: str | None
    role: Role | None


ITEM = Key("", None, None)


class Keys:
    """`known` holds, by token, keys whose own text holds no secret; at a bound all are forgotten."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self.known: dict[str, Key] = {}

    def read(self, token: str) -> Key:
        """The key of a string token that holds no secret."""
        name = unescaped(token)
        found = Key(name, self._names.rule(name), role(name))
        if len(token) <= MAX_LENGTH:
            if len(self.known) >= MAX_KEYS:
                self.known.clear()
            self.known[token] = found
        return found
