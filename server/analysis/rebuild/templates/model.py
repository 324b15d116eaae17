"""Path templates as facts from the learner, and the decisions that a person can make on them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ParameterType(StrEnum):
    """The common type of a parameter's values."""

    INTEGER = "integer"
    NUMBER = "number"
    UUID = "uuid"
    DATE = "date"
    DATE_TIME = "date-time"
    EMAIL = "email"
    STRING = "string"

    def schema(self) -> dict[str, str]:
        """The type as JSON Schema."""
        if self in (ParameterType.INTEGER, ParameterType.NUMBER, ParameterType.STRING):
            return {"type": self.value}
        return {"type": "string", "format": self.value}


class TemplateOrigin(StrEnum):
    """The origin of a template."""

    GIVEN = "given"  # an existing specification
    LEARNT = "learnt"


@dataclass(frozen=True, slots=True)
class TemplateParameter:
    """One parameter of a template. `values` is the number of distinct values, an estimate from 64 on."""

    name: str
    type: ParameterType
    segment: int
    values: int


@dataclass(frozen=True, slots=True)
class Template:
    """A path template. `text` is as in a specification, "/users/{userId}".

    `example` are the segments of one path it was learned from (empty for one that is only given): later
    templates resolve them to find this one's present form. `calls` counts exchanges by method; `spans` names
    the parameters that contain slashes according to an existing specification; `either`: paths with and
    without a slash at the end fit, unless another template has that form.
    """

    text: str
    parameters: tuple[TemplateParameter, ...]
    example: tuple[str, ...]
    calls: tuple[tuple[str, int], ...]
    origin: TemplateOrigin = TemplateOrigin.LEARNT
    spans: frozenset[str] = frozenset()
    either: bool = False

    @property
    def methods(self) -> tuple[str, ...]:
        return tuple(method for method, _ in self.calls)


@dataclass(frozen=True, slots=True)
class TemplatePlace:
    """A place in the templates: the segments before it, "{}" for a parameter of any name.

    The parameter of "/users/{userId}/posts" is at ("users",); further traffic does not move it.
    """

    before: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MergeWords:
    """Decision: the words at this place are values of one parameter (except split ones)."""

    place: TemplatePlace


@dataclass(frozen=True, slots=True)
class Split:
    """Decision: this word at this place is no value."""

    place: TemplatePlace
    word: str


@dataclass(frozen=True, slots=True)
class Rename:
    """Decision: the name of the parameter at this place."""

    place: TemplatePlace
    name: str


@dataclass(frozen=True, slots=True)
class Retype:
    """Decision: the type of the parameter at this place."""

    place: TemplatePlace
    type: ParameterType


Decision = MergeWords | Split | Rename | Retype
