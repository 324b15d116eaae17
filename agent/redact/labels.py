"""Where in JSON a secret's name is a value itself: `{"name": "DB_PASSWORD", "value": "…"}`.

So it is in lists of settings, in logs of changes (`{"field": "pin", "from": "…", "to": "…"}`), in JSON Patch
(RFC 6902), in that of SCIM (RFC 7644 section 3.5.2), and where a validator names the wrong field
and repeats what was sent: `{"loc": ["body", "pin"], "input": "…"}`, `{"field": "pin", "rejectedValue": "…"}`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from agent.frozen import dataclass
from agent.redact.keys import Keys
from agent.redact.names import Names
from agent.redact.roles import NAMED, Group, Naming, PairRole

MAX_LABEL = 128  # characters; a longer text is not taken for a name
MAX_TITLE = 3  # words of a title that is taken for a name

_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z ._:/-]*[0-9]{0,2}")
_STEP = re.compile(r"[/.\[\]]")
_PATCH = re.compile(r'"op"\s{0,8}:\s{0,8}"(?i:add|replace|test)"')


@dataclass(frozen=True, slots=True)
class Label:
    """What a secret's name says of its siblings: `rule` masks those in `groups`, or only texts among them."""

    rule: str
    groups: frozenset[Group]
    texts_only: bool = False


def is_patch(text: str) -> bool:
    """Whether a JSON text holds operations of a patch, in which a path names what beside it is a value."""
    return _PATCH.search(text) is not None


def label(naming: Naming, name: str, names: Names, *, patch: bool) -> Label | None:
    """The label that `name` is, where it is a secret's; of a path or pointer, any step may be."""
    if len(name) > MAX_LABEL:
        return None
    rule = names.rule(name) if naming in _WHOLE else _rule(naming, name, names)
    if rule is None:
        return None
    if naming is Naming.FIELD and "/" in name:
        return Label(rule, _PATCHED) if patch else Label(rule, _OF_PATHS, texts_only=True)
    return Label(rule, NAMED[naming])


def beside(pairs: Sequence[tuple[str, str]], names: Names, keys: Keys) -> list[str | None]:
    """The rule for each pair of a form that a name in another pair gives away: `name=pin&value=4711`.

    What is before the last step of their names is the same: `set[0][name]` and `set[0][value]`.
    """
    rules: list[str | None] = [None] * len(pairs)
    roles = [(at, role) for at, (name, _) in enumerate(pairs) if (role := keys.named(name).role) is not None]
    grouped = [(at, role.group) for at, role in roles if role.group is not None]
    found = _named(pairs, roles, names) if grouped else {}
    for at, group in grouped if found else ():
        rules[at] = found.get((_before(pairs[at][0]), group))
    return rules


def _named(
    pairs: Sequence[tuple[str, str]], roles: list[tuple[int, PairRole]], names: Names
) -> dict[tuple[str, Group], str]:
    """The rules of what the pairs name, by what is before the last step, and group."""
    found: dict[tuple[str, Group], str] = {}
    for at, role in roles:
        one = None if role.naming is None else label(role.naming, pairs[at][1], names, patch=False)
        if one is not None:
            found |= {(_before(pairs[at][0]), group): one.rule for group in one.groups}
    return found


def _before(name: str) -> str:
    """A form's name without its last step."""
    return name[: name.rstrip("]").rfind("[") + 1]


_WHOLE = frozenset((Naming.NAME, Naming.TYPE, Naming.PLACE))
_PATCHED = frozenset((Group.VALUE,))
_OF_PATHS = frozenset((Group.VALUE, Group.ECHO))  # beside the path of a URL or file


def _rule(naming: Naming, name: str, names: Names) -> str | None:
    """Titles may be sentences about secrets; ids are mostly numbers and digests, and cheap to tell so."""
    if naming is Naming.TITLE:
        return names.rule(name) if len(name.split()) <= MAX_TITLE else None
    if naming is Naming.ID:
        return names.rule(name) if _IDENTIFIER.fullmatch(name) else None
    steps = _STEP.split(name) if _STEP.search(name) else ()
    return next(filter(None, map(names.rule, (name, *steps))), None)
