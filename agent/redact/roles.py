"""The role of a JSON key for the values beside it, by its words, in any spelling and case.

A key's value may be a name (`Naming`), possibly a secret's; and a key may belong to a `Group` of keys that
such a name refers to.

| naming, such as | is about what is in |
|---|---|
| `type` | `value` |
| `name`, `ParameterKey`, `id`, `label`, `source` | the same, `content`, `default`, `input`, … |
| `field`, `PropertyName`, `loc`, `instancePath` | the same, `from` and `to`, `message`, `ctx`, … |
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TypeVar

from agent.frozen import dataclass
from agent.redact.names import ABOUT, words


class Group(Enum):
    """The kind of value that a key has."""

    VALUE = auto()
    HOLDER = auto()
    ECHO = auto()  # the value sent, repeated in an error
    REASON = auto()
    CHANGE = auto()
    COMPLAINT = auto()  # a message about the value sent, which it may quote


class Naming(Enum):
    """The form of a name in a key's value."""

    TYPE = auto()
    NAME = auto()
    ID = auto()
    TITLE = auto()
    PLACE = auto()
    FIELD = auto()
    POINTER = auto()


_HOLDERS = frozenset((Group.VALUE, Group.HOLDER, Group.ECHO, Group.REASON))
NAMED = {
    Naming.TYPE: frozenset((Group.VALUE,)),
    **dict.fromkeys((Naming.NAME, Naming.ID, Naming.TITLE, Naming.PLACE), _HOLDERS),
    **dict.fromkeys((Naming.FIELD, Naming.POINTER), frozenset(Group)),
}
ENCLOSING = frozenset((Naming.PLACE, Naming.FIELD, Naming.POINTER))
"""A list or an object at such a key is a label of the key's siblings: `"loc": ["body", "pin"]`."""


@dataclass(frozen=True, slots=True)
class PairRole:
    """A key's role beside others: a naming or a group."""

    naming: Naming | None
    group: Group | None


Kind = TypeVar("Kind")


def _by_word(words_of: dict[Kind, str]) -> dict[str, Kind]:
    return {word: kind for kind, listed in words_of.items() for word in listed.split()}


_NAMING_WORDS = _by_word(
    {
        Naming.NAME: (
            "name names key n k header env option opt variable var setting argument arg column col claim"
        ),
        Naming.ID: "id identifier slug alias",
        Naming.TITLE: "title label caption question placeholder",
        Naming.PLACE: "source target location",
        Naming.FIELD: "field property prop attribute attr param parameter member loc path",
    }
)
_NAMING_ENDS = _by_word(
    {
        Naming.POINTER: (
            "pointer instancepath datapath schemapath propertypath fieldpath jsonpath instancelocation "
            "keywordlocation"
        ),
        Naming.FIELD: (
            "fieldname propertyname propname attributename attrname paramname parametername membername "
            "membernames"
        ),
        Naming.NAME: "name key",
    }
)
_NAMING_WHOLE = _by_word({Naming.TYPE: "type kind"})
_GROUP_WORDS = _by_word(
    {
        Group.VALUE: "value values val v",
        Group.HOLDER: "content contents default data text raw body payload answer answers",
        Group.ECHO: (
            "input received actual given got attempted rejected provided submitted supplied entered sent "
            "found"
        ),
        Group.REASON: "reason reasons",
        Group.COMPLAINT: (
            "msg message messages detail details description error errors ctx context params parameters "
            "args arguments meta extensions constraints explanation hint cause url expected"
        ),
    }
)
_GROUP_ENDS = _by_word({Group.VALUE: "value values", Group.COMPLAINT: "message messages"})
_GROUP_WHOLE = _by_word(
    {
        # `instance` is JSON Schema's word for the value at a path; a problem's (RFC 9457) has no path.
        Group.CHANGE: (
            "old new from to fromstring tostring before after previous current original prior instance"
        )
    }
)
_ABOUT_VALUES = ABOUT | {"from"}


def role(key: str) -> PairRole | None:
    """The role of `key`; None for most keys."""
    found = words(key)
    if not found:
        return None
    naming, group = _naming(found), _group(found)
    return None if naming is None and group is None else PairRole(naming, group)


def _naming(found: list[str]) -> Naming | None:
    joined = "".join(found)
    return _NAMING_WHOLE.get(joined) or _by_end(joined, _NAMING_ENDS) or _NAMING_WORDS.get(found[-1])


def _group(found: list[str]) -> Group | None:
    joined = "".join(found)
    if joined.startswith("value") and joined.removeprefix("value") not in _ABOUT_VALUES:
        return Group.VALUE
    return _GROUP_WHOLE.get(joined) or _by_end(joined, _GROUP_ENDS) or _GROUP_WORDS.get(found[-1])


def _by_end(joined: str, ends: dict[str, Kind]) -> Kind | None:
    return next((kind for end, kind in ends.items() if joined.endswith(end)), None)
