"""The model of a specification: operations with their parameters, bodies, responses, security.

A schema is identified by the canonical JSON pointer of its place in the document; `schemas/validators.py`
turns such a pointer into a validator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from server.analysis.specs.deviation import Deviation
from server.analysis.specs.kinds import Fault, Verdict, Where


class SpecError(ValueError):
    """The bytes are no usable specification.

    `where` is "line N" if parsing failed, else a JSON pointer; `reason` says what is wrong there.
    """

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where}: {reason}" if where else reason)
        self.where = where
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Parameter:
    """`json`: the value is itself a JSON text (`content: application/json`). The style `querystring` makes it
    the whole query, `tabDelimited` is Swagger's tsv. `spans`: it may contain slashes.
    """

    name: str  # header names in lower case
    where: Where
    required: bool
    style: str
    explode: bool
    allow_empty: bool
    json: bool
    schema: str | None
    spans: bool = False


@dataclass(frozen=True, slots=True)
class Encoding:
    """The serialisation of a form field; without a style arrays are repeated and objects are JSON."""

    style: str | None
    explode: bool
    content_type: str | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """A body by media type (lower case, no parameters; may be a range) → its schema's pointer.

    `encoding` has the serialisation of fields by media type, `items` the schema of each item of a sequence,
    `event_data` that of the JSON in an event's data; `headers` are a response's. `stream_switch`: the query
    parameter that makes it an endless stream of the items; None if there is none.
    """

    media: Mapping[str, str | None]
    required: bool = False
    encoding: Mapping[str, Mapping[str, Encoding]] = field(default_factory=dict)
    items: Mapping[str, str] = field(default_factory=dict)
    event_data: Mapping[str, str] = field(default_factory=dict)
    headers: tuple[Parameter, ...] = ()
    stream_switch: str | None = None


@dataclass(frozen=True, slots=True)
class Scheme:
    """A security scheme. `kind` is apiKey, http, oauth2, openIdConnect or mutualTLS; `where` and
    `name` are an API key's place; `scheme` is an HTTP scheme in lower case.
    """

    kind: str
    where: Where | None = None
    name: str = ""
    scheme: str = ""


Alternatives = tuple[tuple[Scheme, ...], ...]
"""Any one of these sets of schemes suffices; an empty set needs none; without sets nothing is specified."""


@dataclass(frozen=True, slots=True)
class Operation:
    key: str  # "GET /base/template"; without the base if the operation has several
    method: str
    template: str
    operation_id: str | None
    deprecated: bool
    parameters: tuple[Parameter, ...]
    body: Content | None
    responses: Mapping[str, Content]  # by "200", "2XX", "default"
    security: Alternatives
    tags: tuple[str, ...] = ()
    spans: frozenset[str] = (
        frozenset()
    )  # parameters of the path that may contain slashes according to any method

    def answer(self, status: int) -> tuple[str, Content] | None:
        """The described response for a status, and its name: the status, its range, or the default."""
        for name in (str(status), f"{status // 100}XX", "default"):
            content = self.responses.get(name)
            if content is not None:
                return name, content
        return None


@dataclass(frozen=True, slots=True)
class Judgement:
    """`operation` is an Operation's key, None if none matched. `fault` says whose the difference is, None if
    there is none. `why` says what could not be validated, and what of a refused request was wrong; `partial`:
    something could not be validated.
    """

    operation: str | None
    deprecated: bool
    verdict: Verdict
    why: str | None
    deviations: tuple[Deviation, ...]
    fault: Fault | None = None
    partial: bool = False
