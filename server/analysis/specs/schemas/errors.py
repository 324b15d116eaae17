"""A validator's errors as deviation kinds, without captured values.

Messages are made from the schema's words and numbers; a field's name is in the pointer only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from jsonschema_rs import ValidationError, ValidationErrorKind

from server.analysis.specs.document.pointers import pointer, under
from server.analysis.specs.kinds import Kind
from server.analysis.specs.schemas.convert import NAMED, REFUSED, SchemaDirection
from server.analysis.specs.schemas.keywords import BASE64

MAX_MESSAGE = 200  # characters

_E = ValidationErrorKind


class SchemaError(NamedTuple):
    """`spans`: it also concerns everything below the pointer."""

    kind: Kind
    pointer: str
    message: str
    spans: bool = False


def schema_errors(errors: Sequence[ValidationError], direction: SchemaDirection) -> list[SchemaError]:
    """The errors as SchemaErrors."""
    found = [converted for error in _sound(errors) for converted in _converted(error, direction)]
    forbidden = {one.pointer for one in found if one.kind is Kind.FORBIDDEN_FIELD}
    if not forbidden:
        return found
    return [one for one in found if one.kind is not Kind.UNKNOWN_FIELD or one.pointer not in forbidden]


def soft_errors(errors: Sequence[ValidationError], direction: SchemaDirection) -> Iterator[SchemaError]:
    """Only fields that are not named or of the other direction, also inside alternatives."""
    for error in errors:
        if _softness(error):
            yield from _converted(error, direction)
        elif isinstance(error.kind, (_E.OneOfNotValid, _E.AnyOf)):
            branches = [branch for branch in error.kind.context if branch and all(map(_is_soft, branch))]
            if branches:
                yield from soft_errors(min(branches, key=len), direction)


def _sound(errors: Sequence[ValidationError]) -> Iterable[ValidationError]:
    """Drops errors of a schema's `unevaluatedProperties` if a part of the schema failed: then all fields that
    part names count as unevaluated.
    """
    if not any(map(_is_unevaluated, errors)):
        return errors
    failed = [error for error in errors if not _is_unevaluated(error) and not _softness(error)]
    return [error for error in errors if not _is_unevaluated(error) or not _is_above(error, failed)]


def _is_above(error: ValidationError, others: Iterable[ValidationError]) -> bool:
    here = error.instance_path
    return any(other.instance_path[: len(here)] == here for other in others)


def _is_unevaluated(error: ValidationError) -> bool:
    return isinstance(error.kind, _E.UnevaluatedProperties)


def _softness(error: ValidationError) -> str | None:
    """NAMED or REFUSED if the error comes from such a definition."""
    path = error.schema_path
    name = str(path[1]) if len(path) > 1 and path[0] == "$defs" else ""
    if name.startswith(NAMED):
        return NAMED
    return REFUSED if name.startswith(REFUSED) else None


def _is_soft(error: ValidationError) -> bool:
    if _softness(error):
        return True
    kind = error.kind
    return isinstance(kind, (_E.OneOfNotValid, _E.AnyOf)) and any(
        branch and all(map(_is_soft, branch)) for branch in kind.context
    )


def _converted(error: ValidationError, direction: SchemaDirection) -> Iterator[SchemaError]:
    path, kind = error.instance_path[1:], error.kind  # without the root's name
    softness = _softness(error)
    if softness == REFUSED:
        if direction is SchemaDirection.REQUEST:
            yield SchemaError(Kind.READ_ONLY, pointer(path), "a read-only field in a request")
        else:
            yield SchemaError(Kind.WRITE_ONLY, pointer(path), "a write-only field in a response")
    elif isinstance(kind, (_E.AdditionalProperties, _E.UnevaluatedProperties)):
        above = pointer(path)
        for name in kind.unexpected:
            place = under(above, name)
            if softness == NAMED:
                yield SchemaError(Kind.UNKNOWN_FIELD, place, "a field that the schema does not name")
            else:
                yield SchemaError(Kind.FORBIDDEN_FIELD, place, "a field that the schema forbids")
    elif isinstance(kind, _E.Required):
        yield SchemaError(Kind.MISSING_FIELD, pointer([*path, kind.property]), "a required field is missing")
    else:
        found, tell, spans = _TOLD.get(type(kind), _OTHERWISE)
        message = tell(kind) + _closest(error, direction)
        yield SchemaError(found, pointer(path), message[:MAX_MESSAGE], spans)


def _closest(error: ValidationError, direction: SchemaDirection) -> str:
    """The alternative that fits best, and what in it is wrong, in words of the schema: one of another type or
    with another constant fits worse than one with more errors.
    """
    context = error.kind.context if isinstance(error.kind, (_E.OneOfNotValid, _E.AnyOf)) else ()
    branches = [(number, branch) for number, branch in enumerate(context, 1) if branch]
    if len(branches) < 2:
        return ""
    here = len(error.instance_path)
    number, branch = min(branches, key=lambda one: (_unlikeness(one[1], here), one[0]))
    wrong = min(branch, key=lambda one: len(one.instance_path))
    said = next(_converted(wrong, direction)).message
    return f"; closest is {_alternative(number, branch, len(error.evaluation_path))}: {said}{_field(wrong)}"


def _unlikeness(branch: Sequence[ValidationError], here: int) -> tuple[bool, int, int]:
    other_type = any(isinstance(one.kind, _E.Type) and len(one.instance_path) == here for one in branch)
    constants = sum(isinstance(one.kind, (_E.Constant, _E.Enum)) for one in branch)
    return other_type, constants, len(branch)


def _alternative(number: int, branch: Sequence[ValidationError], above: int) -> str:
    """The alternative's component, if one of its errors is in that itself; else its number."""
    for one in branch:
        below = [*one.evaluation_path[above + 1 :]]
        if below[:1] == ["$ref"] and below.count("$ref") == 1 and len(one.schema_path) > 1:
            return str(one.schema_path[1]).partition(".")[2] or f"number {number}"
    return f"number {number}"


def _field(error: ValidationError) -> str:
    """The field of an error, if the schema names it."""
    path = [*error.schema_path]
    if isinstance(error.kind, _E.Required):
        return f" ({error.kind.property})"
    return f" ({path[-2]})" if len(path) > 2 and path[-3] == "properties" else ""


def _limit(words: str) -> Callable[[Any], str]:
    return lambda kind: f"{words} {kind.limit}"


def _said(words: str) -> Callable[[Any], str]:
    return lambda kind: words


_OTHERWISE: tuple[Kind, Callable[[Any], str], bool] = (
    Kind.ONE_OF,
    _said("does not fit the combination of schemas"),
    True,
)
_TOLD: dict[type, tuple[Kind, Callable[[Any], str], bool]] = {
    _E.Type: (Kind.TYPE, lambda kind: "not of type " + " or ".join(kind.types), False),
    _E.Format: (Kind.FORMAT, lambda kind: f"not a valid {kind.format}", False),
    _E.Enum: (Kind.ENUM, lambda kind: f"not one of {_shown(kind.options)}", False),
    _E.Constant: (Kind.ENUM, lambda kind: f"not {_shown(kind.expected_value)}", False),
    _E.Pattern: (
        Kind.PATTERN,
        lambda kind: "not base64" if kind.pattern == BASE64 else f"does not match {kind.pattern}",
        False,
    ),
    _E.Minimum: (Kind.BOUNDS, _limit("below the minimum of"), False),
    _E.Maximum: (Kind.BOUNDS, _limit("above the maximum of"), False),
    _E.ExclusiveMinimum: (Kind.BOUNDS, _limit("not above"), False),
    _E.ExclusiveMaximum: (Kind.BOUNDS, _limit("not below"), False),
    _E.MultipleOf: (Kind.BOUNDS, lambda kind: f"not a multiple of {kind.multiple_of}", False),
    _E.MinLength: (Kind.BOUNDS, _limit("shorter than"), False),
    _E.MaxLength: (Kind.BOUNDS, _limit("longer than"), False),
    _E.MinItems: (Kind.BOUNDS, _limit("fewer items than"), False),
    _E.MaxItems: (Kind.BOUNDS, _limit("more items than"), False),
    _E.AdditionalItems: (Kind.BOUNDS, _limit("more items than"), False),
    _E.UnevaluatedItems: (Kind.BOUNDS, _said("more items than the schema describes"), False),
    _E.MinProperties: (Kind.BOUNDS, _limit("fewer fields than"), False),
    _E.MaxProperties: (Kind.BOUNDS, _limit("more fields than"), False),
    _E.UniqueItems: (Kind.BOUNDS, _said("items are not unique"), True),
    _E.Contains: (Kind.BOUNDS, _said("not as many matching items as the schema wants"), True),
    _E.AnyOf: (Kind.ONE_OF, _said("fits none of the alternatives (anyOf)"), True),
    _E.OneOfNotValid: (Kind.ONE_OF, _said("fits none of the alternatives (oneOf)"), True),
    _E.OneOfMultipleValid: (Kind.ONE_OF, _said("fits more than one of the alternatives (oneOf)"), True),
    _E.Not: (Kind.ONE_OF, _said("fits a schema that it must not fit"), True),
    _E.FalseSchema: (Kind.FORBIDDEN_FIELD, _said("a value where the schema allows none"), False),
    _E.PropertyNames: (Kind.FORBIDDEN_FIELD, _said("a field whose name the schema does not allow"), False),
}


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
