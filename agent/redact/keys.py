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
    """Keys whose own text holds no secret, remembered by token and by name; at a bound all are forgotten."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self.by_token: dict[str, Key] = {}
        self.by_name: dict[str, Key] = {}

    def named(self, name: str) -> Key:
        """The key of a name without escapes."""
        return self.by_name.get(name) or self.read(f'"{name}"')

    def read(self, token: str) -> Key:
        """The key of a string token."""
        name = unescaped(token)
        found = Key(name, self._names.rule(name), role(name))
        if len(token) <= MAX_LENGTH:
            if len(self.by_token) >= MAX_KEYS:
                self.by_token.clear()
                self.by_name.clear()
            self.by_token[token] = self.by_name[name] = found
        return found
