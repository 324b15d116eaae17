"""What is known of path templates: the facts that the learner hands out, and what a person may decide."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ParameterType(StrEnum):
    """What all values of a parameter have in common."""

    INTEGER = "integer"
    NUMBER = "number"
    UUID = "uuid"
    DATE = "date"
    DATE_TIME = "date-time"
    EMAIL = "email"
    STRING = "string"

    def schema(self) -> dict[str, str]:
        """As JSON Schema."""
        if self in (ParameterType.INTEGER, ParameterType.NUMBER, ParameterType.STRING):
            return {"type": self.value}
        return {"type": "string", "format": self.value}


class TemplateOrigin(StrEnum):
    """Who says that a template exists."""

    GIVEN = "given"  # an existing specification
    LEARNT = "learnt"


@dataclass(frozen=True, slots=True)
class TemplateParameter:
    """One parameter of a template. `values` is how many distinct ones were seen, an estimate from 64 on."""

    name: str
    type: ParameterType
    segment: int
    values: int


@dataclass(frozen=True, slots=True)
class Template:
    """A path template. `text` is as in a specification, "/users/{userId}".

    `example` are the segments of one path it was learned from (empty for one that is only given): resolving
    them in later templates tells what became of this one. `calls` counts exchanges by method; `spans` names
    the parameters that an existing specification says hold slashes.
    """

    text: str
    parameters: tuple[TemplateParameter, ...]
    example: tuple[str, ...]
    calls: tuple[tuple[str, int], ...]
    origin: TemplateOrigin = TemplateOrigin.LEARNT
    spans: frozenset[str] = frozenset()

    @property
    def methods(self) -> tuple[str, ...]:
        return tuple(method for method, _ in self.calls)


@dataclass(frozen=True, slots=True)
class TemplatePlace:
    """A place in the templates: the segments before it, "{}" for a parameter of any name.

    The parameter of "/users/{userId}/posts" is at ("users",); it stays there when traffic brings more.
    """

    before: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MergeWords:
    """A person says: what stands at this place are values of one parameter (all but what is split off)."""

    place: TemplatePlace


@dataclass(frozen=True, slots=True)
class Split:
    """A person says: this word at this place is no value."""

    place: TemplatePlace
    word: str


@dataclass(frozen=True, slots=True)
class Rename:
    """A person names the parameter at this place."""

    place: TemplatePlace
    name: str


@dataclass(frozen=True, slots=True)
class Retype:
    """A person says what type the parameter at this place has."""

    place: TemplatePlace
    type: ParameterType


Decision = MergeWords | Split | Rename | Retype
