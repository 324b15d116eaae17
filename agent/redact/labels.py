"""Where in JSON a secret's name is a value itself: {"name": "DB_PASSWORD", "value": "…"}.

So it is in lists of settings, in logs of changes ({"field": "pin", "from": "…", "to": "…"}), in JSON Patch
(RFC 6902) and SCIM's (RFC 7644 section 3.5.2), and in lists of pairs.
"""

from __future__ import annotations

import re

from agent.redact.names import Names

_VALUES = frozenset(
    ("value", "values", "val", "content", "default", "newValue", "oldValue", "new_value", "old_value")
)
_CHANGES = frozenset(("old", "new", "from", "to", "fromString", "toString", "before", "after"))
_PATCH = re.compile(r'"op"\s{0,8}:\s{0,8}"(?i:add|replace|test)"')
_PATH = "path"

NAMING = {
    **dict.fromkeys(("name", "key", "header", "param", "parameter"), _VALUES),
    **dict.fromkeys(("field", "fieldName", "field_name", "property", "attribute"), _VALUES | _CHANGES),
    _PATH: frozenset(("value",)),
}
"""The keys whose value may be a secret's name, and those beside them that then hold the secret."""

NAMED = _VALUES | _CHANGES

Label = tuple[str, frozenset[str]]
"""The rule that a name gave, and the keys it is for."""


def is_patch(text: str) -> bool:
    """Whether a JSON text holds operations of a patch, in which a path names what beside it is a value."""
    return _PATCH.search(text) is not None


def label(key: str, name: str, names: Names, *, patch: bool) -> Label | None:
    """What `name` at `key` says of its siblings; in a patch all beneath a secret's name is one."""
    if key == _PATH:
        found = next(filter(None, map(names.rule, name.split("/"))), None) if patch else None
    else:
        found = names.rule(name)
    return None if found is None else (found, NAMING[key])
