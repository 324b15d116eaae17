"""Labels: values in JSON that name a secret beside them: `{"name": "DB_PASSWORD", "value": "…"}`.

They occur in lists of settings, in change logs (`{"field": "pin", "from": "…", "to": "…"}`), in JSON Patch
(RFC 6902) and SCIM's (RFC 7644 section 3.5.2), and where a validator names the invalid field and repeats its
value: `{"loc": ["body", "pin"], "input": "…"}`, `{"field": "pin", "rejectedValue": "…"}`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from agent.frozen import dataclass
from agent.redact.keys import Keys
from agent.redact.names import Names
from agent.redact.roles import NAMED, Group, Naming, PairRole

MAX_LABEL = 128  # characters; a longer text is no name
MAX_TITLE = 3  # words of a title that can be a name

_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z ._:/-]*[0-9]{0,2}")
_STEP = re.compile(r"[/.\[\]]")
_PATCH = re.compile(r'"op"\s{0,8}:\s{0,8}"(?i:add|replace|test)"')


@dataclass(frozen=True, slots=True)
class Label:
    """A secret's name as a value: `rule` masks the siblings in `groups`, or only texts among them."""

    rule: str
    groups: frozenset[Group]
    texts_only: bool = False


def is_patch(text: str) -> bool:
    """Whether a JSON text contains patch operations, in which a path names the value beside it."""
    return _PATCH.search(text) is not None


def label(naming: Naming, name: str, names: Names, *, patch: bool) -> Label | None:
    """The label in `name`, if it is a secret's name; in a path or pointer any step may be one."""
    if len(name) > MAX_LABEL:
        return None
    rule = names.rule(name) if naming in _WHOLE else _rule(naming, name, names)
    if rule is None:
        return None
    if naming is Naming.FIELD and "/" in name:
        return Label(rule, _PATCHED) if patch else Label(rule, _OF_PATHS, texts_only=True)
    return Label(rule, NAMED[naming])


def beside(pairs: Sequence[tuple[str, str]], names: Names, keys: Keys) -> list[str | None]:
    """The rule for each pair of a form that another pair names as a secret: `name=pin&value=4711`.

    Both names are equal up to their last step: `set[0][name]` and `set[0][value]`.
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
    """The rules of the labels among the pairs, by name without its last step, and by group."""
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
    """The rule for a name. Titles may be sentences about secrets; ids are mostly numbers and digests, which
    is cheap to check.
    """
    if naming is Naming.TITLE:
        return names.rule(name) if len(name.split()) <= MAX_TITLE else None
    if naming is Naming.ID:
        return names.rule(name) if _IDENTIFIER.fullmatch(name) else None
    steps = _STEP.split(name) if _STEP.search(name) else ()
    return next(filter(None, map(names.rule, (name, *steps))), None)
