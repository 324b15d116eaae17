"""The form of a schema: the types it allows for texts, two levels deep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from server.analysis.json import array_in, object_in
from server.analysis.specs.document.pointers import Pointers, under
from server.analysis.specs.schemas.fields import FieldIndex, types_of
from server.analysis.specs.schemas.survey import TYPES

_TYPE_OF = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}


@dataclass(frozen=True, slots=True)
class Form:
    """The types that a schema allows for a text; `items` and `fields` reach two levels deep."""

    types: frozenset[str]
    items: Form | None = None
    fields: Mapping[str, Form] = field(default_factory=dict)
    other_fields: bool = True  # unnamed fields may occur

    @property
    def is_object(self) -> bool:
        """Whether an object is described, and not just any value."""
        return "object" in self.types and self.types <= {"object", "null"}

    @property
    def is_array(self) -> bool:
        return "array" in self.types and self.types <= {"array", "null"}

    @property
    def is_text(self) -> bool:
        """Whether every text has an allowed type, and no other type is described."""
        return self.types <= {"string", "null"}

    @property
    def outlives_masks(self) -> bool:
        """Whether a masked text keeps its type: collections and booleans become plain text."""
        return self.types == TYPES or not self.types & {"array", "object", "boolean"}

    @property
    def is_plain(self) -> bool:
        """Whether no text is a collection."""
        return not self.types & {"array", "object"}


TEXT = Form(frozenset({"string"}))
ANYTHING = Form(TYPES)
_LEVELS = 2


def form_of(place: str, pointers: Pointers, fields: FieldIndex) -> Form:
    """The form of the schema at `place`."""
    return _form([place], pointers, fields, _LEVELS)


def _form(places: Sequence[str], pointers: Pointers, fields: FieldIndex, levels: int) -> Form:
    """The form of a value with these schemas."""
    types = frozenset[str]().union(*(_types(place, pointers, fields) for place in places))
    if not levels:
        return Form(types)
    named: dict[str, list[str]] = {}
    items: list[str] = []
    for place in places:
        for part, at in fields.closure(pointers.at(place, place), place):
            for name in object_in(part, "properties"):
                named.setdefault(name, []).append(under(at, "properties", name))
            if "items" in part:
                items.append(under(at, "items"))
    is_open = any(fields.of(pointers.at(place, place), place).open for place in places)
    return Form(
        types,
        _form(items, pointers, fields, levels - 1) if items else None,
        {name: _form(at, pointers, fields, levels - 1) for name, at in named.items()},
        is_open or not named,
    )


def _types(place: str, pointers: Pointers, fields: FieldIndex) -> set[str]:
    """Types that may occur; all of them if unspecified."""
    found: set[str] = set()
    for part, _ in fields.closure(pointers.at(place, place), place):
        found.update(types_of(part))
        known = array_in(part, "enum") + ([part["const"]] if "const" in part else [])
        if "type" not in part:
            found |= {_TYPE_OF.get(type(value), "null") for value in known}
        if part.get("nullable") is True:
            found.add("null")
    return found or set(TYPES)
